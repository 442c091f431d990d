"""Streams of the test data as arrays, and the reference system's pixels."""

import numpy as np
from PIL import Image

from sentiflow import pipeline

STORAGES = ("original", "raw256", "jpeg256")


def reference_pixels(path, size=256, fraction=0.875):
    """Steps 1-3 of the reference system with the crop at the centre, written down independently."""
    image = Image.open(path).convert("RGB")
    if image.size != (size, size):
        ratio = max(size / fraction / image.width, size / fraction / image.height)
        image = image.resize(
            (int(image.width * ratio), int(image.height * ratio)), Image.Resampling.LANCZOS
        )
    left = round(image.width / 2) - round(size / 2)
    top = round(image.height / 2) - round(size / 2)
    return np.asarray(image.crop((left, top, left + size, top + size)))


def load(storage, data_dir, **options):
    options = {"split": "train", "preprocess": None, "batch_size": 4, **options}
    return pipeline.load(f"emotionroi/{storage}", data_dir=data_dir, **options)


def arrays(ds):
    return [tuple(part.numpy() for part in element) for element in ds]


def images(ds):
    return np.concatenate([element[0] for element in arrays(ds)])
