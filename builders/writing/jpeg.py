"""The JPEG files of storage `jpeg`.

Ordinary ones, of which a window can be decoded without the rest.

What is coded at a time is a block of 8 x 8 pixels, or with 4:2:0 a unit of 16 x 16, four blocks and
one of each chroma. Restart markers (ITU T.81, B.2.4.4) divide each row of units into *intervals* of
equal width, each of which can be decoded on its own; an index tells where they lie. So a reader can
make a smaller JPEG of those that a window touches (`pipeline/sources/intervals.py`). All parts
begin at multiples of 8 bytes, so that they can be copied in words; the gaps are filled with 0xFF,
which the standard allows in front of any marker (B.1.1.2).

    start     SOI, and the JFIF segment
    index     APP15 segment: "Sentiflow" in 12 bytes, then little-endian int32:
                  height, width   of the picture, in pixels
                  frame           first byte of the height that the frame header states, had the
                                  file no index
                  interval        width of an interval, in pixels
                  intervals       how many there are
                  begin [intervals + 4]   of each part in words of 8 bytes, and at last where the
                                  file ends: start, index, tables, first interval, second
                                  interval, ...
    tables    all other headers
    intervals, from left to right and from top to bottom, each with the marker that ends it (the
    last with EOI)
"""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import threading
from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageFile

QUALITY = 95
SUBSAMPLING = "4:4:4"  # of chroma: none
# By subsampling: side in pixels of the unit that is coded at a time.
UNITS = {SUBSAMPLING: 8, "4:2:0": 16}
WORD = 8  # bytes
NAME = b"Sentiflow".ljust(12, b"\0")
_MAX_INTERVALS = 16_000  # a segment has room for 65,533 bytes
_MAX_BYTES_PER_PIXEL = 10  # 26 bits for each of three values
EOI = b"\xff\xd9"
_SOF0 = 0xC0
_SOS = 0xDA
_APP15 = 0xEF

# Bytes of Pillow's buffer, of which memory is taken up as it is written to. A file with Huffman
# tables of its own must fit in.
BUFFER = 2**26
_buffer_lock = threading.Lock()
_buffer_users: list[int] = []  # for each encoder at work, the size that it found


def encode(pixels: np.ndarray, quality: int = QUALITY, subsampling: str = SUBSAMPLING) -> bytes:
    """The file of a picture.

    Args:
        pixels: uint8 [h, w, 3].
        quality: 1 to 95, as Pillow has it.
        subsampling: of chroma, a key of `UNITS`.

    Raises:
        OSError: no temporary file can be written.
    """
    height, width, _ = pixels.shape
    unit = UNITS[subsampling]
    units = interval_units(-(-width // unit), -(-height // unit))
    data = _compress(pixels, units, quality, subsampling)
    jfif, frame, scan = _segments(data)
    start = _fill(data[:jfif], behind=True)
    tables = _fill(data[jfif:scan])
    intervals, sizes = _align(np.frombuffer(data, np.uint8)[scan:])
    length = _round_up(4 + len(NAME) + 4 * (5 + len(sizes) + 4))
    begin = np.cumsum([0, len(start), length, len(tables), *sizes]) // WORD
    facts = [height, width, len(start) + len(tables) - (scan - frame), units * unit, len(sizes)]
    index = NAME + np.array([*facts, *begin], "<i4").tobytes()
    head = bytes([0xFF, _APP15]) + (length - 2).to_bytes(2, "big")
    return start + (head + index).ljust(length, b"\0") + tables + intervals


def _compress(pixels: np.ndarray, units: int, quality: int, subsampling: str) -> bytes:
    """Pillow's JPEG of a picture, uint8 [h, w, 3], with a restart marker after so many units."""
    own_tables = _MAX_BYTES_PER_PIXEL * pixels.shape[0] * pixels.shape[1] <= BUFFER
    # Into a real file, Pillow encodes without holding Python's lock.
    with _large_buffer(), tempfile.TemporaryFile() as file:
        Image.fromarray(pixels).save(
            file,
            "JPEG",
            quality=quality,
            subsampling=subsampling,
            optimize=own_tables,
            restart_marker_blocks=units,
        )
        file.seek(0)
        data = file.read()
    if not data.endswith(EOI):  # Pillow does not notice that a full disk took a part alone
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return data


@contextlib.contextmanager
def _large_buffer() -> Iterator[None]:
    """Gives Pillow a buffer of `BUFFER` bytes as long as any thread is inside."""
    with _buffer_lock:
        _buffer_users.append(ImageFile.MAXBLOCK)
        ImageFile.MAXBLOCK = BUFFER
    try:
        yield
    finally:
        with _buffer_lock:
            size = _buffer_users.pop()
            if not _buffer_users:
                ImageFile.MAXBLOCK = size


def interval_units(across: int, down: int) -> int:
    """Units in an interval, for a picture of so many units.

    As few as divide a row, but at least two.

    A single one would cost more for its marker than is saved by leaving it out.
    """
    fits = (n for n in range(2, across) if across % n == 0 and down * across // n <= _MAX_INTERVALS)
    return next(fits, across)


def _segments(data: bytes) -> tuple[int, int, int]:
    """Three positions in a JPEG file.

    Where the JFIF segment ends, where the frame header states the height, and where the coded
    blocks begin.
    """
    position = 2
    ends = []
    frame = 0
    marker = 0
    while marker != _SOS:
        marker = data[position + 1]
        if marker == _SOF0:
            frame = position + 5
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        ends.append(position)
    return ends[0], frame, ends[-1]


def _align(coded: np.ndarray) -> tuple[bytes, np.ndarray]:
    """The intervals filled to whole words, and how many bytes each then has."""
    markers = np.flatnonzero((coded[:-1] == 0xFF) & (coded[1:] != 0))
    sizes = np.diff(markers + 2, prepend=0)
    gaps = -sizes % WORD
    return np.insert(coded, np.repeat(markers, gaps), 0xFF).tobytes(), sizes + gaps


def _fill(part: bytes, *, behind: bool = False) -> bytes:
    """A part filled to whole words.

    The fill bytes lie in front of the marker that it begins with, or `behind` the part, in front of
    the marker that follows.
    """
    size = _round_up(len(part))
    return part.ljust(size, b"\xff") if behind else part.rjust(size, b"\xff")


def _round_up(size: int) -> int:
    return -(-size // WORD) * WORD
