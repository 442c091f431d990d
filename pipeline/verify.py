"""`python -m pipeline.verify`: the checksums of all shards, and the index against them."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

import dataclasses
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import click
import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import numpy as np
import tensorflow as tf
from rich.console import Console
from rich.progress import track

from sentiflow import cli, index, machine, tfrecord
from sentiflow.terminal import echo

from .dataset import Dataset
from .dataset import open as open_dataset
from .records import map_shard, scan_shard
from .settings import InputError
from .stored import INFO, METADATA

# Columns that tell the shards apart, not what one of them holds.
_OF_THE_SET = ("shard_names", "shard_bytes", "shard")


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


@click.command(cls=cli.Command)
@click.option("--data_dir", default="data", help="The folder given to `tfds build --data_dir`.")
@click.option(
    "--dataset",
    "names",
    multiple=True,
    help="NAME/CONFIG of a prepared dataset; repeatable. Default: all in the folder.",
)
def main(data_dir: str, names: Sequence[str]) -> None:
    """Compares every record with its checksums, and the index with the records, on all cores."""
    datasets = [open_dataset(name, data_dir=data_dir) for name in names or find(data_dir)]
    shards = [shard for dataset in datasets for shard in shards_of(dataset)]
    faults = list(verify(shards))
    for fault in faults:
        echo(fault, err=True)
    if faults:
        raise InputError(f"{len(faults)} of {len(shards)} shards are damaged; rebuild the dataset.")
    unindexed = sum(shard.columns is None for shard in shards)
    note = f"; {unindexed} have no index of theirs" if unindexed else ""
    echo(f"{len(shards)} shards of {len(datasets)} datasets are as they were written{note}.")


def find(data_dir: str) -> list[str]:
    """The prepared datasets in a folder, as NAME/CONFIG:VERSION.

    Raises:
        InputError: there is none.
    """
    folders = [path.parent for path in sorted(Path(data_dir).glob(f"*/*/*/{METADATA}"))]
    whole = [folder.parts[-3:] for folder in folders if (folder / INFO).exists()]
    if not whole:
        raise InputError(f"No prepared dataset in {os.path.abspath(data_dir)}.")
    return [f"{name}/{config}:{version}" for name, config, version in whole]


def shards_of(dataset: Dataset) -> list[Shard]:
    """The files of a dataset, split after split."""
    columns = index.read(dataset.shards)
    return [Shard(path, number, columns) for number, path in enumerate(dataset.shards)]


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
    collector = index.Collector()
    scan_shard(shard.path, collector, shard=shard.number)
    expected = collector.columns([shard.path])
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
    if name in _OF_THE_SET:
        return True
    if name not in columns:
        return False
    begin = columns["name_begin"]
    if name == "names":
        return np.array_equal(columns[name][begin[first] : begin[end]], expected[name])
    if name == "name_begin":
        return np.array_equal(begin[first : end + 1] - begin[first], expected[name])
    return np.array_equal(columns[name][first:end], expected[name])


if __name__ == "__main__":
    main()
