"""Which records of a dataset are not as they were written, and an error that names them."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import track

from sentiflow import index, machine, tfrecord
from sentiflow.photo import BadImage

from .records import map_shard, scan_shard
from .settings import InputError


@dataclasses.dataclass(frozen=True)
class Shard:
    """One file of a dataset, and the rows that the index has of it.

    Attributes:
        path: of the file.
        number: of the shard in the dataset.
        columns: of the dataset's index; None without one.
    """

    path: str
    number: int
    columns: index.Columns | None


@contextlib.contextmanager
def named(paths: Sequence[str]) -> Iterator[None]:
    """Makes of a decoder's error about bytes that it cannot read one that names the record.

    Args:
        paths: shards of the dataset that is read meanwhile.

    Raises:
        InputError: one of them is damaged; any other error stays what it is.
    """
    try:
        yield
    except (tf.errors.InvalidArgumentError, tf.errors.DataLossError, BadImage):
        fault = next(verify(shards_of(paths)), None)
        if fault is None:
            raise
        raise InputError(f"{fault} Rebuild the dataset, or copy it anew.") from None


def shards_of(paths: Sequence[str]) -> list[Shard]:
    """The files of a dataset, given split after split, each with its rows of the index."""
    columns = index.read(paths)
    return [Shard(path, number, columns) for number, path in enumerate(paths)]


def verify(shards: Sequence[Shard]) -> Iterator[str]:
    """What is wrong with each shard that is damaged, one line each, in order."""
    console = Console(stderr=True)
    with ThreadPoolExecutor(machine.cores()) as pool:
        for fault in track(
            pool.map(check, shards),
            total=len(shards),
            description="Verifying shards",
            console=console,
            disable=not console.is_terminal,
        ):
            if fault is not None:
                yield fault


def check(shard: Shard) -> str | None:
    """What is wrong with a shard; None if nothing is."""
    try:
        return _bad_record(shard.path) or _bad_index(shard)
    except InputError as error:
        return str(error)


def _bad_record(path: str) -> str | None:
    """The first record that is not as its checksums say, with its image's name where it is legible.

    TensorFlow's own reader compares both checksums of a record, of its length and of its data
    (masked CRC-32C), and reads nothing behind the first damaged one.
    """
    if not os.path.exists(path):
        return f"{path} is missing."
    records = tf.data.TFRecordDataset(path, buffer_size=2**20)
    try:
        records.reduce(np.int64(0), lambda count, _: count + 1)
    except tf.errors.DataLossError:
        number = _intact(records)
        return f"{path}: record {number}{_image(path, number)} is damaged."
    return None


def _intact(records: tf.data.Dataset) -> int:
    """How many records can be read."""
    count = 0
    try:
        for _ in records:
            count += 1
    except tf.errors.DataLossError:
        pass
    return count


def _image(path: str, number: int) -> str:
    """The file name of a record's image, in brackets; empty where it cannot be read."""
    try:
        with map_shard(path) as data:
            for position, (start, length) in enumerate(tfrecord.records(data, path)):
                if position == number:
                    span = tfrecord.features(data, start, length)["filename"][0]
                    if isinstance(span, tuple):
                        first, size = span
                        return f" ({data[first : first + size].decode()})"
    except (InputError, ValueError, LookupError):
        pass
    return ""


def _bad_index(shard: Shard) -> str | None:
    """The first row of the index that does not lead to its record; the shard itself is sound."""
    if shard.columns is None:
        return None
    expected = scan_shard(shard.path)
    first, end = np.searchsorted(shard.columns["shard"], [shard.number, shard.number + 1])
    remedy = f"remove the folder {index.FOLDER} beside it."
    if end - first != len(expected["label"]):
        counts = f"{len(expected['label'])} records, the index {end - first}"
        return f"{shard.path}: holds {counts}; {remedy}"
    wrong = [name for name in expected if not _agrees(name, expected, shard.columns, first, end)]
    return f"{shard.path}: the index has another {', '.join(wrong)}; {remedy}" if wrong else None


def _agrees(
    name: str, expected: index.Columns, columns: index.Columns, first: int, end: int
) -> bool:
    """Whether the rows [first, end) of a column are those of the shard."""
    if name not in columns:
        return False
    begin = columns["name_begin"]
    if name == "names":
        return np.array_equal(columns[name][begin[first] : begin[end]], expected[name])
    if name == "name_begin":
        return np.array_equal(begin[first : end + 1] - begin[first], expected[name])
    return np.array_equal(columns[name][first:end], expected[name])
