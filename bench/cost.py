"""What a dataset of any size costs, by rows that were measured: `python -m bench.cost`.

Prices are the reader's: core hours, bytes and Gbit/s are what they are multiplied with.
"""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

from pathlib import Path

import click
from rich.console import Console

from sentiflow import cli
from sentiflow.pipeline import InputError

from .harness import cost
from .show import costs
from .show.table import rich_table


@click.command(cls=cli.Command)
@click.option(
    "--images",
    type=click.IntRange(1),
    multiple=True,
    default=costs.IMAGES,
    help="How many; repeatable.  [default: a million to a billion]",
)
@click.option(
    "--gbit",
    type=click.FloatRange(0, min_open=True),
    default=costs.GBIT,
    show_default=True,
    help="Gbit/s of the network that it is copied over.",
)
@click.option(
    "--cores",
    type=click.IntRange(1),
    default=costs.CORES,
    show_default=True,
    help="Cores that build.",
)
@click.option(
    "--rows",
    type=click.Path(file_okay=False, path_type=Path),
    default="docs",
    show_default=True,
    help="Folder of build.json, throughput.json and growth.json.",
)
def main(images: tuple[int, ...], gbit: float, cores: int, rows: Path) -> None:
    """Tells what builds, copies and streams of large datasets take, and where what ends.

    The constants are rows of `bench.build`, `bench.throughput` and `bench.growth`.
    """
    try:
        model = cost.read_model(rows)
    except FileNotFoundError as error:
        rule = f"{error.filename} is missing"
        raise InputError(f"{rule}; bench/measure.sh makes it, or name another --rows.") from None
    console = Console()
    for title, headings, lines in costs.tables(model, images=images, gbit=gbit, cores=cores):
        console.print(rich_table(title, headings, lines))


if __name__ == "__main__":
    main()
