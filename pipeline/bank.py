"""Where stored images are read from: shards mapped into memory, and banks of resized pixels.

The shards are mapped one behind the other: the page cache holds them, filled on demand, shared between processes and
given back under pressure. A bank is every resized image of a split in one contiguous run of bytes: the mapped shards
themselves (raw storage) or a copy in RAM. Windows of a whole batch are cut from it by one compiled gather of pixel
rows; nothing is copied twice, and Python takes no part.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
import time
import weakref
from collections.abc import Callable

import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import Progress
from tensorflow.compiler.tf2xla.python import xla
from tensorflow.compiler.xla import xla_data_pb2

from pipeline.pixels import corner, decode
from pipeline.records import Records
from pipeline.settings import InputError, Settings

# One gather index per pixel row; a row is one contiguous run of bytes.
_ROWS = xla_data_pb2.GatherDimensionNumbers(offset_dims=[2], start_index_map=[0], index_vector_dim=2)


class Bank:
    """Resized pixels of n images.

    Attributes:
        data: uint8 [bytes].
        start: int64 [n], first byte of each image in `data`.
        shape: int64 [n, 2], height and width in pixels.
    """

    def __init__(self, data: tf.Tensor, start: np.ndarray, shape: np.ndarray) -> None:
        self.data = data
        self.start = tf.constant(start, tf.int64)
        self.shape = tf.constant(shape, tf.int64)

    def windows(self, images: tf.Tensor, draws: tf.Tensor, settings: Settings) -> tf.Tensor:
        """Cuts one window from each image.

        Args:
            images: int64 [b], positions in the bank.
            draws: float64 [b, 2] in [0, 1): vertical and horizontal place of each random window.
            settings: resolved settings.

        Returns:
            uint8 [b, s, s, 3].
        """
        shape = tf.gather(self.shape, images)
        place = corner(shape, draws, settings)
        width = shape[:, 1]
        first = tf.gather(self.start, images) + 3 * (place[:, 0] * width + place[:, 1])
        return _cut(self.data, first, 3 * width, settings.image_size)

    def image(self, i: tf.Tensor) -> tf.Tensor:
        """Image i, uncropped: uint8 [h, w, 3]."""
        height, width = self.shape[i, 0], self.shape[i, 1]
        return tf.reshape(self.data[self.start[i] : self.start[i] + 3 * height * width], [height, width, 3])


@tf.function(jit_compile=True)
def _cut(data: tf.Tensor, first: tf.Tensor, stride: tf.Tensor, size: int) -> tf.Tensor:
    rows = first[:, None] + tf.range(size, dtype=tf.int64) * stride[:, None]
    pixels = xla.gather(data, rows[:, :, None], _ROWS, [3 * size], indices_are_sorted=False)
    return tf.reshape(pixels, [-1, size, size, 3])


def mapped_bank(records: Records) -> Bank:
    """Maps the shards of raw storage into memory, without reading them."""
    area, bases = _map(records.paths)
    return Bank(_as_tensor(area), bases[records.shard] + records.offset, records.shape)


def ram_bank(records: Records, settings: Settings) -> Bank:
    """Reads, decodes and resizes every image once, on all cores, into RAM. Shows progress on a terminal.

    Raises:
        InputError: the pixels do not fit into the free memory.
    """
    shapes, parts, room = [], [], _free_memory()
    images = tf.data.Dataset.range(len(records)).map(
        whole_image(records, settings), num_parallel_calls=tf.data.AUTOTUNE
    )
    with Progress(console=Console(stderr=True), transient=True, disable=not os.isatty(2)) as progress:
        for pixels in progress.track(images.prefetch(2), total=len(records), description="Filling the memory tier"):
            parts.append(pixels.numpy())
            shapes.append(parts[-1].shape[:2])
            room -= parts[-1].nbytes
            if room < 0:
                raise InputError(f"{len(records)} images do not fit into the free memory; use cache='none'.")
    start = np.cumsum([0] + [part.nbytes for part in parts])
    data = np.empty(start[-1], np.uint8)
    for i in range(len(parts)):
        data[start[i] : start[i + 1]] = parts[i].ravel()
        parts[i] = None  # memory is given back as fast as it is taken
    return Bank(_as_tensor(data), start[:-1], np.array(shapes, np.int64).reshape(-1, 2))


def whole_image(records: Records, settings: Settings) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from a position, int64, to that image resized and uncropped: uint8 [h, w, 3]."""
    if records.storage == "raw":
        return mapped_bank(records).image
    stored = mapped_files(records)
    return lambda i: decode(stored(i), records.storage, settings)


def mapped_files(records: Records) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from a position, int64, to the bytes of that encoded image: string, out of the mapped shards."""
    area, bases = _map(records.paths)
    data = _as_tensor(area)
    places = tf.constant(np.stack([bases[records.shard] + records.offset, records.length], axis=1))

    def stored(i: tf.Tensor) -> tf.Tensor:
        first, length = tf.unstack(tf.gather(places, i))
        # The graph has no cast from bytes to a string; a serialised tensor is one, and ends with the bytes.
        message = tf.io.serialize_tensor(tf.slice(data, [first], [length]))
        return tf.strings.substr(message, -length, length)

    return stored


def _map(paths: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Maps files one behind the other: their bytes, uint8, and where each begins, int64 [files]."""
    sizes = [os.path.getsize(path) for path in paths]
    pages = [-(-size // mmap.PAGESIZE) * mmap.PAGESIZE for size in sizes]
    bases = np.cumsum([0, *pages])
    area = mmap.mmap(-1, int(bases[-1]))  # reserves addresses only; the files take their place
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
    for path, base, size in zip(paths, bases, sizes, strict=False):
        with open(path, "rb") as file:
            place = address + int(base)
            flags = mmap.MAP_PRIVATE | _MAP_FIXED
            if libc.mmap(place, size, mmap.PROT_READ, flags, file.fileno(), 0) != place:
                raise InputError(f"{path} cannot be mapped into memory: {os.strerror(ctypes.get_errno())}.")
    threading.Thread(target=_give_back, args=(weakref.ref(area),), daemon=True).start()
    return np.frombuffer(area, np.uint8), bases[:-1]


def _give_back(area: weakref.ref[mmap.mmap]) -> None:
    """Lets go of the pages that were read whenever they come to `_RESIDENT` bytes, until nobody uses the area.

    They stay in the page cache, where they are found again, but no longer count as this process's own: it stays small,
    however large the files are.
    """
    floor = _resident_file_bytes()
    while (mapped := area()) is not None:
        if _resident_file_bytes() > floor + _RESIDENT:
            mapped.madvise(mmap.MADV_DONTNEED)
            floor = _resident_file_bytes()
        del mapped
        time.sleep(0.05)


def _resident_file_bytes() -> int:
    """Bytes of files, libraries included, that this process has mapped and that are in memory; 0 if unknown."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[2]) * mmap.PAGESIZE
    except OSError:  # macOS
        return 0


_RESIDENT = 2**28
_MAP_FIXED = 0x10  # the same on Linux and macOS; Python does not name it


def _as_tensor(data: np.ndarray) -> tf.Tensor:
    """The same memory as a tensor; TensorFlow would copy a plain NumPy argument."""
    return tf.experimental.dlpack.from_dlpack(data.__dlpack__())


def _free_memory() -> int:
    """Bytes of memory that can be had without swapping."""
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            lines = dict(line.split(":") for line in file)
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError):  # macOS
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
