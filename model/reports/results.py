"""Results of a set of experiments: one flat row a run, and the table that is made of them."""

from __future__ import annotations

import csv
import dataclasses
import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from sentiflow.files import write_atomically, write_json
from sentiflow.markdown import pipe_table
from sentiflow.terminal import literal

from ..training.outcome import read_outcome
from ..training.record import Environment, read_record
from .rows import PACKAGES, ResultRow, RunLabels

RESULTS = "results.json"
TABLE = "table.md"
PUBLISHED = Path(__file__).with_name("published.csv")

COLUMNS = (
    "#",
    "what",
    "dataset",
    "protocol",
    "runs",
    "split (images)",
    "accuracy",
    "macro F1",
    "loss",
    "published",
)

# What the published figures are of.
REFERENCE = "resnet101, imagenet weights, gap head, recipe reference"

# Images of the published datasets.
IMAGES = {"emotionroi": (1980,), "twitter1": (882, 1116, 1269)}

NOTES = {
    "": (
        "Accuracy after the last epoch, every image of the split counted once; mean ± standard "
        "deviation (n - 1) over seeds and folds. Nothing is chosen by the split that is "
        "reported."
    ),
    "emotionroi": (
        "EmotionROI: the published figure is the best of the reference system's; it is not "
        "stated on which split and after which epoch, and its random 80/15/5 division is not "
        "known. Ours is another one of that kind, or, as 'official', the division that the "
        "literature uses (1,386 / 594 images), which the reference system did not."
    ),
    "twitter1": (
        "Twitter I: the reference system speaks of 1,269 images and reads the list of the 882 "
        "on whose label all five annotators agree; so is it here. The validation split, the "
        "first 20 % of the lines, is all that is held out, so both figures are of that. Files "
        "that occur twice may be on both sides; folds keep them together."
    ),
}


def make_row(folder: Path, out: Path, labels: RunLabels) -> ResultRow:
    """The row of a finished run.

    Args:
        folder: of the set.
        out: of the run, inside.
        labels: what the run is in the set.
    """
    record = read_record(out)
    outcome = read_outcome(out)
    splits = record.dataset.splits
    is_twitter = record.dataset.name.startswith("twitter1/")
    return ResultRow(
        **dataclasses.asdict(labels),
        dataset=record.dataset.name,
        batch_size=record.inputs.batch_size,
        learning_rate=record.train.learning_rate,
        epochs=record.train.epochs,
        head=record.train.head,
        recipe=record.train.recipe,
        backbone=record.train.backbone,
        weights=Path(record.train.weights).name,
        seed=record.inputs.seed,
        agreement=record.inputs.agreement if is_twitter else None,
        fold=record.inputs.fold,
        split=outcome.split,
        images=splits[outcome.split],
        dataset_images=sum(images for name, images in splits.items() if name != "all"),
        accuracy=outcome.figures.accuracy,
        macro_f1=outcome.figures.macro_f1,
        loss=outcome.figures.loss,
        best_epoch=outcome.best_epoch,
        seconds=outcome.seconds_training,
        run=out.relative_to(folder).as_posix(),
        environment=_facts(record.environment),
    )


def _facts(environment: Environment) -> dict[str, Any]:
    facts = dataclasses.asdict(environment)
    versions = facts.pop("versions")
    names = ("backend", "precision", "device", "cpu", "cores", "commit")
    packages = {name: versions[name] for name in PACKAGES if name in versions}
    return {name: facts[name] for name in names} | packages


def read_rows(path: Path) -> list[ResultRow]:
    """Reads a `results.json`.

    Raises:
        FileNotFoundError: it is not there.
        TypeError: it does not hold rows.
        ValueError: a value cannot be.
    """
    return [ResultRow.read(values) for values in json.loads(path.read_text(encoding="utf-8"))]


