"""Datasets that hold every record of another several times, and the pages of their files."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import tensorflow_datasets as tfds

from sentiflow import index
from sentiflow.pipeline import records

INFO = "dataset_info.json"


def grow(
    name: str,
    *,
    data_dir: str,
    times: int,
    target: Path,
    copies: bool = False,
    indexed: bool = True,
) -> None:
    """Makes a dataset in `target` that holds every record of another `times` times.

    Args:
        name: "name/config" of the other.
        data_dir: where that is.
        times: how often.
        target: the data_dir of the new one.
        copies: whether it is made of copies of the shards, or else of links to them, which take no
            room.
        indexed: whether it has an index, as a builder would write it.
    """
    dataset, _, config = name.partition("/")
    source = tfds.core.read_only_builder.builder_from_files(
        dataset, config=config, data_dir=data_dir
    )
    version = target / dataset / config / str(source.version)
    _write_info(Path(source.data_dir), version, times)
    grown = tfds.builder_from_directory(version)
    make = shutil.copy if copies else os.symlink
    for split, info in source.info.splits.items():
        shards = [os.path.abspath(path) for path in info.filepaths]
        for i, path in enumerate(grown.info.splits[split].filepaths):
            make(shards[i % len(shards)], path)
    if indexed:
        paths = [str(path) for split in grown.info.splits.values() for path in split.filepaths]
        index.write(records.scan(paths), version / index.FOLDER)


def _write_info(source: Path, target: Path, times: int) -> None:
    """Copies what describes a dataset, with `times` the shards."""
    target.mkdir(parents=True)
    for file in source.glob("*.*"):
        if file.suffix in (".json", ".txt"):
            shutil.copy(file, target)
    info = json.loads((target / INFO).read_text(encoding="utf-8"))
    for split in info["splits"]:
        split["shardLengths"] *= times
        split["numBytes"] = str(times * int(split["numBytes"]))
    (target / INFO).write_text(json.dumps(info), encoding="utf-8")


def evict(folder: Path) -> None:
    """Has the system drop the pages of all files below a folder from its cache.

    Maps of them elsewhere keep theirs.
    """
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())  # pages that are not on disk yet would stay
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
