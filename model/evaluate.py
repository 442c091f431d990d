"""`python -m model.evaluate --run RUN --split S`: how good a trained network is, every image counted once."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any, Literal

import click
import keras
import numpy as np
import tensorflow as tf

import pipeline
from model import metrics, plots, run, stimuli
from pipeline import cli


def evaluate(
    folder: Path, record: run.Record, network: keras.Model, *, split: str, model: str = "final"
) -> dict[str, Any]:
    """Evaluates a network of a run and writes the results into the run folder.

    Args:
        folder: run folder.
        record: the run's settings.
        network: float32 [batch, s, s, 3] to probabilities [batch, classes].
        split: split of the run's dataset.
        model: which network of the run this is, `final` or `best`.

    Returns:
        What `metrics.evaluate` returns, with dataset, split, model and class_names before it.
    """
    probabilities, labels = predict_split(record, network, split=split)
    names = record.dataset["class_names"]
    heading = {"dataset": record.dataset["name"], "split": split, "model": model, "class_names": names}
    result = heading | metrics.evaluate(probabilities, labels, names)
    suffix = split if model == "final" else f"{split}-{model}"
    title = f"{record.dataset['name']}, {split}\naccuracy {result['accuracy']:.1%} of {len(labels)} images"
    run.write_json(folder / f"evaluation-{suffix}.json", result)
    matrix = np.array(result["confusion_matrix"])
    run.write_json(folder / f"confusion-{suffix}.json", {"class_names": names, "confusion_matrix": matrix.tolist()})
    plots.draw_confusion(matrix, names, folder / f"confusion-{suffix}.png", title=title)
    calibration = metrics.calibration(probabilities, labels)
    plots.draw_calibration(calibration, folder / f"calibration-{suffix}.png", title=title)
    report = metrics.report(probabilities, labels, names)
    run.write_atomically(folder / f"report-{suffix}.txt", lambda target: target.write_text(report))
    _write_predictions(folder / f"predictions-{suffix}.csv", record, split, probabilities, labels)
    return result


def predict_split(record: run.Record, network: keras.Model, *, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities, float32 [n, classes], and labels, int32 [n], of a whole split in the order of its file names."""
    batches = evaluation_batches(record, split=split).as_numpy_iterator()
    pairs = [(network.predict_on_batch(images), labels) for images, labels in batches]
    probabilities, labels = zip(*pairs, strict=True)
    return np.concatenate(probabilities), np.concatenate(labels)


def evaluation_batches(
    record: run.Record, *, split: str, cache: Literal["none", "memory", "device"] = "none"
) -> tf.data.Dataset:
    """A split as a run evaluates it: center crop, no augmentation, every image once, the last batch as it comes."""
    settings = dataclasses.replace(_evaluation_inputs(record), cache=cache)
    return pipeline.load(record.train.dataset, split=split, data_dir=record.train.data_dir, settings=settings)


def _evaluation_inputs(record: run.Record) -> pipeline.Settings:
    return dataclasses.replace(record.inputs, crop="center", last_batch="keep", cache="none")


def _write_predictions(
    path: Path, record: run.Record, split: str, probabilities: np.ndarray, labels: np.ndarray
) -> None:
    """One row an image: file name, true class, predicted class, and the probability of every class."""
    names = record.dataset["class_names"]
    inputs = dataclasses.asdict(_evaluation_inputs(record))
    files = pipeline.filenames(record.train.dataset, split=split, data_dir=record.train.data_dir, **inputs)

    def write(target: Path) -> None:
        with target.open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["filename", "label", "predicted", *names])
            for name, label, row in zip(files, labels, probabilities, strict=True):
                writer.writerow([name, names[label], names[row.argmax()], *(f"{value:.6f}" for value in row)])

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
@click.option("--run", "folder", type=click.Path(path_type=Path), required=True, help="Run folder of model.train.")
@click.option("--split", default="test", help="Split of the run's dataset.")
@click.option(
    "--model", type=click.Choice(list(run.MODELS)), default="final", help="After the last, or the best epoch."
)
@click.option("--data_dir", help="Where the dataset is now, if not where the run found it.")
@click.option(
    "--stimuli", "find_stimuli", is_flag=True, help="Score activation maps against EmotionROI's stimuli maps."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def main(folder: Path, split: str, model: Any, data_dir: str | None, find_stimuli: bool, as_json: bool) -> None:
    """Accuracy, loss, per-class report, confusion matrix, macro F1 and calibration error of a trained run.

    Written into the run folder as well: evaluation-, confusion-, report-, calibration- and predictions-SPLIT.
    """
    record, network = run.load(folder, model=model)
    if data_dir:
        record = dataclasses.replace(record, train=dataclasses.replace(record.train, data_dir=data_dir))
    suffix = split if model == "final" else f"{split}-{model}"
    found = _score_stimuli(record, network, split) if find_stimuli else None
    result = evaluate(folder, record, network, split=split, model=model)
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
