"""Memory that is more than an allocation.

Files as memory: the page cache holds their bytes, filled on demand, shared between processes, given
    back on demand.

`mmap` of the standard library maps one file; here many lie one behind the other, so that a single
offset finds a byte of any of them, and a single tensor can be all of them.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import threading
import time
import weakref

import numpy as np

from .settings import InputError

_RESIDENT = 2**28  # bytes of pages that may count as this process's own
_MAP_FIXED = 0x10  # the same on Linux and macOS; Python does not name it
_MAP_NORESERVE = 0x4000 if sys.platform == "linux" else 0  # Python names it from 3.13 on


def map_files(paths: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Maps files one behind the other, without reading them.

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
        ctypes.c_void_p,
        ctypes.c_size_t,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_int,
        ctypes.c_long,
    ]
    for path, base, size in zip(paths, bases, sizes, strict=False):
        with open(path, "rb") as file:
            place = address + int(base)
            flags = mmap.MAP_PRIVATE | _MAP_FIXED
            if libc.mmap(place, size, mmap.PROT_READ, flags, file.fileno(), 0) != place:
                raise InputError(
                    f"{path} cannot be mapped into memory: {os.strerror(ctypes.get_errno())}."
                )
    threading.Thread(
        target=_give_back, args=(weakref.ref(area), _resident_file_bytes()), daemon=True
    ).start()
    return np.frombuffer(area, np.uint8), bases[:-1]


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
    """Lets go of the pages that were read whenever they come to `_RESIDENT` bytes above `floor`, while an area is used.

    They stay in the page cache, where they are found again, but no longer count as this process's
    own: it stays small, however large the files are.
    """
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
