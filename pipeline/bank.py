"""Pixel banks: every resized image of a split in one contiguous run of bytes, from which windows are cut.

A bank is either the mapped shards themselves (raw storage), or a copy in RAM, or a copy in an
accelerator's memory. Windows of a whole batch are cut by one compiled gather of pixel rows; nothing
is copied twice, and Python takes no part.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import numpy as np
import tensorflow as tf
from PIL import Image
from rich.console import Console
from rich.progress import Progress
from tensorflow.compiler.tf2xla.python import xla
from tensorflow.compiler.xla import xla_data_pb2

from .mapping import map_files
from .pixels import as_string, as_tensor, corner, cover_shape, decode
from .records import Records
from .settings import InputError, StreamSettings
from .view import mirror

# One gather index per pixel row; a row is one contiguous run of bytes.
_ROWS = xla_data_pb2.GatherDimensionNumbers(
    offset_dims=[2], start_index_map=[0], index_vector_dim=2
)


class Layout:
    """Where the resized pixels of n images lie.

    Attributes:
        start: int64 [n], first byte of each image.
        shape: int64 [n, 2], height and width in pixels.
    """

    def __init__(self, start: np.ndarray, shape: np.ndarray) -> None:
        self.start = tf.constant(start, tf.int64)
        self.shape = tf.constant(shape, tf.int64)

    def places(
        self, images: tf.Tensor, draws: tf.Tensor, settings: StreamSettings
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Chooses one window of each image.

        Args:
            images: int64 [b], positions.
            draws: float64 [b, 2] in [0, 1): vertical and horizontal place of each random window.
            settings: of the stream.

        Returns:
            The first byte of each window, and the width in pixels of the image that it lies in:
            both int64 [b].
        """
        shape = tf.gather(self.shape, images)
        place = corner(shape, draws, settings)
        width = shape[:, 1]
        return tf.gather(self.start, images) + 3 * (place[:, 0] * width + place[:, 1]), width


