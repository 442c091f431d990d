"""What this machine allows, in the rows of `bench.throughput`: `python -m bench.limits`."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__, extra="bench")

from typing import Any

import click
from rich.console import Console

from sentiflow import cli

from .harness.bounds import find_limits
from .harness.settings import Settings
from .show.bounds import print_bounds
from .show.publish import publish


@click.command(cls=cli.Command)
@cli.options(Settings, exclude=("work", "contestants"))
def main(**options: Any) -> None:
    """Times what no loader can beat on this machine.

    That is JPEG decoding, copies of windows and of memory, and reads of the disk.
    """
    settings = cli.build(Settings, options)
    rows = list(find_limits(settings))
    print_bounds(rows, Console(stderr=True))
    publish(rows, settings)


if __name__ == "__main__":
    main()
