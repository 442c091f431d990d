"""The page of a run: everything is read from the files of its folder.

Only pictures and the dataset's card come from the dataset itself, and a page without them is
written where it is no longer to be had.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import keras
import numpy as np
from scipy.stats import binomtest

from sentiflow import pipeline
from sentiflow.pipeline import InputError

from ..scores import confusion, metrics
from ..scores.metrics import Scores
from ..scores.predictions import MOST_CLASSES, Predictions, read_predictions
from ..scores.split import Evaluation
from ..settings import TrainSettings
from ..training.checkpoint import load
from ..training.history import EpochRow, best_epoch, read_history
from ..training.record import RESUMABLE, Record, read_record
from . import card, charts, pictures
from .page import percent, write_page

MOST_BAD = 20  # files that are listed
WEAKEST = 20  # classes whose precision and recall are shown, of more than `MOST_CLASSES`

# Waiting for input below this share of the time is no bottleneck.
NEGLIGIBLE_WAITING = 0.02
# Differences between confidence and accuracy below this are not worth a word.
NEGLIGIBLE_BIAS = 0.02


def write_run(folder: Path, *, network: keras.Model | None = None) -> Path:
    """Writes the report of a run that has been evaluated.

    Args:
        folder: run folder.
        network: the run's network after its last epoch, if it is at hand; else it is loaded when
            pictures are drawn.

    Returns:
        The file.

    Raises:
        InputError: the folder holds no run, or one without history or evaluation.
    """
    record = read_record(folder)
    split = record.final_split
    history = read_history(folder)
    try:
        evaluation = Evaluation.read(folder / f"evaluation-{split}.json")
    except FileNotFoundError:
        raise InputError(
            f"{folder} holds an unfinished run: it has not been evaluated. Resume it first."
        ) from None
    names = evaluation.class_names
    predictions = read_predictions(folder / f"predictions-{split}.csv", names)
    facts = {
        "name": folder.resolve().name,
        "split": split,
        "result": evaluation.scores,
        "classes": names,
        "dataset": record.dataset,
        "train": record.train,
        "environment": _environment(record),
        "settings": compare_settings(record),
        "most_bad": MOST_BAD,
    }
    facts |= _of_history(record, history)
    facts |= _of_scores(evaluation.scores, predictions)
    facts |= _of_classes(evaluation.scores, names)
    facts |= _of_dataset(folder, record, network, predictions, split)
    return write_page(folder, "run", facts)


def _of_history(record: Record, history: list[EpochRow]) -> dict[str, Any]:
    held_out = record.held_out_split
    seconds = [row.seconds for row in history]
    waiting = sum(row.waiting_share * row.seconds for row in history) / max(sum(seconds), 1e-9)
    steady = [row.images_per_second for row in history[1:] or history]
    speed = {
        "median": float(np.median(steady)),
        "waiting": waiting,
        "charts": _speed_charts(history),
    }
    return {
        "history": history,
        "columns": [field.name for field in dataclasses.fields(EpochRow)],
        "train_last": history[-1],
        "held_out": held_out,
        "best": best_epoch(history),
        "seconds": sum(seconds),
        "speed": speed,
        "bottleneck": _bottleneck(waiting),
        "curves": charts.learning_curves(history, held_out),
    }


def _speed_charts(history: list[EpochRow]) -> list[charts.Chart]:
    rates = [row.images_per_second for row in history]
    waiting = [row.waiting_share for row in history]
    rate_axis = charts.value_axis(0.0, max(rates), text=charts.plain)
    wait_axis = charts.value_axis(0.0, max(*waiting, 0.05), text="{:.3g}".format)
    wait_axis = dataclasses.replace(
        wait_axis, ticks=[(value, f"{value:.0%}") for value, _ in wait_axis.ticks]
    )
    rate = [charts.Line("images/s", "held-out", rates)]
    wait = [charts.Line("waiting", "held-out", waiting)]
    return [
        charts.by_epoch("Training, images per second", rate, y=rate_axis, text=charts.plain),
        charts.by_epoch("Waiting for input, share of the time", wait, y=wait_axis, text=percent),
    ]


def _bottleneck(waiting: float) -> str:
    if waiting < NEGLIGIBLE_WAITING:
        return (
            "The network set the pace, not its input: training waited for pictures "
            f"{waiting:.1%} of the time."
        )
    return (
        f"Training waited for pictures {waiting:.1%} of the time; python -m bench.training tells "
        "which cache or storage would shorten that."
    )


def _of_scores(scores: Scores, predictions: Predictions) -> dict[str, Any]:
    matrix = scores.confusion_matrix
    right = int(matrix.diagonal().sum())
    # Wilson: "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22, 1927.
    interval = binomtest(right, scores.images).proportion_ci(0.95, method="wilson")
    calibration = metrics.calibration(predictions)
    return {
        "interval": (float(interval.low), float(interval.high)),
        "chance": float(matrix.sum(axis=1).max() / scores.images),
        "guessing_loss": math.log(matrix.shape[0]),
        "belief": _belief(float(predictions.confidence.mean()), scores.accuracy),
        "reliability": charts.reliability(calibration),
    }


def _of_classes(scores: Scores, class_names: list[str]) -> dict[str, Any]:
    """Confusion matrix and figures by class; of many classes, the most confused and weakest."""
    facts = {
        "confusions": confusion.confusions(scores.confusion_matrix, class_names),
        "matrix": confusion.table(scores.confusion_matrix, class_names),
        "rows": list(scores.per_class.items()),
        "by_f1": None,
    }
    if len(class_names) <= MOST_CLASSES:
        return facts
    rows = [row for row in scores.per_class.items() if row[1]["support"]]
    rows.sort(key=lambda row: (row[1]["f1-score"], -row[1]["support"]))
    by_f1 = charts.by_f1([row["f1-score"] for _, row in rows])
    return facts | {"rows": rows[:WEAKEST], "by_f1": by_f1}


def _belief(confidence: float, accuracy: float) -> str:
    means = f"Its mean confidence was {confidence:.1%}, its accuracy {accuracy:.1%}"
    if abs(confidence - accuracy) < NEGLIGIBLE_BIAS:
        return f"{means}: as sure as it should be."
    return f"{means}: {'surer' if confidence > accuracy else 'less sure'} than it should be."


@dataclasses.dataclass(frozen=True)
class Setting:
    """A setting of a run beside that of experiment 1, both as text, and what it means."""

    name: str
    value: str
    reference: str
    text: str
    differs: bool


def compare_settings(record: Record) -> list[Setting]:
    """Every setting of a run beside experiment 1's."""
    pairs: tuple[tuple[Any, Any], ...] = (
        (record.train, TrainSettings()),
        (record.inputs, pipeline.Settings()),
    )
    return [
        _setting(field, getattr(settings, field.name), getattr(reference, field.name))
        for settings, reference in pairs
        for field in dataclasses.fields(settings)
    ]


