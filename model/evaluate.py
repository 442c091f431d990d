"""`python -m model.evaluate --run RUN --split S`: how good a trained network is."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

import dataclasses
import json
from pathlib import Path
from typing import Any

import click

from sentiflow import cli
from sentiflow.files import write_json
from sentiflow.terminal import echo

from .scores import split as split_scores
from .scores import stimuli
from .scores.predictions import MOST_CLASSES
from .training import checkpoint
from .training.record import MODELS


@click.command(cls=cli.Command)
@click.option(
    "--run",
    "folder",
    type=click.Path(path_type=Path),
    required=True,
    help="Run folder of model.train.",
)
@click.option("--split", default="test", help="Split of the run's dataset.")
@click.option(
    "--model",
    type=click.Choice(list(MODELS)),
    default="final",
    help="After the last, or the best epoch.",
)
@click.option(
    "--views",
    type=click.IntRange(1),
    help="Crops and mirror images to average, if not the run's own number.",
)
@click.option("--data_dir", help="Where the dataset is now, if not where the run found it.")
@click.option(
    "--stimuli",
    "score_stimuli",
    is_flag=True,
    help="Score activation maps against EmotionROI's stimuli maps.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def main(
    folder: Path,
    split: str,
    model: Any,
    views: int | None,
    data_dir: str | None,
    score_stimuli: bool,
    as_json: bool,
) -> None:
    """Accuracy, loss, per-class report, confusion matrix, F1 and calibration of a trained run.

    Written into the run folder as well: evaluation-, confusion-, report-, calibration- and
    predictions-SPLIT.
    """
    record, network = checkpoint.load(folder, model=model)
    if data_dir:
        settings = dataclasses.replace(record.train, data_dir=data_dir)
        record = dataclasses.replace(record, train=settings)
    stimuli_scores = stimuli.score_split(record, network, split=split) if score_stimuli else None
    evaluation = split_scores.evaluate(
        folder, record, network, split=split, model=model, views=views
    )
    suffix = split_scores.file_suffix(record, evaluation)
    printed = evaluation.as_json()
    if stimuli_scores:
        printed["stimuli"] = stimuli_scores.as_json()
        write_json(folder / f"stimuli-{suffix}.json", printed["stimuli"])
    if as_json:
        click.echo(json.dumps(printed))
        return
    if len(evaluation.class_names) <= MOST_CLASSES:
        echo(*(folder / f"report-{suffix}.txt").read_text().split("\n"))
    if stimuli_scores:
        echo(*stimuli.summary(stimuli_scores).split("\n"))
    echo(split_scores.summary(evaluation), f"Written: {folder}/*-{suffix}.*")


if __name__ == "__main__":
    main()