def merge(folder: Path, rows: Iterable[ResultRow], order: Sequence[str] = ()) -> list[ResultRow]:
    """Writes rows to `results.json`, in place of those of the same runs, and the table.

    Args:
        folder: of the set.
        rows: to add.
        order: values of `run`, as the rows of an experiment shall follow each other; others go
            before.

    Returns:
        All rows.
    """
    path = folder / RESULTS
    before = read_rows(path) if path.exists() else []
    by_run = {row.run: row for row in [*before, *rows]}
    positions = {name: position for position, name in enumerate(order)}
    merged = sorted(
        by_run.values(), key=lambda row: (str(row.experiment), positions.get(row.run, -1))
    )
    write_json(path, [dataclasses.asdict(row) for row in merged])
    table = as_markdown(merged)
    write_atomically(folder / TABLE, lambda target: target.write_text(table))
    return merged


def gather(rows: Iterable[ResultRow]) -> list[list[ResultRow]]:
    """Rows that differ in seed and fold only, together."""
    groups: dict[tuple[Any, ...], list[ResultRow]] = {}
    for row in rows:
        groups.setdefault(row.line, []).append(row)
    return list(groups.values())


def cells(rows: Sequence[ResultRow]) -> list[str]:
    """The table's line about rows that differ in seed and fold only, as `COLUMNS`."""
    first = rows[0]
    sizes = sorted({row.images for row in rows})
    images = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,}-{sizes[-1]:,}"
    return [
        *map(str, first.line),
        str(len(rows)),
        f"{first.split} ({images})",
        _spread([row.accuracy for row in rows], ".1%"),
        _spread([row.macro_f1 for row in rows], ".3f"),
        _spread([row.loss for row in rows], ".3f"),
        _published(first.published),
    ]


def _published(accuracy: float | str | None) -> str:
    if accuracy is None or isinstance(accuracy, str):
        return accuracy or ""
    return f"{accuracy:.0%}"


def _spread(values: Sequence[float], form: str) -> str:
    """Mean, and the standard deviation (n - 1) where there is one."""
    mean = format(statistics.fmean(values), form)
    return mean if len(values) == 1 else f"{mean} ± {format(statistics.stdev(values), form)}"


def notes(rows: Sequence[ResultRow]) -> list[str]:
    """What is compared with what, in sentences."""
    datasets = sorted({row.dataset_name for row in rows})
    sentences = [NOTES[name] for name in ("", *datasets) if name in NOTES]
    networks = sorted({row.network for row in rows} - {REFERENCE})
    if networks:
        trained = "; ".join(networks)
        sentences.append(f"Published: {REFERENCE}. Here: {trained}. They cannot be compared.")
    for name in datasets:
        sizes = {row.dataset_images for row in rows if row.dataset_name == name}
        unpublished = sorted(sizes - set(IMAGES.get(name, sizes)))
        if unpublished:
            counts = ", ".join(f"{size:,}" for size in unpublished)
            sentences.append(
                f"{name} holds {counts} images here and {IMAGES[name][0]:,} as published: other "
                "data."
            )
    return sentences


def as_markdown(rows: Sequence[ResultRow]) -> str:
    """The table, what others published on these datasets, and the notes."""
    parts = [pipe_table(COLUMNS, [cells(group) for group in gather(rows)], texts=len(COLUMNS))]
    literature = published({row.dataset_name for row in rows})
    if literature:
        columns = ("method", "dataset", "protocol", "accuracy", "source")
        shown = [row | {"accuracy": f"{float(row['accuracy']):.1%}"} for row in literature]
        lines = [[row[name] for name in columns] for row in shown]
        table = pipe_table(columns, lines, texts=len(columns))
        parts.append(f"As reported, not rerun:\n\n{table}")
    parts += [f"* {note}" for note in notes(rows)]
    parts += sorted({row.machine for row in rows} - {""})
    return "\n\n".join(parts) + "\n"


def as_table(rows: Sequence[ResultRow]) -> Table:
    """The table for a terminal."""
    table = Table(*COLUMNS, pad_edge=False)
    for group in gather(rows):
        table.add_row(*map(literal, cells(group)))
    return table


def published(datasets: set[str]) -> list[dict[str, str]]:
    """What others reported on these datasets: rows of `published.csv`."""
    with PUBLISHED.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["dataset"] in datasets]
