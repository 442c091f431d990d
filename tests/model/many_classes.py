"""More classes than any page can tell of: a small dataset, and predictions drawn at random."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow_datasets as tfds
import tiny_dataset

NAME = "many/raw32"


def names(classes: int) -> list[str]:
    """As many names, in order of the alphabet."""
    return [f"class {label:05d}" for label in range(classes)]


class Many(tiny_dataset.Tiny):
    """150 classes, of which the test split has no picture of the last thirty."""

    VERSION = tfds.core.Version("1.0.0")
    LABELS = names(150)
    IMAGES = {"train": 160, "validation": 20, "test": 120}  # noqa: RUF012


def write(data_dir: Path) -> None:
    """Prepares the dataset in `data_dir`."""
    Many(data_dir=data_dir, config="raw32").download_and_prepare()


def batches(classes: int, images: int, *, right: float) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Batches of 100 random probabilities, float32 [100, classes], and labels, int32 [100].

    Of the images, the share `right` is classified rightly; half of the others are images of class 7
    taken for class 3.
    """
    rng = np.random.default_rng(0)
    for _ in range(0, images, 100):
        labels = rng.integers(0, classes, 100, np.int32)
        probabilities = rng.random((100, classes), np.float32)
        top = labels.copy()
        wrong = np.flatnonzero(rng.random(100) >= right)
        top[wrong] = rng.integers(0, classes, len(wrong))
        labels[wrong[::2]], top[wrong[::2]] = 7, 3
        probabilities[np.arange(100), top] += classes / 2
        yield probabilities / probabilities.sum(axis=1, keepdims=True), labels
