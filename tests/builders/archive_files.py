"""Archives and image files that tests of the builders make, and builds of them."""

import os
from pathlib import Path

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image

ROOT = Path(__file__).parents[2]
DUMMY = {name: ROOT / "builders" / name / "dummy_data" for name in ("emotionroi", "twitter1")}


def build(dataset, manual_dir, data_dir, config="raw256", **options):
    builder = dataset.Builder(data_dir=str(data_dir), config=config)
    options = tfds.download.DownloadConfig(manual_dir=str(manual_dir), **options)
    builder.download_and_prepare(download_config=options)
    return builder


def records(builder, split):
    """The records of a split as dicts of what is in the file, by file name."""
    paths = sorted(str(path) for path in builder.data_path.glob(f"*-{split}.tfrecord*"))
    examples = [
        tf.train.Example.FromString(data.numpy()) for data in tf.data.TFRecordDataset(paths)
    ]
    found = {}
    for example in examples:
        values = {
            name: getattr(kind, kind.WhichOneof("kind")).value
            for name, kind in example.features.feature.items()
        }
        found[values["filename"][0].decode()] = values
    return found


def image_of(manual_dir, filename):
    return manual_dir / "EmotionROI" / "images" / filename


def photo(width, height, mode="RGB", seed=0):
    """A smooth random image."""
    small = np.random.default_rng(seed).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC).convert(mode)


def saved(path, image, form="PNG", **options):
    image.save(path, form, **options)
    return path


def touch(path, content=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.fsencode(content or str(path)))
    return path
