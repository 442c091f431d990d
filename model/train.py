"""`python -m model.train --dataset D --data_dir DIR --out RUN`: one training run.

The defaults are experiment 1.
"""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

import dataclasses
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console

from sentiflow import cli, faults, pipeline
from sentiflow.pipeline import InputError

from .settings import TrainSettings
from .training import loop, parallel, recipe
from .training.record import is_run, read_record


@click.command(cls=cli.Command)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder the run is written to.",
    cls=cli.Option,
    group="output",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the run in --out; its settings are the defaults then.",
    cls=cli.Option,
    group="output",
)
@click.option(
    "--devices",
    type=click.Choice(["one", "all"]),
    default="one",
    show_default=True,
    help="Train on one device, or on all of this machine (on JAX).",
    cls=cli.Option,
    group="computation",
)
@click.option(
    "--distributed",
    is_flag=True,
    help="Train on the devices of several processes, each started with this command (on JAX).",
    cls=cli.Option,
    group="computation",
)
@cli.options(TrainSettings)
@cli.options(pipeline.Settings, exclude=("preprocess",))
@click.pass_context
def main(
    context: click.Context,
    out: Path,
    resume: bool,
    devices: str,
    distributed: bool,
    **options: Any,
) -> None:
    """Train a classifier and evaluate it. Without options: experiment 1 of the reference system.

    The run folder holds settings, history, checkpoint, models, plots and the evaluation of the test
    split.
    """
    given = {
        name: value
        for name, value in options.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    with (
        parallel.joined(devices=devices, distributed=distributed),
        parallel.run_folder(out) as folder,
    ):
        _train(folder, resume, options, given)


def _train(out: Path, resume: bool, options: dict[str, Any], given: dict[str, Any]) -> None:
    if resume and is_run(out):
        stored = read_record(out)
        options = dataclasses.asdict(stored.train) | dataclasses.asdict(stored.inputs) | given
    else:
        options = recipe.fill_in(options, set(given))
    settings = cli.build(TrainSettings, options)
    inputs = cli.build(pipeline.Settings, options)
    try:
        loop.train(settings, inputs, out=out, resume=resume, console=_console())
    except OSError as error:
        fault = faults.find(error)
        if fault is None or not is_run(out):
            raise
        raise InputError(f"{faults.line(fault)} Pass --resume then.") from error


def _console() -> Console:
    """Where progress is shown: of several processes by the first alone."""
    return Console(quiet=parallel.part()[0] > 0)


if __name__ == "__main__":
    main()
