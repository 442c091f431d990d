"""Where records, and the features in them, lie in a TFRecord file.

Formats: https://www.tensorflow.org/tutorials/load_data/tfrecord (record framing and
`tf.train.Example`) and https://protobuf.dev/programming-guides/encoding (wire format).
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator

from .options import InputError

HEADER = 12  # bytes before a record's data: its length, and the checksum of that
FOOTER = 4  # bytes behind the data: its checksum
_BYTES_LIST, _INT64_LIST = 1, 3  # fields of tf.train.Feature

Buffer = bytes | mmap.mmap
Span = tuple[int, int]  # first byte and length
Features = dict[str, list[Span] | list[int]]


def records(shard: Buffer, path: str) -> Iterator[Span]:
    """Where the data of every record of a shard lies.

    Args:
        shard: the bytes of the file.
        path: its name, for the error.

    Raises:
        InputError: a record does not end within the file.
    """
    start = 0
    while start < len(shard):
        length = int.from_bytes(shard[start : start + 8], "little")
        following = start + HEADER + length + FOOTER
        if following > len(shard):
            raise InputError(
                f"{path} is cut short or damaged at byte {start}; rebuild the dataset."
            )
        yield start + HEADER, length
        start = following


def features(buffer: Buffer, start: int, length: int) -> Features:
    """The features of a serialised `tf.train.Example`.

    Args:
        buffer: holds the example.
        start: its first byte.
        length: its bytes.

    Returns:
        By name: integers as they are, of byte strings where in the buffer each lies. Floats are
        left out.

    Raises:
        ValueError: the bytes are no example.
    """
    features: Features = {}
    try:
        for _, example_start, example_end in _fields(buffer, start, start + length):
            for _, entry_start, entry_end in _fields(buffer, example_start, example_end):
                name, values = _entry(buffer, entry_start, entry_end)
                if values is not None:
                    features[name] = values
    except (IndexError, ValueError) as error:
        raise ValueError(f"no tf.train.Example ({error})") from None
    return features


def _entry(buffer: Buffer, start: int, end: int) -> tuple[str, list[Span] | list[int] | None]:
    """Name and values of one entry of the map `Features.feature`."""
    (_, name_start, name_end), (_, feature_start, feature_end) = _fields(buffer, start, end)
    name = buffer[name_start:name_end].decode()
    for kind, list_start, list_end in _fields(buffer, feature_start, feature_end):
        values = list(_fields(buffer, list_start, list_end))
        if kind == _BYTES_LIST:
            return name, [(first, last - first) for _, first, last in values]
        if kind == _INT64_LIST:  # packed
            return name, _varints(b"".join(buffer[first:last] for _, first, last in values))
    return name, None


def _fields(buffer: Buffer, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(number, first byte, end) of each length-delimited field of the message in [start, end)."""
    while start < end:
        number = buffer[start] >> 3
        size, first = _varint(buffer, start + 1)
        start = first + size
        if start > end:
            raise ValueError(f"a field ends at byte {start}, its message at {end}")
        yield number, first, start


def _varint(buffer: Buffer, start: int) -> tuple[int, int]:
    """The integer at a byte, unsigned, and where it ends."""
    value = 0
    shift = 0
    while True:
        byte = buffer[start]
        start += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, start


def _varints(packed: bytes) -> list[int]:
    """The signed integers of 64 bits that lie one behind the other."""
    values = []
    start = 0
    while start < len(packed):
        value, start = _varint(packed, start)
        values.append(value - (1 << 64) if value >> 63 else value)
    return values
