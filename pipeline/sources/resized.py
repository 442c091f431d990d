"""All images of a split, resized and uncropped: shapes, and pixels in one run of bytes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Literal

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import numpy as np
import psutil
import tensorflow as tf
from rich.console import Console
from rich.progress import Progress

from sentiflow import photo

from .. import python
from ..pixels import cover_shape, read_whole
from ..records import Records
from ..settings import InputError, StreamSettings
from .mapping import map_records, mapped_file


def shapes(records: Records, settings: StreamSettings) -> np.ndarray:
    """Height and width of every resized image, from what the files' headers say: int64 [n, 2]."""
    if records.storage == "raw":
        return records.shape.astype(np.int64)
    area, start = map_records(records)
    sizes = []
    for first, length in zip(start, records.length, strict=True):
        with photo.opened_bytes(area[first : first + length].tobytes()) as picture:
            sizes.append(picture.size)
    stored = np.array([(height, width) for width, height in sizes], np.int64).reshape(-1, 2)
    return cover_shape(stored, settings) if records.storage == "original" else stored


def starts(shapes: np.ndarray) -> np.ndarray:
    """First pixel of each image when they lie one behind the other: int64 [n]."""
    sizes = shapes.prod(axis=1)
    return np.cumsum(sizes) - sizes


def read_all(
    records: Records,
    shapes: np.ndarray,
    settings: StreamSettings,
    *,
    channels: Literal[3, 4] = 3,
    multiple_of: int = 1,
) -> np.ndarray:
    """The pixels of all images, one behind the other. Shows progress on a terminal.

    Args:
        records: of the images.
        shapes: of the resized images, as `shapes` tells them.
        settings: of the stream.
        channels: bytes for each pixel; the fourth is 0.
        multiple_of: that the number of pixels is to be; those at the end are 0.

    Returns:
        uint8 [pixels, channels].

    Raises:
        InputError: they do not fit into the free memory.
    """
    sizes = shapes.prod(axis=1)
    count = -(-int(sizes.sum()) // multiple_of) * multiple_of
    if count * channels > psutil.virtual_memory().available:
        rule = f"{len(records)} images do not fit into the free memory"
        raise InputError(f"{rule}; use cache='none'.")
    make = np.empty if channels == 3 and multiple_of == 1 else np.zeros
    data = make((count, channels), np.uint8)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not os.isatty(2)) as progress:
        title = "Reading all images"
        decoded = progress.track(images(records, settings), total=len(records), description=title)
        for pixels, first, size in zip(decoded, starts(shapes), sizes, strict=True):
            data[first : first + size, :3] = pixels.reshape(-1, 3)
    return data


def images(records: Records, settings: StreamSettings) -> Iterator[np.ndarray]:
    """Every image, in order, resized and uncropped: uint8 [h, w, 3]."""
    if records.storage == "raw":
        area, start = map_records(records)
        return (
            area[first : first + 3 * height * width].reshape(height, width, 3)
            for first, (height, width) in zip(start, records.shape, strict=True)
        )
    if records.storage == "original":

        def read_one(image: np.ndarray) -> np.ndarray:
            return read_whole(records.value(int(image)), settings)

        def decode_one(image: tf.Tensor) -> tf.Tensor:
            return python.call(read_one, (image,), tf.uint8)
    else:
        file = mapped_file(records)

        def decode_one(image: tf.Tensor) -> tf.Tensor:
            return photo.decode_with_tensorflow(file(image))

    decoded = tf.data.Dataset.range(len(records)).map(
        tf.autograph.experimental.do_not_convert(decode_one), num_parallel_calls=tf.data.AUTOTUNE
    )
    return decoded.prefetch(2).as_numpy_iterator()
