"""Whether a picture file holds all of its pixels, where Pillow decodes what is left of them."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator

import simplejpeg

# A JPEG decoder's warnings that mean other pixels. Bytes that are left over before the end of the
# picture mean it only if they are many: cameras and tools leave some.
_LOST = re.compile(
    r"premature end of data segment|bad Huffman code|bad progressi"
    r"|extraneous bytes before marker 0x(?!d9)|expected marker|instead of RST"
)
_LEFT_OVER = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_MOST_LEFT_OVER = 0.01  # of the file

_PNG_END = b"IEND\xae\x42\x60\x82"
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by the colour type of a PNG
# First column and row, and steps between columns and rows, of the passes of an interlaced PNG
# (ISO/IEC 15948, 8.2).
_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
_PIECE = 2**20  # bytes that are unpacked at a time


def jpeg_damage(data: bytes) -> str:
    """What a JPEG file's decoder warns of if it means that pixels are lost; empty if nothing.

    Only the coded blocks are read: one pixel of eight by eight is computed.
    """
    try:
        simplejpeg.decode_jpeg(data, colorspace="GRAY", min_height=1, min_width=1, strict=True)
    except ValueError as warning:
        text = str(warning)
        left_over = _LEFT_OVER.search(text)
        if _LOST.search(text) or (left_over and int(left_over[1]) > _MOST_LEFT_OVER * len(data)):
            return text
    return ""


def png_is_complete(data: bytes) -> bool:
    """Whether a PNG file, whose checksums are right, holds all rows and ends as it should."""
    if _PNG_END not in data:
        return False
    left = _png_bytes(*struct.unpack(">IIBBxxB", data[16:29]))
    inflate = zlib.decompressobj()
    for part in _png_pixels(data):
        while part and left > 0:
            left -= len(inflate.decompress(part, _PIECE))
            part = inflate.unconsumed_tail
    return left <= 0


def _png_bytes(width: int, height: int, depth: int, kind: int, interlace: int) -> int:
    """Bytes of all rows when unpacked, each with one that names its filter."""
    total = 0
    for column, row, across, down in _PASSES if interlace else ((0, 0, 1, 1),):
        columns = -(-(width - column) // across)
        rows = -(-(height - row) // down)
        if columns > 0 and rows > 0:
            total += rows * (1 + -(-columns * depth * _CHANNELS[kind] // 8))
    return total


def _png_pixels(data: bytes) -> Iterator[bytes]:
    """The packed pixels, chunk by chunk."""
    start = 8
    while start + 12 <= len(data):
        length = int.from_bytes(data[start : start + 4], "big")
        if data[start + 4 : start + 8] == b"IDAT":
            yield data[start + 8 : start + 8 + length]
        start += 12 + length
