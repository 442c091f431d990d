"""The index of a prepared dataset: where the image of every record lies, in columns to be mapped.

The builder writes it beside the shards, into the folder `index`, one NumPy file a column. Rows are
in the order of the splits in `dataset_info.json`, and within a split in stored order:

    offset, length     int64 [n]       first byte of the image's value in its shard, and its bytes
    shard              int32 [n]       number of the shard, counted over all splits
    shape              int32 [n, 2]    stored height and width of `raw`; zeros for other storages
    label              int32 [n]
    name_begin         int64 [n + 1]   first byte of the file name in `names`, and where that ends
    names              uint8           all file names, in UTF-8
    feature.NAME       integers [n, k] of any other feature, in as few bytes as hold them all; of
                                       byte strings first byte and length, zeros where none is
    shard_names        bytes           file names of the shards
    shard_bytes        int64           and their sizes, by which an index of other shards is known
"""

from __future__ import annotations

import dataclasses
import os
from array import array
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from . import tfrecord

FOLDER = "index"
FEATURE = "feature."  # begins the name of a column that not every dataset has
_TYPES = {"offset": "<i8", "length": "<i8", "shape": "<i4", "label": "<i4"}  # of one shard's rows
_SMALL = ("<i1", "<i2", "<i4", "<i8")

Columns = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Names:
    """File names, each decoded when it is asked for.

    Attributes:
        text: uint8, UTF-8 of all of them.
        begin: int64 [n], first byte of each.
        end: int64 [n], where each ends.
    """

    text: np.ndarray
    begin: np.ndarray
    end: np.ndarray

    def __len__(self) -> int:
        return len(self.begin)

    def __iter__(self) -> Iterator[str]:
        text = self.text.data
        for begin, end in zip(self.begin.tolist(), self.end.tolist(), strict=True):
            yield str(text[begin:end], "utf-8")

    @overload
    def __getitem__(self, key: int | np.integer) -> str: ...

    @overload
    def __getitem__(self, key: np.ndarray | slice) -> Names: ...

    def __getitem__(self, key: Any) -> str | Names:
        if isinstance(key, int | np.integer):
            return self.text[self.begin[key] : self.end[key]].tobytes().decode()
        return Names(self.text, self.begin[key], self.end[key])


class Collector:
    """Collects the rows of one shard; a row takes some 100 bytes and its file name."""

    def __init__(self) -> None:
        self._columns: defaultdict[str, array[int]] = defaultdict(lambda: array("q"))
        self._names = bytearray()
        self._rows = 0

    def add(self, buffer: tfrecord.Buffer, start: int, length: int, *, at: int) -> None:
        """Adds the row of one record.

        Args:
            buffer: holds the record's data, a `tf.train.Example`.
            start: first byte of the data in the buffer.
            length: bytes of the data.
            at: first byte of the data in the shard.

        Raises:
            ValueError: the record holds no image, label or file name.
        """
        values = tfrecord.features(buffer, start, length)
        try:
            columns, name = _row(values, at - start)
        except (KeyError, IndexError) as error:
            raise ValueError(f"the record lacks the feature {error}") from None
        self._names += buffer[name[0] : sum(name)]
        columns["name_begin"] = [len(self._names)]  # of the next
        for column, numbers in columns.items():
            self._columns[column].extend(numbers)
        self._rows += 1

    def columns(self) -> Columns:
        """The rows, without what tells one shard from another; `join` adds it.

        Raises:
            ValueError: records differ in the features that they have.
        """
        columns: Columns = {name: np.zeros(0, kind) for name, kind in _TYPES.items()}
        columns |= {name: self._column(name) for name in sorted(self._columns)}
        columns["shape"] = columns["shape"].reshape(-1, 2)
        ends = columns.get("name_begin", np.zeros(0, np.int64))
        columns["name_begin"] = np.concatenate([np.zeros(1, np.int64), ends])
        columns["names"] = np.frombuffer(bytes(self._names), np.uint8)
        return columns

    def _column(self, name: str) -> np.ndarray:
        numbers = np.frombuffer(self._columns[name], np.int64)
        width, left = divmod(len(numbers), self._rows)
        if left:
            raise ValueError(_uneven(name))
        if name.startswith(FEATURE):
            return _narrowed(numbers.reshape(self._rows, width))
        shape = (self._rows, width) if name == "shape" else (self._rows,)
        return numbers.reshape(shape).astype(_TYPES.get(name, "<i8"))


