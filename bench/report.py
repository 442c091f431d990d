"""Prints rows as a Markdown table: `python -m bench.report FILE.json`."""

from __future__ import annotations

from pathlib import Path

import click

from sentiflow import cli
from sentiflow.terminal import echo

from .harness.rows import read_json
from .show.rates import markdown


@click.command(cls=cli.Command)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def main(file: Path) -> None:
    """Prints the rows that a benchmark wrote with --json as a Markdown table."""
    echo(*markdown(read_json(file)).split("\n"))


if __name__ == "__main__":
    main()
