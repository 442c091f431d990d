"""How fast datasets are built, with one core and with all: `python -m bench.build`.

Every build is a process of its own, and its clock starts after the imports. Builds with one core
and with all take turns, so that a slow spell of the machine falls on both.
"""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console

from sentiflow import cli

from .harness import builds
from .harness.rows import Row, write_json
from .harness.storages import STORAGES
from .show.builds import print_table


@click.command(cls=cli.Command)
@click.option(
    "--manual_dir",
    required=True,
    type=click.Path(exists=True, file_okay=False),
    help="As for `tfds build`.",
)
@click.option("--dataset", default="emotionroi", help="Name of the dataset.")
@click.option("--storages", default=",".join(STORAGES), help="Names, separated by commas.")
@click.option(
    "--pairs",
    default=5,
    type=click.IntRange(1),
    help="Builds with one core and with all, of each storage.",
)
@click.option(
    "--json", "path", type=click.Path(dir_okay=False, path_type=Path), help="File for the rows."
)
def main(manual_dir: str, dataset: str, storages: str, pairs: int, path: Path | None) -> None:
    """Builds the dataset again and again; shows images/s, seconds and bytes by storage.

    What is built lies in a temporary folder.
    """
    rows = [
        row
        for storage in storages.split(",")
        for row in time_pairs(dataset, storage, manual_dir, pairs)
    ]
    print_table(rows, Console())
    if path is not None:
        write_json(rows, path)


def time_pairs(dataset: str, storage: str, manual_dir: str, pairs: int) -> Iterator[Row]:
    """The rows of one storage: with one core, and with all."""
    results: dict[str, list[builds.Result]] = {builds.ONE: [], builds.ALL: []}
    for _ in range(pairs):
        for name, limit in ((builds.ONE, 1), (builds.ALL, 0)):
            results[name].append(builds.build(dataset, storage, manual_dir, limit))
    for name, measured in results.items():
        yield builds.make_row(name, storage, dataset, measured)


if __name__ == "__main__":
    main()
