"""`python -m model.report --run RUN | --set DIR`: one self-contained report.html of a run, or of a set of experiments.

Everything is read from the files of the folder; only pictures and the dataset's card come from the
dataset itself, and a report without them is written where it is no longer to be had.
"""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

import dataclasses
import functools
import json
import math
from pathlib import Path
from typing import Any

import click
import jinja2
import keras
import numpy as np
from scipy.stats import binomtest

from sentiflow import cli, pipeline
from sentiflow.pipeline import InputError

from . import charts, comparison, metrics, pictures, run
from .settings import TrainSettings

REPORT = "report.html"

MOST_CLASSES = 30  # of a confusion matrix that can be read
MOST_BAD = 20  # files that are listed
MOST_CONFUSIONS = 4

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
    record = run.read_record(folder)
    split = run.final_split(record)
    history = run.history_rows(folder)
    try:
        result = json.loads((folder / f"evaluation-{split}.json").read_text())
    except FileNotFoundError:
        raise InputError(
            f"{folder} holds an unfinished run: it has not been evaluated. Resume it first."
        ) from None
    predictions = pictures.read_predictions(
        folder / f"predictions-{split}.csv", result["class_names"]
    )
    facts = {
        "name": folder.resolve().name,
        "split": split,
        "result": result,
        "classes": result["class_names"],
        "dataset": record.dataset,
        "train": dataclasses.asdict(record.train),
        "environment": _environment(record),
        "settings": compare_settings(record),
        "most_classes": MOST_CLASSES,
        "most_bad": MOST_BAD,
    }
    facts |= _of_history(record, history) | _of_result(result, predictions)
    return _write(folder, "run", facts | _of_dataset(folder, record, network, predictions, split))


def write_set(folder: Path) -> Path:
    """Writes the report of a set of experiments from its results.json and the folders of its runs.

    Returns:
        The file.

    Raises:
        InputError: there is no results.json, or it has no rows.
    """
    return _write(folder, "set", comparison.compare(folder) | {"name": folder.resolve().name})


def _of_history(record: run.Record, history: list[run.Row]) -> dict[str, Any]:
    held_out = run.held_out_split(record)
    seconds = [row["seconds"] for row in history]
    waiting = sum(row["waiting_share"] * row["seconds"] for row in history) / max(
        sum(seconds), 1e-9
    )
    steady = [row["images_per_second"] for row in history[1:] or history]
    speed = {
        "median": float(np.median(steady)),
        "waiting": waiting,
        "charts": _speed_charts(history),
    }
    return {
        "history": history,
        "train_last": history[-1],
        "held_out": held_out,
        "best": run.best_epoch(history),
        "seconds": sum(seconds),
        "speed": speed,
        "bottleneck": _bottleneck(waiting),
        "curves": _learning_curves(record, history, held_out),
    }


def _learning_curves(
    record: run.Record, history: list[run.Row], held_out: str
) -> list[charts.Chart]:
    def lines(name: str) -> list[charts.Line]:
        training = charts.Line("training", "train", [row[name] for row in history])
        return [
            training,
            charts.Line(held_out, "held-out", [row[f"val_{name}"] for row in history]),
        ]

    share = charts.value_axis(0.0, 1.0, text=charts.percent, ticks=5)
    losses = [value for line in lines("loss") for value in line.values]
    loss = charts.value_axis(0.0, max(losses), text=charts.plain, ticks=5)
    return [
        charts.by_epoch("Accuracy", lines("accuracy"), y=share, text=_percent),
        charts.by_epoch("Loss", lines("loss"), y=loss, text="{:.4f}".format),
    ]


def _speed_charts(history: list[run.Row]) -> list[charts.Chart]:
    rates = [row["images_per_second"] for row in history]
    waiting = [row["waiting_share"] for row in history]
    rate_axis = charts.value_axis(0.0, max(rates), text=charts.plain)
    wait_axis = charts.value_axis(0.0, max(*waiting, 0.05), text="{:.3g}".format)
    wait_axis = dataclasses.replace(
        wait_axis, ticks=[(value, f"{value:.0%}") for value, _ in wait_axis.ticks]
    )
    rate = [charts.Line("images/s", "held-out", rates)]
    wait = [charts.Line("waiting", "held-out", waiting)]
    return [
        charts.by_epoch("Training, images per second", rate, y=rate_axis, text=charts.plain),
        charts.by_epoch("Waiting for input, share of the time", wait, y=wait_axis, text=_percent),
    ]


def _bottleneck(waiting: float) -> str:
    if waiting < NEGLIGIBLE_WAITING:
        return f"The network set the pace, not its input: training waited for pictures {waiting:.1%} of the time."
    return (
        f"Training waited for pictures {waiting:.1%} of the time; python -m bench.training tells which cache or "
        "storage would shorten that."
    )


def _of_result(result: dict[str, Any], predictions: pictures.Predictions) -> dict[str, Any]:
    matrix = np.array(result["confusion_matrix"])
    images = int(matrix.sum())
    # Wilson: "Probable Inference, the Law of Succession, and Statistical Inference", JASA 22, 1927.
    interval = binomtest(int(np.trace(matrix)), images).proportion_ci(0.95, method="wilson")
    calibration = metrics.calibration(predictions.probabilities, predictions.labels)
    return {
        "interval": (float(interval.low), float(interval.high)),
        "chance": float(matrix.sum(axis=1).max() / images),
        "guessing_loss": math.log(len(matrix)),
        "confusions": confusions(matrix, result["class_names"]),
        "belief": _belief(float(predictions.confidence.mean()), result["accuracy"]),
        "reliability": charts.reliability(calibration),
    }


