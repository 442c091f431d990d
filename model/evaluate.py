"""`python -m model.evaluate --run RUN --split S`: how good a trained network is, every image counted once."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any, Literal

import click
import keras
import numpy as np
import tensorflow as tf

from sentiflow import cli, pipeline

from . import metrics, plots, run, stimuli


def evaluate(
    folder: Path,
    record: run.Record,
    network: keras.Model,
    *,
    split: str,
    model: str = "final",
    views: int | None = None,
) -> dict[str, Any]:
    """Evaluates a network of a run and writes the results into the run folder.

    Args:
        folder: run folder.
        record: the run's settings.
        network: float32 [batch, s, s, 3] to probabilities [batch, classes].
        split: split of the run's dataset.
        model: which network of the run this is, `final` or `best`.
        views: how many views of an image are averaged, if not the run's own number.

    Returns:
        What `metrics.evaluate` returns, with dataset, split, model, views and class_names before
        it.
    """
    views = views or record.train.views
    probabilities, labels = predict_split(record, network, split=split, views=views)
    names = record.dataset["class_names"]
    heading = {
        "dataset": record.dataset["name"],
        "split": split,
        "model": model,
        "views": views,
        "class_names": names,
    }
    result = heading | metrics.evaluate(probabilities, labels, names)
    suffix = _suffix(record, split, model, views)
    title = f"{record.dataset['name']}, {split}\naccuracy {result['accuracy']:.1%} of {len(labels)} images"
    run.write_json(folder / f"evaluation-{suffix}.json", result)
    matrix = np.array(result["confusion_matrix"])
    run.write_json(
        folder / f"confusion-{suffix}.json",
        {"class_names": names, "confusion_matrix": matrix.tolist()},
    )
    plots.draw_confusion(matrix, names, folder / f"confusion-{suffix}.png", title=title)
    calibration = metrics.calibration(probabilities, labels)
    plots.draw_calibration(calibration, folder / f"calibration-{suffix}.png", title=title)
    report = metrics.report(probabilities, labels, names)
    run.write_atomically(folder / f"report-{suffix}.txt", lambda target: target.write_text(report))
    _write_predictions(folder / f"predictions-{suffix}.csv", record, split, probabilities, labels)
    return result


def _suffix(record: run.Record, split: str, model: str, views: int) -> str:
    """What tells the files of an evaluation from those of others: nothing but the split, if it is the run's own."""
    parts = (
        [split] + [model] * (model != "final") + [f"{views}views"] * (views != record.train.views)
    )
    return "-".join(parts)


def predict_split(
    record: run.Record, network: keras.Model, *, split: str, views: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, float32 [n, classes], and labels, int32 [n], of a whole split in the order of its file names.

    The first view of an image is its center crop, the second the mirror image of that; then come
    random crops, each followed by its mirror image. Probabilities are the mean over the views, by
    default as many as the run evaluates.
    """
    views = views or record.train.views
    total, labels = np.float32(0), np.empty(0)
    for crop in range((views + 1) // 2):
        batches = evaluation_batches(record, split=split, crop=crop).as_numpy_iterator()
        mirrored = 2 * crop + 1 < views
        pairs = [(_predict(network, images, mirrored), truth) for images, truth in batches]
        probabilities, labels = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
        total = total + probabilities
    return total / np.float32(views), labels


def _predict(network: keras.Model, images: np.ndarray, mirrored: bool) -> np.ndarray:
    """The probabilities of images, to which those of their mirror images are added if wanted."""
    probabilities = network.predict_on_batch(images)
    return (
        probabilities + network.predict_on_batch(images[:, :, ::-1]) if mirrored else probabilities
    )


def evaluation_batches(
    record: run.Record,
    *,
    split: str,
    cache: Literal["none", "memory", "device"] = "none",
    crop: int = 0,
) -> tf.data.Dataset:
    """A split as a run evaluates it: no augmentation, every image once, the last batch as it comes.

    Crop 0 is the center crop, every other number stands for random ones.
    """
    settings = dataclasses.replace(
        _evaluation_inputs(record), cache=cache, crop="random" if crop else "center"
    )
    return record.data.load(split, epochs=crop + 1, epoch=crop, settings=settings)


def _evaluation_inputs(record: run.Record) -> pipeline.Settings:
    return dataclasses.replace(record.inputs, crop="center", last_batch="keep", cache="none")


def _write_predictions(
    path: Path, record: run.Record, split: str, probabilities: np.ndarray, labels: np.ndarray
) -> None:
    """One row an image: file name, true class, predicted class, and the probability of every class."""
    names = record.dataset["class_names"]
    files = record.data.files(split, _evaluation_inputs(record))

    def write(target: Path) -> None:
        with target.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["filename", "label", "predicted", *names])
            for name, label, row in zip(files, labels, probabilities, strict=True):
                writer.writerow(
                    [name, names[label], names[row.argmax()], *(f"{value:.6f}" for value in row)]
                )

    run.write_atomically(path, write)


def _score_stimuli(record: run.Record, network: keras.Model, split: str) -> dict[str, Any]:
    batches = evaluation_batches(record, split=split).as_numpy_iterator()
    return stimuli.score_split(record, network, (images for images, _ in batches), split=split)


def summary(result: dict[str, Any]) -> str:
    """The figures of an evaluation as one line."""
    names = ("accuracy", "loss", "macro_f1", "expected_calibration_error")
    figures = "  ".join(f"{name.replace('_', ' ')} {result[name]:.4f}" for name in names)
    return f"{result['split']} ({result['images']} images): {figures}"


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
    type=click.Choice(list(run.MODELS)),
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
    "find_stimuli",
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
    find_stimuli: bool,
    as_json: bool,
) -> None:
    """Accuracy, loss, per-class report, confusion matrix, macro F1 and calibration error of a trained run.

    Written into the run folder as well: evaluation-, confusion-, report-, calibration- and
        predictions-SPLIT.
    """
    record, network = run.load(folder, model=model)
    if data_dir:
        record = dataclasses.replace(
            record, train=dataclasses.replace(record.train, data_dir=data_dir)
        )
    found = _score_stimuli(record, network, split) if find_stimuli else None
    result = evaluate(folder, record, network, split=split, model=model, views=views)
    suffix = _suffix(record, split, model, result["views"])
    if found:
        run.write_json(folder / f"stimuli-{suffix}.json", found)
        result["stimuli"] = found
    if as_json:
        click.echo(json.dumps(result))
        return
    click.echo((folder / f"report-{suffix}.txt").read_text())
    if found:
        click.echo(stimuli.summary(found))
    click.echo(f"{summary(result)}\nWritten: {folder}/*-{suffix}.*")


if __name__ == "__main__":
    main()
