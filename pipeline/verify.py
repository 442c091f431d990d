"""`python -m pipeline.verify`: the checksums of all shards, and the index against them."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

import os
from collections.abc import Sequence
from pathlib import Path

import click

from sentiflow import cli
from sentiflow.terminal import echo

from .damage import shards_of, verify
from .dataset import open as open_dataset
from .settings import InputError
from .stored import INFO, METADATA


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
    shards = [shard for dataset in datasets for shard in shards_of(dataset.shards)]
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


if __name__ == "__main__":
    main()