def confusions(matrix: np.ndarray, class_names: list[str]) -> list[dict[str, Any]]:
    """The most frequent mistakes: true class, predicted class, images, and images of the true class."""
    wrong = matrix * ~np.eye(len(matrix), dtype=bool)
    order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_CONFUSIONS]
    cells = [(int(i), int(j)) for i, j in zip(*np.unravel_index(order, matrix.shape), strict=True)]
    return [
        {
            "label": class_names[i],
            "predicted": class_names[j],
            "images": int(wrong[i, j]),
            "of": int(matrix[i].sum()),
        }
        for i, j in cells
        if wrong[i, j]
    ]


def _belief(confidence: float, accuracy: float) -> str:
    means = f"Its mean confidence was {confidence:.1%}, its accuracy {accuracy:.1%}"
    if abs(confidence - accuracy) < NEGLIGIBLE_BIAS:
        return f"{means}: as sure as it should be."
    return f"{means}: {'surer' if confidence > accuracy else 'less sure'} than it should be."


def compare_settings(record: run.Record) -> list[dict[str, Any]]:
    """Every setting of a run beside experiment 1's: name, value, reference, text, and whether they differ."""
    rows = []
    for settings, reference in (
        (record.train, TrainSettings()),
        (record.inputs, pipeline.Settings()),
    ):
        for field in dataclasses.fields(settings):
            values = [getattr(item, field.name) for item in (settings, reference)]
            differs = values[0] != values[1] and field.name not in run.PLACES
            texts = dict(zip(("value", "reference"), map(_setting, values), strict=True))
            rows.append(
                {"name": field.name, "differs": differs, "text": field.metadata["help"]} | texts
            )
    return rows


def _setting(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _environment(record: run.Record) -> dict[str, str]:
    places = {name: str(value) for name, value in record.environment.items() if name != "versions"}
    return places | record.environment.get("versions", {})


def _of_dataset(
    folder: Path,
    record: run.Record,
    network: keras.Model | None,
    predictions: pictures.Predictions,
    split: str,
) -> dict[str, Any]:
    """Pictures, contact sheet and card; or, in `absent`, why there are none."""
    try:
        card = pictures.card(record)
        sheet = pictures.contact_sheet(record)
        network = network or run.load(folder)[1]
        right, wrong = pictures.most_confident(predictions)
        shown = pictures.photos(
            record, network, predictions, np.concatenate([right, wrong]), split=split
        )
    except (InputError, OSError) as error:
        return {"absent": str(error), "sections": _sections(record, sheet=False)}
    headings = {
        "Right, surest of each class": shown[: len(right)],
        "Wrong, surest first": shown[len(right) :],
    }
    return {
        "card": card | {"facts": _card_facts(record, card)},
        "sheet": sheet,
        "pictures": headings,
        "sections": _sections(record, sheet=True),
    }


def _sections(record: run.Record, *, sheet: bool) -> dict[str, str]:
    names = [
        "result",
        "curves",
        "classes",
        "calibration",
        "pictures",
        "speed",
        "settings",
        "augmentation",
    ]
    names += ["dataset", "environment"]
    return {name: name.capitalize() for name in names if sheet or name != "augmentation"}


def _card_facts(record: run.Record, card: dict[str, Any]) -> dict[str, str]:
    """What the builder found out, as text by label; a key that nobody expects is shown as it is."""
    images = sum(sum(counts) for counts in card["counts"].values())
    facts = {"images": f"{images:,}", "on disk": f"{card['bytes'] / 2**20:,.1f} MiB"}
    told = {
        name: value
        for name, value in card["facts"].items()
        if value is not None and name != "class_counts"
    }
    return facts | {name.replace("_", " "): _fact(value) for name, value in told.items()}


def _fact(value: Any) -> str:
    if isinstance(value, dict) and any(isinstance(item, dict) for item in value.values()):
        return "; ".join(f"{name.replace('_', ' ')}: {_fact(item)}" for name, item in value.items())
    if isinstance(value, dict):
        return ", ".join(f"{name} {_fact(item)}" for name, item in value.items())
    if isinstance(value, list):
        return ", ".join(map(_fact, value))
    return (
        f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else _setting(value)
    )


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _duration(seconds: float) -> str:
    """Seconds as a reader takes them in: 8.2 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


@functools.lru_cache
def _templates() -> jinja2.Environment:
    loader = jinja2.PackageLoader(__name__.rpartition(".")[0], "templates")
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": _percent,
        "count": "{:,.0f}".format,
        "duration": _duration,
        "words": lambda name: name.replace("_", " "),
        "transposed": lambda columns: list(zip(*columns, strict=True)),
    }
    environment.globals["version"] = run.version("sentiflow")
    return environment


def _write(folder: Path, template: str, facts: dict[str, Any]) -> Path:
    defaults: dict[str, Any] = {
        "notes": [],
        "absent": None,
        "card": None,
        "sheet": None,
        "pictures": {},
    }
    page = _templates().get_template(f"{template}.html.j2").render(defaults | facts)
    run.write_atomically(folder / REPORT, lambda target: target.write_text(page, encoding="utf-8"))
    return folder / REPORT


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
        click.echo(f"Written: {write_run(folder)}")
    for folder in sets:
        click.echo(f"Written: {write_set(folder)}")


if __name__ == "__main__":
    main()
