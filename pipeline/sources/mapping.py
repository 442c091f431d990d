"""Shards mapped into memory, one behind the other.

The page cache holds their bytes: filled on demand, shared between processes, given back on demand.
`mmap` of the standard library maps one file; here a single offset finds a byte of any of them, and
a single tensor can be all of them.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import numpy as np
import tensorflow as tf

from ..pixels import as_string, as_tensor
from ..records import Records
from ..settings import InputError

RESIDENT = 2**28  # bytes of pages that may count as this process's own
_PAUSE = 0.05  # seconds between two looks at how many there are
_MAP_FIXED = 0x10  # the same on Linux and macOS; Python does not name it
_MAP_NORESERVE = 0x4000 if sys.platform == "linux" else 0  # Python names it from 3.13 on


def map_files(paths: tuple[str, ...], *, at_random: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Maps files one behind the other, without reading them.

    Args:
        paths: of the files.
        at_random: as in `map_records`.

    Returns:
        Their bytes, uint8 [...], and where each file begins among them, int64 [files].

    Raises:
        InputError: the system refuses.
    """
    sizes = [os.path.getsize(path) for path in paths]
    pages = [-(-size // mmap.PAGESIZE) * mmap.PAGESIZE for size in sizes]
    bases = np.cumsum([0, *pages])
    area = _addresses(int(bases[-1]))
    address = ctypes.addressof(ctypes.c_char.from_buffer(area))
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [
        ctypes.c_void_p,  # address
        ctypes.c_size_t,  # length
        ctypes.c_int,  # protection
        ctypes.c_int,  # flags
        ctypes.c_int,  # file descriptor
        ctypes.c_long,  # offset in the file
    ]
    for path, base, size in zip(paths, bases, sizes, strict=False):
        with open(path, "rb") as file:
            # Over the addresses that were reserved for it: the file takes the place of nothing.
            wanted = address + int(base)
            flags = mmap.MAP_PRIVATE | _MAP_FIXED
            if libc.mmap(wanted, size, mmap.PROT_READ, flags, file.fileno(), 0) != wanted:
                reason = os.strerror(ctypes.get_errno())
                raise InputError(f"{path} cannot be mapped into memory: {reason}.")
    if at_random:
        area.madvise(mmap.MADV_RANDOM)
    # The thread must not keep the area alive, so it gets a weak reference. NumPy's array, and a
    # tensor made of it, keep the area as long as they are used.
    watched = (weakref.ref(area), resident_file_bytes())
    threading.Thread(target=_give_back, args=watched, daemon=True).start()
    return np.frombuffer(area, np.uint8), bases[:-1]


def map_records(records: Records, *, at_random: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Maps the shards of records.

    Args:
        records: of a split, or all.
        at_random: touched in any order: the system reads no more than what is touched.

    Returns:
        Their bytes, uint8 [...], and where each image's value begins among them, int64 [n].

    Raises:
        InputError: the system refuses.
    """
    area, bases = map_files(records.paths, at_random=at_random)
    return area, bases[records.shard] + records.offset


def mapped_file(records: Records) -> Callable[[tf.Tensor], tf.Tensor]:
    """A function from a position, int64, to the bytes of that encoded image, string."""
    area, start = map_records(records)
    data = as_tensor(area)
    ranges = tf.constant(np.stack([start, records.length], axis=1))
    return lambda image: as_string(tf.slice(data, *tf.split(ranges[image], 2)))


def _addresses(size: int) -> mmap.mmap:
    """A run of addresses without memory behind them, however many: files are to take their place.

    Raises:
        InputError: the system refuses.
    """
    try:
        return mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE)
    except OSError as error:
        raise InputError(
            f"{size / 2**30:.1f} GiB of shards cannot be mapped into memory: {error.strerror}."
        ) from None


def _give_back(area: weakref.ref[mmap.mmap], floor: int) -> None:
    """Lets go of the pages that were read whenever they are `RESIDENT` bytes above `floor`.

    They stay in the page cache, where they are found again, but no longer count as this process's
    own: it stays small, however large the files are. Ends with the area.
    """
    while (mapped := area()) is not None:
        if resident_file_bytes() > floor + RESIDENT:
            mapped.madvise(mmap.MADV_DONTNEED)
            # What remains belongs to others, such as libraries that were loaded meanwhile.
            floor = resident_file_bytes()
        del mapped  # else the area would live as long as this thread sleeps
        time.sleep(_PAUSE)


def resident_file_bytes() -> int:
    """Bytes of mapped files, libraries included, that are in memory; 0 if unknown."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[2]) * mmap.PAGESIZE
    except OSError:  # macOS
        return 0
