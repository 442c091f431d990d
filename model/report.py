"""`python -m model.report --run RUN | --set DIR`: one self-contained report.html.

It is of a run, or of a set of experiments.
"""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

from pathlib import Path

import click

from sentiflow import cli
from sentiflow.pipeline import InputError
from sentiflow.terminal import echo

from .reports.page import write_set
from .reports.run_page import write_run


@click.command(cls=cli.Command)
@click.option(
    "--run",
    "runs",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Run folder of model.train.",
)
@click.option(
    "--set",
    "sets",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Folder of model.experiments.",
)
def main(runs: tuple[Path, ...], sets: tuple[Path, ...]) -> None:
    """Makes report.html again, of runs and of sets of experiments."""
    if not runs and not sets:
        raise InputError("Name what to report on: --run RUN or --set DIR.")
    for folder in runs:
        echo(f"Written: {write_run(folder)}")
    for folder in sets:
        echo(f"Written: {write_set(folder)}")


if __name__ == "__main__":
    main()
