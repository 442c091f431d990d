"""`python -m model.experiments --out DIR`: nine experiments, or an ablation, as a set of runs.

OUT/runs/NAME/ are run folders as `model.train` writes them; OUT/results.json has a row for each,
OUT/table.md is the table, OUT/report.html the report. The same command goes on where it was
stopped.
"""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from rich.console import Console

from sentiflow import cli, pipeline

from .settings import TrainSettings
from .training import protocols, recipe
from .training.alone import alone
from .training.plan import perform, plan


@click.command(cls=cli.Command)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder the set is written to.",
    cls=cli.Option,
    group="output",
)
@click.option(
    "--only",
    help="Numbers of experiments, such as 1,8.  [default: all; with --ablation, 1]",
    cls=cli.Option,
    group="set",
)
@click.option(
    "--config",
    default="raw256",
    help="Storage config of the datasets; every division of it is used.",
    cls=cli.Option,
    group="set",
)
@click.option(
    "--seeds",
    type=click.IntRange(1),
    default=1,
    help="Repeats; the first has the seed --seed.",
    cls=cli.Option,
    group="set",
)
@click.option(
    "--folds",
    is_flag=True,
    help="Twitter I: 5-fold cross-validation at each agreement level as well.",
    cls=cli.Option,
    group="set",
)
@click.option(
    "--ablation",
    is_flag=True,
    help="Variations of the recipe in the experiment's stead.",
    cls=cli.Option,
    group="set",
)
@click.option(
    "--sequential",
    is_flag=True,
    help="One run after the other, each with a backbone of its own.",
    cls=cli.Option,
    group="set",
)
@cli.options(TrainSettings, exclude=("dataset", "learning_rate", "epochs"))
@cli.options(pipeline.Settings, exclude=("preprocess", "batch_size", "agreement", "fold"))
@click.pass_context
def main(
    context: click.Context,
    out: Path,
    only: str | None,
    config: str,
    seeds: int,
    folds: bool,
    ablation: bool,
    sequential: bool,
    **options: Any,
) -> None:
    """The nine experiments of the reference system, their results beside the published ones.

    Runs that share a frozen backbone are trained in one pass. The same command goes on after an
    interruption.
    """
    console = Console()
    given = {
        name
        for name in options
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    options = recipe.fill_in(options, given)
    settings = cli.build(TrainSettings, options)
    inputs = cli.build(pipeline.Settings, options)
    if ablation:
        only = only or "1"
    available = protocols.available
    planned = plan(
        protocols.choose(only) if only else available(config, settings.data_dir, console),
        settings,
        inputs,
        out=out,
        config=config,
        seeds=seeds,
        folds=folds,
        variants=recipe.ABLATION if ablation else None,
    )
    with alone(out):
        perform(planned, out=out, sequential=sequential, console=console)


if __name__ == "__main__":
    main()
