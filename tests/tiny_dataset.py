"""A prepared dataset small enough to train on in seconds.

Its features and metadata are those that the builders write.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

NAME = "tiny/raw32"
CLASSES = ["blue", "green", "red"]
IMAGE_SIZE = 32
SPLITS = {"train": 27, "validation": 7, "test": 10}


class Tiny(tfds.core.GeneratorBasedBuilder):
    """Classes of noise, told apart by the colour channel that is brighter."""

    LABELS: Sequence[str] = CLASSES
    IMAGES: Mapping[str, int] = SPLITS

    VERSION = tfds.core.Version("1.0.0")
    BUILDER_CONFIGS = (tfds.core.BuilderConfig(name="raw32"),)

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": tfds.features.Tensor(shape=(None, None, 3), dtype=np.uint8, encoding="bytes"),
            "label": tfds.features.ClassLabel(names=self.LABELS),
            "filename": tfds.features.Text(),
        }
        metadata = {
            "storage": "raw",
            "image_size": IMAGE_SIZE,
            "crop_fraction": 0.875,
            "interpolation": "lanczos",
        }
        return tfds.core.DatasetInfo(
            builder=self,
            description="Noise with a brighter channel.",
            features=tfds.features.FeaturesDict(features),
            metadata=tfds.core.MetadataDict(metadata),
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[str, dict[str, Any]]]]:
        return {
            split: self._generate_examples(split, images) for split, images in self.IMAGES.items()
        }

    def _generate_examples(self, split: str, images: int) -> Iterator[tuple[str, dict[str, Any]]]:
        rng = np.random.default_rng(list(SPLITS).index(split))
        for number in range(images):
            label = number % len(self.LABELS)
            pixels = rng.integers(0, 160, (36, 36 + number % 5, 3), dtype=np.uint8)
            pixels[..., 2 - label % 3] += 90
            name = f"{split}/{self.LABELS[label]}-{number}.png"
            yield name, {"image": pixels, "label": label, "filename": name}


def write(data_dir: Path) -> None:
    """Prepares the dataset in `data_dir`."""
    Tiny(data_dir=data_dir, config="raw32").download_and_prepare()
