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

from sentiflow import cli, faults, pipeline
from sentiflow.pipeline import InputError

from .settings import TrainSettings
from .training import loop, recipe
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
@cli.options(TrainSettings)
@cli.options(pipeline.Settings, exclude=("preprocess",))
@click.pass_context
def main(context: click.Context, out: Path, resume: bool, **options: Any) -> None:
    """Train a classifier and evaluate it. Without options: experiment 1 of the reference system.

    The run folder holds settings, history, checkpoint, models, plots and the evaluation of the test
    split.
    """
    given = {
        name: value
        for name, value in options.items()
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    if resume and is_run(out):
        stored = read_record(out)
        options = dataclasses.asdict(stored.train) | dataclasses.asdict(stored.inputs) | given
    else:
        options = recipe.fill_in(options, set(given))
    settings = cli.build(TrainSettings, options)
    inputs = cli.build(pipeline.Settings, options)
    try:
        loop.train(settings, inputs, out=out, resume=resume)
    except OSError as error:
        fault = faults.find(error)
        if fault is None or not is_run(out):
            raise
        raise InputError(f"{faults.line(fault)} Pass --resume then.") from error


if __name__ == "__main__":
    main()
