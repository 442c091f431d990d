"""What tier `none` keeps in memory while the dataset grows: `python -m bench.memory`."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__, extra="bench")

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import tensorflow_datasets as tfds
from rich.console import Console

from sentiflow import cli, pipeline

from .contestants import CONTESTANTS
from .harness import runner
from .harness.inputs import STORAGES, prepare
from .harness.rows import Row
from .harness.settings import Settings
from .show.publish import publish
from .show.table import pipes, rich_table, setting

HEADINGS = ("work", "contestant", "images", "anonymous MiB", "total MiB", "images/s")


@click.command(cls=cli.Command)
@cli.options(Settings, exclude=("contestants", "csv", "plot"))
@click.option(
    "--times", default=10, show_default=True, type=click.IntRange(2), help="Growth of the dataset."
)
def main(times: int, **options: Any) -> None:
    """Streams an epoch of the dataset, and of one that holds every record several times; compares peak memory.

    Each measurement is a process of its own. Default work: augmented and crop.
    """
    settings = cli.build(Settings, options)
    rows = [row for pair in compare(settings, times) for row in pair]
    publish(rows, settings, show=print_table)


def compare(settings: Settings, times: int) -> Iterator[tuple[Row, Row]]:
    """Rows of every contestant of tier `none`, for the dataset and for the grown one."""
    data_dir, absent = prepare(settings)
    streams = [
        entry
        for entry in CONTESTANTS.values()
        if entry.tier == "none" and entry.storage not in absent
    ]
    with tempfile.TemporaryDirectory(prefix="bench-grown-") as folder:
        for storage in STORAGES:
            if storage not in absent:
                grow(
                    f"{settings.dataset}/{storage}",
                    data_dir=data_dir,
                    times=times,
                    target=Path(folder),
                )
        for work in settings.work:
            for entry in streams:
                small, large = (
                    _stream(entry.name, settings, work, root) for root in (data_dir, folder)
                )
                yield small, large


def _stream(name: str, settings: Settings, work: str, data_dir: str) -> Row:
    entry = CONTESTANTS[name]
    images = len(
        pipeline.open(f"{settings.dataset}/{entry.storage}", data_dir=data_dir).files(
            settings.split
        )
    )
    task = runner.make_task(entry, settings, work=work, data_dir=data_dir, photos="", images=images)
    return runner.run(entry, task, settings, judge=None)


def grow(name: str, *, data_dir: str, times: int, target: Path, copies: bool = False) -> None:
    """Makes a dataset in `target` that holds every record of another `times` times.

    Args:
        name: "name/config" of the other.
        data_dir: where that is.
        times: how often.
        target: the data_dir of the new one.
        copies: whether it is made of copies of the shards, or else of links to them, which take no
            room.
    """
    dataset, _, config = name.partition("/")
    source = tfds.core.read_only_builder.builder_from_files(
        dataset, config=config, data_dir=data_dir
    )
    version = target / dataset / config / str(source.version)
    version.mkdir(parents=True)
    for file in Path(source.data_dir).glob("*.*"):
        if file.suffix in (".json", ".txt"):
            shutil.copy(file, version)
    info = json.loads((version / "dataset_info.json").read_text(encoding="utf-8"))
    for split in info["splits"]:
        split["shardLengths"] *= times
        split["numBytes"] = str(times * int(split["numBytes"]))
    (version / "dataset_info.json").write_text(json.dumps(info), encoding="utf-8")
    grown = tfds.builder_from_directory(version)
    for split_name, split_info in source.info.splits.items():
        shards = [os.path.abspath(path) for path in split_info.filepaths]
        for i, link in enumerate(grown.info.splits[split_name].filepaths):
            (shutil.copy if copies else os.symlink)(shards[i % len(shards)], link)


def print_table(rows: Sequence[Row], console: Console) -> None:
    """Peak memory of the dataset and of the grown one, one below the other."""
    title = "peak memory of an epoch and the timed windows, MiB"
    console.print(rich_table(title, HEADINGS, map(_cells, rows), texts=2))


def markdown(rows: Sequence[Row]) -> str:
    """The same table as Markdown, and what it was measured on."""
    return f"{pipes(HEADINGS, map(_cells, rows), texts=2)}\n\n{setting(rows[-1])}"


def _cells(row: Row) -> tuple[str, ...]:
    sizes = [
        "-" if size is None else f"{size:,.0f}"
        for size in (row.peak_anonymous_mib, row.peak_total_mib)
    ]
    rate = row.status if row.images_per_second is None else f"{row.images_per_second:,.0f}"
    return row.work, row.contestant, f"{row.images:,}", *sizes, rate


if __name__ == "__main__":
    main()
