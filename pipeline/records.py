"""Where every image of a prepared dataset lies: an index over the shards that TFDS wrote, and reads by position.

A shard stores its records one behind the other, uncompressed, so a record can be read at random
from its offset alone. The index costs a few reads per record, none of pixels. It is what makes
exact permutations, exact resumption,
subsets and host shards cheap: all of them are arithmetic on positions.

Formats: https://www.tensorflow.org/tutorials/load_data/tfrecord (record framing and
`tf.train.Example`) and https://protobuf.dev/programming-guides/encoding (wire format).
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

import numpy as np

from sentiflow.options import InputError

_HEADER, _FOOTER = 12, 4  # bytes around a record: length and its checksum; checksum of the data
_CHUNK = 4096  # bytes fetched at once while indexing


@dataclasses.dataclass(frozen=True)
class Records:
    """The records of one split, in stored order; `take` selects and reorders.

    Attributes:
        paths: shard files.
        number: int64 [n], each record's number among those of the whole dataset.
        shard: int32 [n], the shard each record lies in.
        offset: int64 [n], first byte of the image's value in its shard.
        length: int64 [n], bytes of that value.
        shape: int32 [n, 2], stored height and width in pixels; zeros unless the storage is `raw`.
        label: int32 [n].
        filename: str [n].
        extra: further integer features by name, each int64 [n, ...]; of `stimuli_map`, first byte
            and length of the value in its shard, both 0 where there is none.
        storage: "original", "raw" or "jpeg".
    """

    paths: tuple[str, ...]
    number: np.ndarray
    shard: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    shape: np.ndarray
    label: np.ndarray
    filename: np.ndarray
    extra: dict[str, np.ndarray]
    storage: str

    def __len__(self) -> int:
        return len(self.label)

    def take(self, chosen: np.ndarray | slice) -> Records:
        """The records that a boolean mask, an array of positions or a slice names."""
        names = ("number", "shard", "offset", "length", "shape", "label", "filename")
        arrays = {name: getattr(self, name)[chosen] for name in names}
        return dataclasses.replace(
            self, **arrays, extra={name: value[chosen] for name, value in self.extra.items()}
        )

    def compact(self) -> Records:
        """The same records, of whose shards those without any are left out: what is mapped is no more than is read."""
        used, shard = np.unique(self.shard, return_inverse=True)
        return dataclasses.replace(
            self, paths=tuple(self.paths[number] for number in used), shard=shard.astype(np.int32)
        )


def read_index(paths: Sequence[str], *, storage: str) -> Records:
    """Indexes all records of a dataset.

    Args:
        paths: its shards, split after split.
        storage: "original", "raw" or "jpeg".

    Raises:
        InputError: a shard is damaged.
    """
    rows: list[dict[str, Any]] = []
    shard: list[int] = []
    for number, path in enumerate(paths):
        for row in _rows(path):
            rows.append(row)
            shard.append(number)
    value = "image/value" if rows and "image/value" in rows[0] else "image"
    places = np.array([row[value] for row in rows], np.int64).reshape(-1, 2)
    shape = [row["image/shape"][:2] if "image/shape" in row else (0, 0) for row in rows]
    extra = [name for name in ("agreement", "validation", "fold") if rows and name in rows[0]]
    integers: dict[str, np.ndarray] = {
        name: np.array([row[name] for row in rows], np.int64) for name in extra
    }
    if rows and "stimuli_map" in rows[0]:
        integers["stimuli_map"] = np.array(
            [row["stimuli_map"] or (0, 0) for row in rows], np.int64
        ).reshape(-1, 2)
    return Records(
        paths=tuple(paths),
        number=np.arange(len(rows)),
        shard=np.array(shard, np.int32),
        offset=places[:, 0],
        length=places[:, 1],
        shape=np.array(shape, np.int32).reshape(-1, 2),
        label=np.array([row["label"][0] for row in rows], np.int32),
        filename=np.array([row["filename"] for row in rows], object),
        extra=integers,
        storage=storage,
    )


def _rows(path: str) -> Iterator[dict[str, Any]]:
    """Features of every record of a shard: integers as lists, `filename` as text, other bytes as (offset, length)."""
    with open(path, "rb", buffering=_CHUNK) as file:
        end = os.fstat(file.fileno()).st_size
        start = 0
        while start < end:
            file.seek(start)
            length = int.from_bytes(file.read(8), "little")
            following = start + _HEADER + length + _FOOTER
            if following > end:
                raise InputError(
                    f"{path} is cut short or damaged at byte {start}; rebuild the dataset."
                )
            yield _features(file, start + _HEADER, start + _HEADER + length)
            start = following


def _features(file: BinaryIO, start: int, end: int) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for _, features, features_end in _fields(file, start, end):  # Example.features
        for _, entry, entry_end in _fields(file, features, features_end):  # Features.feature, a map
            (_, key, key_end), (_, feature, feature_end) = _fields(file, entry, entry_end)
            name = _bytes(file, key, key_end).decode()
            for kind, values, values_end in _fields(file, feature, feature_end):  # Feature.kind
                row[name] = _values(file, name, kind, values, values_end)
    return row


def _values(file: BinaryIO, name: str, kind: int, start: int, end: int) -> Any:
    if kind == 3:  # Int64List, packed
        packed = b"".join(_bytes(file, *place) for _, *place in _fields(file, start, end))
        return _varints(packed)
    places = (
        [(first, last - first) for _, first, last in _fields(file, start, end)] if kind == 1 else []
    )
    if name == "filename" and places:
        return _bytes(file, places[0][0], sum(places[0])).decode()
    return places[0] if len(places) == 1 else places


def _fields(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(number, first byte, end) of each length-delimited field of the message in bytes [start, end)."""
    while start < end:
        file.seek(start)
        head = file.read(min(11, end - start))
        number, size, used = head[0] >> 3, 0, 1
        while True:
            size |= (head[used] & 0x7F) << 7 * (used - 1)
            used += 1
            if head[used - 1] < 0x80:
                break
        yield number, start + used, start + used + size
        start += used + size


def _bytes(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)


def _varints(packed: bytes) -> list[int]:
    values, value, shift = [], 0, 0
    for byte in packed:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            values.append(value - (1 << 64) if value >> 63 else value)
            value, shift = 0, 0
    return values
