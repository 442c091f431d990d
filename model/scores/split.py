"""A trained network on a whole split: every image counted once, and files about the outcome."""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from sentiflow import pipeline
from sentiflow.files import write_atomically, write_json
from sentiflow.pipeline import InputError

from ..reports import charts, plots
from ..training.record import Record
from . import confusion, metrics
from .metrics import Scores
from .predictions import Predictions


@dataclasses.dataclass(frozen=True, eq=False)
class Evaluation:
    """What `evaluation-SPLIT.json` holds.

    Attributes:
        dataset: name of the run's dataset.
        split: that was evaluated.
        model: which network of the run, `final` or `best`.
        views: how many views of an image were averaged.
        class_names: by label.
        scores: the figures; their keys stand beside the others in the file.
    """

    dataset: str
    split: str
    model: str
    views: int
    class_names: list[str]
    scores: Scores

    def as_json(self) -> dict[str, Any]:
        """The file's JSON object."""
        values = dict(vars(self))
        return values | values.pop("scores").as_json()

    @classmethod
    def read(cls, path: Path) -> Evaluation:
        """Reads the file.

        Raises:
            FileNotFoundError: it is not there.
            InputError: it is damaged.
        """
        names = [field.name for field in dataclasses.fields(cls)][:-1]
        try:
            values = json.loads(path.read_text())
            return cls(**{name: values[name] for name in names}, scores=Scores.read(values))
        except (ValueError, TypeError, LookupError, RecursionError) as error:
            rule = f"{path} is damaged ({error})"
            raise InputError(f"{rule}; write it anew with model.evaluate.") from None


def evaluate(
    folder: Path,
    record: Record,
    network: keras.Model,
    *,
    split: str,
    model: str = "final",
    views: int | None = None,
) -> Evaluation:
    """Evaluates a network of a run and writes the results into the run folder.

    Args:
        folder: run folder.
        record: the run's settings.
        network: float32 [batch, s, s, 3] to probabilities [batch, classes].
        split: split of the run's dataset.
        model: which network of the run this is, `final` or `best`.
        views: how many views of an image are averaged, if not the run's own number.
    """
    views = views or record.train.views
    predictions = predict_split(record, network, split=split, views=views)
    names = record.dataset.class_names
    scores = metrics.score(predictions, names)
    evaluation = Evaluation(record.dataset.name, split, model, views, names, scores)
    suffix = file_suffix(record, evaluation)
    write_json(folder / f"evaluation-{suffix}.json", evaluation.as_json())
    write_json(
        folder / f"confusion-{suffix}.json",
        {"class_names": names} | confusion.as_json(scores.confusion_matrix),
    )
    report = metrics.report(predictions, names)
    write_atomically(folder / f"report-{suffix}.txt", lambda target: target.write_text(report))
    predictions.write(folder / f"predictions-{suffix}.csv", names)
    _draw(folder, suffix, evaluation, metrics.calibration(predictions))
    return evaluation


def _draw(
    folder: Path, suffix: str, evaluation: Evaluation, calibration: metrics.Calibration
) -> None:
    scores = evaluation.scores
    accuracy = f"accuracy {scores.accuracy:.1%} of {scores.images} images"
    title = f"{evaluation.dataset}, {evaluation.split}\n{accuracy}"
    table = confusion.table(scores.confusion_matrix, evaluation.class_names)
    plots.draw_confusion(table, folder / f"confusion-{suffix}.png", title=title)
    error = f"{title}\nexpected calibration error {calibration.error:.3f}"
    diagram = charts.reliability(calibration)
    plots.draw_charts(diagram, folder / f"calibration-{suffix}.png", title=error, stacked=True)


def file_suffix(record: Record, evaluation: Evaluation) -> str:
    """What tells the files of an evaluation from those of others.

    It is nothing but the split, if the evaluation is the run's own.
    """
    parts = [evaluation.split]
    if evaluation.model != "final":
        parts.append(evaluation.model)
    if evaluation.views != record.train.views:
        parts.append(f"{evaluation.views}views")
    return "-".join(parts)


def predict_split(
    record: Record, network: keras.Model, *, split: str, views: int | None = None
) -> Predictions:
    """What the network says of a split, in the order of the file names.

    The first view of an image is its center crop, the second the mirror image of that; then come
    random crops, each followed by its mirror image. Probabilities, float32, are the mean over the
    views, by default as many as the run evaluates.
    """
    batches = _mean_batches(record, network, split=split, views=views or record.train.views)
    with record.data.naming_damage():
        return Predictions.of(record.data.files(split, _evaluation_inputs(record)), batches)


def _mean_batches(
    record: Record, network: keras.Model, *, split: str, views: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Mean probabilities over the views, float32 [b, classes], and labels, int32 [b]."""
    crops = range((views + 1) // 2)
    # Padded, so that nothing is compiled once more for the last batch.
    streams = [
        evaluation_batches(record, split=split, crop=crop, last_batch="pad") for crop in crops
    ]
    for batches in zip(*(stream.as_numpy_iterator() for stream in streams), strict=True):
        parts = [
            _predict(network, images, 2 * crop + 1 < views)
            for crop, (images, *_) in enumerate(batches)
        ]
        _, labels, mask = batches[0]
        count = int(mask.sum())
        yield (functools.reduce(np.add, parts) / np.float32(views))[:count], labels[:count]


def _predict(network: keras.Model, images: np.ndarray, mirrored: bool) -> np.ndarray:
    """The probabilities of images, to which those of their mirror images are added if wanted."""
    probabilities = network.predict_on_batch(images)
    if not mirrored:
        return probabilities
    return probabilities + network.predict_on_batch(images[:, :, ::-1])


def evaluation_batches(
    record: Record,
    *,
    split: str,
    cache: Literal["none", "memory", "device"] = "none",
    crop: int = 0,
    last_batch: Literal["keep", "pad"] = "keep",
    viewed: bool = True,
    part: tuple[int, int] = (0, 1),
) -> tf.data.Dataset:
    """A split as a run evaluates it.

    There is no augmentation, and every image comes once. Crop 0 is the center crop, every other
    number stands for random ones. `part` is what one of several processes has of each batch: its
    number, and how many there are.
    """
    settings = dataclasses.replace(
        _evaluation_inputs(record),
        cache=cache,
        crop="random" if crop else "center",
        last_batch=last_batch,
        batch_size=record.inputs.batch_size // part[1],
    )
    return record.data.load(
        split, epochs=crop + 1, epoch=crop, shard=part, viewed=viewed, settings=settings
    )


def _evaluation_inputs(record: Record) -> pipeline.Settings:
    return dataclasses.replace(record.inputs, crop="center", last_batch="keep", cache="none")


def summary(evaluation: Evaluation) -> str:
    """The figures of an evaluation as one line."""
    scores = evaluation.scores
    named = dataclasses.asdict(scores.figures)
    figures = "  ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in named.items())
    return f"{evaluation.split} ({scores.images} images): {figures}"