def _setting(field: dataclasses.Field[Any], value: object, reference: object) -> Setting:
    return Setting(
        field.name,
        _text(value),
        _text(reference),
        field.metadata["help"],
        value != reference and field.name not in RESUMABLE,
    )


def _text(value: object) -> str:
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return str(value) if is_number else card.as_text(value)


def _environment(record: Record) -> dict[str, str]:
    environment = record.environment
    facts = {
        "backend": environment.backend,
        "precision": environment.precision,
        "device": environment.device,
        "platform": environment.platform,
    }
    return {name: value for name, value in facts.items() if value} | environment.versions


def _of_dataset(
    folder: Path,
    record: Record,
    network: keras.Model | None,
    predictions: Predictions,
    split: str,
) -> dict[str, Any]:
    """Pictures, contact sheet and card; or, in `absent`, why there are none."""
    try:
        dataset_card = card.read_card(record)
        sheet = pictures.contact_sheet(record)
        network = network or load(folder)[1]
        right, wrong = pictures.most_confident(predictions)
        positions = np.concatenate([right, wrong])
        photos = pictures.photos(record, network, predictions, positions, split=split)
    except (InputError, OSError) as error:
        return {"absent": str(error), "sections": _sections(sheet=False)}
    headings = {
        "Right, surest of each class": photos[: len(right)],
        "Wrong, surest first": photos[len(right) :],
    }
    return {
        "card": dataset_card,
        "sheet": sheet,
        "pictures": headings,
        "sections": _sections(sheet=True),
    }


def _sections(*, sheet: bool) -> dict[str, str]:
    names = [
        "result",
        "curves",
        "classes",
        "calibration",
        "pictures",
        "speed",
        "settings",
        "augmentation",
        "dataset",
        "environment",
    ]
    return {name: name.capitalize() for name in names if sheet or name != "augmentation"}