class Bank:
    """Resized pixels of n images.

    Attributes:
        data: uint8 [bytes].
        layout: where each image lies among them.
    """

    def __init__(self, data: tf.Tensor, layout: Layout) -> None:
        self.data = data
        self.layout = layout

    def windows(
        self,
        images: tf.Tensor,
        draws: tf.Tensor,
        settings: StreamSettings,
        *,
        flip: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """The windows that `Layout.places` chooses, mirrored where `flip`, bool [b], says so: uint8 [b, s, s, 3]."""
        first, width = self.layout.places(images, draws, settings)
        return _cut(self.data, first, 3 * width, settings.image_size, flip)

    def image(self, i: tf.Tensor) -> tf.Tensor:
        """Image i, uncropped: uint8 [h, w, 3]."""
        start, (height, width) = self.layout.start[i], tf.unstack(self.layout.shape[i])
        return tf.reshape(self.data[start : start + 3 * height * width], [height, width, 3])


@tf.function(jit_compile=True, autograph=False)
def _cut(
    data: tf.Tensor, first: tf.Tensor, stride: tf.Tensor, size: int, flip: tf.Tensor | None
) -> tf.Tensor:
    rows = first[:, None] + tf.range(size, dtype=tf.int64) * stride[:, None]
    pixels = xla.gather(data, rows[:, :, None], _ROWS, [3 * size], indices_are_sorted=False)
    windows = tf.reshape(pixels, [-1, size, size, 3])
    return windows if flip is None else mirror(windows, flip)  # in the same pass


def mapped_bank(records: Records) -> Bank:
    """Maps the shards of raw storage into memory, without reading them."""
    area, bases = map_files(records.paths)
    return Bank(as_tensor(area), Layout(bases[records.shard] + records.offset, records.shape))


def ram_bank(records: Records, settings: StreamSettings) -> Bank:
    """Reads, decodes and resizes every image once, on all cores, into RAM. Shows progress on a terminal.

    Raises:
        InputError: the pixels do not fit into the free memory.
    """
    data, shapes = _fill(records, settings)
    return Bank(as_tensor(data), Layout(_starts(shapes), shapes))


def device_pixels(records: Records, settings: StreamSettings) -> np.ndarray:
    """The resized pixels of a dataset in the order that `device_layout` tells: uint8 [pixels, 3].

    Args:
        records: all records of the dataset.
        settings: of the stream.

    Raises:
        InputError: the pixels do not fit into the free memory, or are too many to be counted in 31
            bits.
    """
    data, _ = _fill(records, settings)
    if data.size // 3 > np.iinfo(np.int32).max:
        raise InputError(
            f"{data.size / 2**30:.1f} GiB of pixels are too many for cache='device'; use cache='memory'."
        )
    return data.reshape(-1, 3)


def device_layout(records: Records, chosen: Records, settings: StreamSettings) -> Layout:
    """Where the chosen of all records lie among the bytes of `device_pixels`."""
    shapes = _resized_shapes(records, settings)
    rows = np.searchsorted(records.number, chosen.number)
    return Layout(_starts(shapes)[rows], shapes[rows])


def _fill(records: Records, settings: StreamSettings) -> tuple[np.ndarray, np.ndarray]:
    """All images, one behind the other: uint8 [bytes]; and their heights and widths: int64 [n, 2]."""
    shapes = _resized_shapes(records, settings)
    start, size = _starts(shapes), 3 * shapes.prod(axis=1)
    if size.sum() > _free_memory():
        raise InputError(
            f"{len(records)} images do not fit into the free memory; use cache='none'."
        )
    data = np.empty(size.sum(), np.uint8)
    with Progress(
        console=Console(stderr=True), transient=True, disable=not os.isatty(2)
    ) as progress:
        images = progress.track(
            _read_all(records, settings), total=len(records), description="Reading all images"
        )
        for pixels, first, count in zip(images, start, size, strict=True):
            data[first : first + count] = pixels.ravel()
    return data, shapes


def _read_all(records: Records, settings: StreamSettings) -> Iterator[np.ndarray]:
    """Every image resized and uncropped: uint8 [h, w, 3], or a run of as many bytes."""
    if records.storage == "raw":
        area, bases = map_files(records.paths)
        first = bases[records.shard] + records.offset
        return (
            area[start : start + length]
            for start, length in zip(first, records.length, strict=True)
        )
    decode_one = tf.autograph.experimental.do_not_convert(whole_image(records, settings))
    images = tf.data.Dataset.range(len(records)).map(
        decode_one, num_parallel_calls=tf.data.AUTOTUNE
    )
    return images.prefetch(2).as_numpy_iterator()


def _starts(shapes: np.ndarray) -> np.ndarray:
    """First byte of each image when they lie one behind the other: int64 [n]."""
    return np.cumsum(3 * shapes.prod(axis=1)) - 3 * shapes.prod(axis=1)


def _resized_shapes(records: Records, settings: StreamSettings) -> np.ndarray:
    """Height and width of every resized image, from what the files' headers say: int64 [n, 2]."""
    if records.storage == "raw":
        return records.shape.astype(np.int64)
    area, bases = map_files(records.paths)
    first = bases[records.shard] + records.offset
    sizes = [
        Image.open(io.BytesIO(area[start : start + length].tobytes())).size
        for start, length in zip(first, records.length, strict=True)
    ]
    shapes = tf.constant([(height, width) for width, height in sizes], tf.int64)
    return (cover_shape(shapes, settings) if records.storage == "original" else shapes).numpy()


def whole_image(records: Records, settings: StreamSettings) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from a position, int64, to that image resized and uncropped: uint8 [h, w, 3]."""
    if records.storage == "raw":
        return mapped_bank(records).image
    file = mapped_file(records)
    return lambda i: decode(file(i), records.storage, settings)


def mapped_file(records: Records) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from a position, int64, to the bytes of that encoded image, string, out of the shards."""
    area, bases = map_files(records.paths)
    data = as_tensor(area)
    places = tf.constant(np.stack([bases[records.shard] + records.offset, records.length], axis=1))
    return lambda i: as_string(tf.slice(data, *tf.split(places[i], 2)))


def _free_memory() -> int:
    """Bytes of memory that can be had without swapping."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":") for line in file)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):  # macOS
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
