"""What tier `none` keeps in memory while the dataset grows: `python -m bench.memory`."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__, extra="bench")

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from sentiflow import cli

from .contestants.task import Contestant
from .harness import runner
from .harness.grown import grow
from .harness.inputs import count_images, prepare
from .harness.rows import Row
from .harness.selection import choose
from .harness.settings import Settings
from .harness.storages import STORAGES
from .show.memory import print_table
from .show.publish import publish


@click.command(cls=cli.Command)
@cli.options(Settings, exclude=("contestants", "csv", "plot"))
@click.option(
    "--times", default=10, show_default=True, type=click.IntRange(2), help="Growth of the dataset."
)
def main(times: int, **options: Any) -> None:
    """Streams an epoch of the dataset, and of a grown one; compares peak memory.

    The grown one holds every record several times. Each measurement is a process of its own.
    Default work: augmented and crop.
    """
    settings = cli.build(Settings, options)
    publish(list(compare(settings, times)), settings, show=print_table)


def compare(settings: Settings, times: int) -> Iterator[Row]:
    """Rows of every contestant of tier `none`, first for the dataset, then for the grown one."""
    data_dir, absent = prepare(settings)
    present = [storage for storage in STORAGES if storage not in absent]
    with tempfile.TemporaryDirectory(prefix="bench-grown-") as folder:
        for storage in present:
            name = f"{settings.dataset}/{storage}"
            grow(name, data_dir=data_dir, times=times, target=Path(folder))
        for work in settings.work:
            for entry in choose("", (work,)):
                if entry.tier == "none" and entry.storage in present:
                    yield _stream(entry, settings, work, data_dir)
                    yield _stream(entry, settings, work, folder)


def _stream(entry: Contestant, settings: Settings, work: str, data_dir: str) -> Row:
    images = count_images(settings, entry.storage, data_dir)
    task = runner.make_task(entry, settings, work=work, data_dir=data_dir, photos="", images=images)
    return runner.run(entry, task, settings, judge=None)


if __name__ == "__main__":
    main()