def _row(features: tfrecord.Features, moved: int) -> tuple[dict[str, Sequence[int]], tfrecord.Span]:
    """The columns of one record, but for its name, and where in the buffer the name lies."""
    values: dict[str, Any] = dict(features)
    stored_as_tensor = "image/value" in values
    offset, length = values.pop("image/value" if stored_as_tensor else "image")[0]
    columns: dict[str, Sequence[int]] = {
        "offset": [offset + moved],
        "length": [length],
        "shape": values.pop("image/shape")[:2] if stored_as_tensor else [0, 0],
        "label": [values.pop("label")[0]],
    }
    name = values.pop("filename")[0]
    for feature, numbers in values.items():
        columns[FEATURE + feature.replace("/", ".")] = _further(numbers, moved)
    return columns, name


def _further(numbers: Sequence[Any], moved: int) -> Sequence[int]:
    """A feature as a row of a column; of at most one byte string, where it lies in the shard."""
    if not numbers:
        return (0, 0)
    if isinstance(numbers[0], tuple):
        offset, length = numbers[0]
        return (offset + moved, length)
    return numbers


def _narrowed(numbers: np.ndarray) -> np.ndarray:
    """The same integers in the smallest type that holds them all."""
    low = min(0, int(numbers.min()))
    high = max(0, int(numbers.max()))
    fitting = (k for k in _SMALL if np.iinfo(k).min <= low and high <= np.iinfo(k).max)
    return numbers.astype(next(fitting))


def join(parts: Sequence[Columns], shards: Sequence[str]) -> Columns:
    """The columns of a dataset.

    Args:
        parts: the rows of each shard.
        shards: paths of the shards, in the same order.

    Raises:
        ValueError: records differ in the features that they have.
    """
    rows = [len(part["label"]) for part in parts]
    # A shard without rows tells of no further features.
    filled = [part for part, count in zip(parts, rows, strict=True) if count] or list(parts[:1])
    names = sorted(set().union(*filled) - {"name_begin"})
    columns = {name: _joined(name, filled) for name in names}
    columns["shard"] = np.repeat(np.arange(len(parts), dtype="<i4"), rows)
    lengths = [np.diff(part["name_begin"]) for part in filled]
    columns["name_begin"] = np.cumsum(np.concatenate([np.zeros(1, np.int64), *lengths]))
    columns["shard_names"], columns["shard_bytes"] = shard_facts(shards)
    return columns


def _joined(name: str, parts: Sequence[Columns]) -> np.ndarray:
    if any(name not in part for part in parts) or len({part[name].shape[1:] for part in parts}) > 1:
        raise ValueError(_uneven(name))
    joined = np.concatenate([part[name] for part in parts])
    return _narrowed(joined) if name.startswith(FEATURE) else joined


def _uneven(name: str) -> str:
    return f"not all records have the same number of values of {name}"


def shard_facts(shards: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Names of the files, bytes [s], and their sizes in bytes, int64 [s]."""
    names = np.array([os.path.basename(path).encode() for path in shards], np.bytes_)
    sizes = np.array([os.stat(path).st_size for path in shards], np.int64)
    return names, sizes


def write(columns: Columns, folder: Path) -> None:
    """Writes an index into a folder, which is made."""
    folder.mkdir()
    for name, column in columns.items():
        np.save(folder / f"{name}.npy", column)


def read(shards: Sequence[str]) -> Columns | None:
    """Maps the index that lies beside the files `shards`; None where it is missing or of others."""
    folder = Path(shards[0]).parent / FOLDER
    try:
        columns = {path.stem: np.load(path, mmap_mode="r") for path in folder.glob("*.npy")}
        expected = shard_facts(shards)
        is_theirs = np.array_equal(columns["shard_names"], expected[0]) and np.array_equal(
            columns["shard_bytes"], expected[1]
        )
        return columns if is_theirs and _is_whole(columns) else None
    except Exception:  # NumPy raises errors of many types at a damaged header
        return None


def _is_whole(columns: Columns) -> bool:
    """Whether all columns are there, and as long as one another."""
    rows = len(columns["label"])
    further = [name for name in columns if name.startswith(FEATURE)]
    same = all(len(columns[name]) == rows for name in (*_TYPES, "shard", *further))
    begin = columns["name_begin"]
    return same and len(begin) == rows + 1 and begin[-1] == len(columns["names"])
