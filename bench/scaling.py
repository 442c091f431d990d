"""How speed and memory change with what they depend on: `python -m bench.scaling`.

That is batch, image and dataset size, cores, and what the page cache holds.
"""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__, extra="bench")

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from sentiflow import cli
from sentiflow.machine import commit, cores
from sentiflow.terminal import printable

from .harness.grid import IMAGE_SIZES, Point, grid, point_of
from .harness.inputs import count_images, prepare
from .harness.points import Input, possible
from .harness.rows import Row, read_json, write_json
from .harness.settings import Settings
from .harness.storages import STORAGES
from .show import curves
from .show.publish import publish

SIZED = tuple(f"{form}{size}" for size in IMAGE_SIZES for form in ("raw", "jpeg"))


@click.command(cls=cli.Command)
@cli.options(Settings, exclude=("work", "contestants", "batch_size", "csv"))
def main(**options: Any) -> None:
    """Times the tiers, the streams and the original generator under every setting of the grid.

    The grid stands in `bench.harness.grid`. Rows that --json holds already, from the same commit
    and as long a time, are kept: an interrupted run goes on. Datasets of other sizes are made of
    the same records, in the folder for temporary files (some 20 MB for each of its images, until
    the end). Leave the machine alone meanwhile.
    """
    settings = cli.build(Settings, options)
    console = Console(stderr=True)
    measured = []
    for row in measure(settings, kept(settings)):
        measured.append(row)
        console.print(
            printable(curves.progress(row)), highlight=False, soft_wrap=True, markup=False
        )
        if settings.json is not None:
            write_json(measured, settings.json)
    publish(measured, settings, show=curves.print_tables, draw=curves.plot)


def kept(settings: Settings) -> dict[Point, Row]:
    """The rows of an earlier run that need not be measured again."""
    if settings.json is None or not settings.json.exists():
        return {}
    setting = (commit(), settings.seconds)
    rows = [row for row in read_json(settings.json) if (row.commit, row.seconds) == setting]
    return {point_of(row): row for row in rows if row.status == "ok"}


def measure(settings: Settings, known: dict[Point, Row]) -> Iterator[Row]:
    """A row for each point of the grid: that of `known`, or one that is measured."""
    data_dir, absent = prepare(settings, tuple(dict.fromkeys((*STORAGES, *SIZED))))
    present = next(storage for storage in STORAGES if storage not in absent)
    images = count_images(settings, present, data_dir)
    with tempfile.TemporaryDirectory(prefix="bench-scaling-") as folder:
        source = Input(settings, data_dir, images, Path(folder), absent)
        for point in grid(images, cores()):
            if possible(point):
                yield known.get(point) or source.run(point)


if __name__ == "__main__":
    main()
