"""How many images per second every loader delivers: `python -m bench.throughput`."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__, extra="bench")

import itertools
from typing import Any

import click
from rich.console import Console

from sentiflow import cli
from sentiflow.terminal import printable

from .harness.bounds import find_limits
from .harness.comparison import compare
from .harness.rows import with_ratios
from .harness.settings import Settings
from .show.bounds import print_bounds
from .show.publish import publish
from .show.rates import progress


@click.command(cls=cli.Command)
@cli.options(Settings)
@click.option(
    "--limits/--no_limits", default=False, help="Time the bounds of the machine in the same run."
)
def main(limits: bool, **options: Any) -> None:
    """Times every loader at the same work on the same images, each in a process of its own.

    Batches are checked before the clock starts. Without --data_dir, sample photographs are drawn
    and built in ./demo. Leave the machine alone meanwhile.
    """
    settings = cli.build(Settings, options)
    console = Console(stderr=True)
    measured = []
    for row in itertools.chain(compare(settings), find_limits(settings) if limits else ()):
        measured.append(row)
        console.print(printable(progress(row)), highlight=False, markup=False)
    print_bounds(measured, console)
    publish(with_ratios(measured), settings)


if __name__ == "__main__":
    main()
