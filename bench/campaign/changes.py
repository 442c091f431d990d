"""Bytes changed at random: what rots on a disk, breaks off in a download, or is made on purpose."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

HEADER = 128  # bytes in which most formats keep the numbers that size what follows
# What a reader that trusts a file would allocate, or count down from.
NUMBERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)


def flip_bits(data: bytearray, rng: np.random.Generator) -> None:
    """Flips up to eight bits, anywhere."""
    for _ in range(rng.integers(1, 9)):
        data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))


def flip_in_header(data: bytearray, rng: np.random.Generator) -> None:
    """Flips one bit near the beginning."""
    data[rng.integers(min(HEADER, len(data)))] ^= 1 << int(rng.integers(8))


def truncate(data: bytearray, rng: np.random.Generator) -> None:
    """Cuts off the end."""
    del data[rng.integers(len(data)) :]


def zero_span(data: bytearray, rng: np.random.Generator) -> None:
    """Zeroes some bytes that follow each other."""
    begin, end = _span(data, rng)
    data[begin:end] = bytes(end - begin)


def repeat_span(data: bytearray, rng: np.random.Generator) -> None:
    """Writes some bytes that follow each other twice."""
    begin, end = _span(data, rng)
    data[end:end] = data[begin:end]


def change_number(data: bytearray, rng: np.random.Generator) -> None:
    """Writes a number that is often a limit near the beginning, in 1, 2 or 4 bytes."""
    size = int(rng.choice((1, 2, 4)))
    order = ("little", "big")[rng.integers(2)]
    number = int(rng.choice(NUMBERS)) % (1 << 8 * size)
    begin = rng.integers(min(HEADER, len(data)))
    data[begin : begin + size] = number.to_bytes(size, order)  # type: ignore[arg-type]


CHANGES: dict[str, Callable[[bytearray, np.random.Generator], None]] = {
    "flipped bits": flip_bits,
    "a flipped bit near the beginning": flip_in_header,
    "cut off": truncate,
    "a zeroed span": zero_span,
    "a repeated span": repeat_span,
    "another number near the beginning": change_number,
}


def change(data: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """Other bytes than those given, made by one of `CHANGES`, and its name."""
    while True:
        name = str(rng.choice(list(CHANGES)))
        changed = bytearray(data)
        CHANGES[name](changed, rng)
        if changed != data:
            return name, bytes(changed)


def _span(data: bytearray, rng: np.random.Generator) -> tuple[int, int]:
    begin = int(rng.integers(len(data)))
    return begin, begin + int(rng.integers(1, max(2, len(data) // 4)))
