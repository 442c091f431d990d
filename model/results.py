"""Results of a set of experiments: one flat row a run, and the table that is made of them."""

from __future__ import annotations

import csv
import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from . import run

RESULTS = "results.json"
TABLE = "table.md"
PUBLISHED = Path(__file__).with_name("published.csv")

# What the runs of one line of the table have in common; they differ in seed and fold.
KEY = ("experiment", "name", "dataset", "protocol")

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
    "": "Accuracy after the last epoch, every image of the split counted once; mean ± standard deviation (n - 1) over "
    "seeds and folds. Nothing is chosen by the split that is reported.",
    "emotionroi": "EmotionROI: the published figure is the best of the reference system's; it is not stated on which "
    "split and after which epoch, and its random 80/15/5 division is not known. Ours is another one of that kind, or, "
    "as 'official', the division that the literature uses (1,386 / 594 images), which the reference system did not.",
    "twitter1": "Twitter I: the reference system speaks of 1,269 images and reads the list of the 882 on whose label "
    "all five annotators agree; so is it here. The validation split, the first 20 % of the lines, is all that is held "
    "out, so both figures are of that. Files that occur twice may be on both sides; folds keep them together.",
}


def make_row(folder: Path, out: Path, labels: dict[str, Any]) -> dict[str, Any]:
    """The row of a finished run.

    Args:
        folder: of the set.
        out: of the run, inside.
        labels: what the run is in the set: experiment, name, protocol, published.
    """
    record, metrics = run.read_record(out), json.loads((out / run.METRICS).read_text())
    split, settings, inputs = run.final_split(record), record.train, record.inputs
    of_settings = ("learning_rate", "epochs", "head", "recipe", "backbone")
    return {
        **labels,
        "dataset": record.dataset["name"],
        "batch_size": inputs.batch_size,
        **{name: getattr(settings, name) for name in of_settings},
        "weights": Path(settings.weights).name,
        "seed": inputs.seed,
        "agreement": inputs.agreement if record.dataset["name"].startswith("twitter1/") else None,
        "fold": inputs.fold,
        "split": split,
        "images": record.dataset["splits"][split],
        "dataset_images": sum(
            images for name, images in record.dataset["splits"].items() if name != "all"
        ),
        **{name: metrics[split][name] for name in ("accuracy", "macro_f1", "loss")},
        "best_epoch": metrics["best_epoch"],
        "seconds": metrics["seconds_training"],
        "run": out.relative_to(folder).as_posix(),
        "environment": {
            name: record.environment[name] for name in ("backend", "precision", "device")
        },
    }


def merge(
    folder: Path, rows: Iterable[dict[str, Any]], order: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """Writes rows to `results.json`, in place of those of the same runs, and the table; returns all rows.

    Args:
        folder: of the set.
        rows: to add.
        order: values of `run`, as the rows of an experiment shall follow each other; others go
            before.
    """
    path = folder / RESULTS
    old = json.loads(path.read_text()) if path.exists() else []
    merged = {row["run"]: row for row in [*old, *rows]}
    places = {name: place for place, name in enumerate(order)}
    everything = sorted(
        merged.values(), key=lambda row: (str(row["experiment"]), places.get(row["run"], -1))
    )
    run.write_json(path, everything)
    run.write_atomically(folder / TABLE, lambda target: target.write_text(as_markdown(everything)))
    return everything


def gather(rows: Iterable[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Rows that differ in seed and fold only, together."""
    groups: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in KEY), []).append(row)
    return list(groups.values())


def cells(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The table's line about rows that differ in seed and fold only, as `COLUMNS`."""
    first = rows[0]
    sizes = sorted({row["images"] for row in rows})
    images = f"{sizes[0]:,}" if len(sizes) == 1 else f"{sizes[0]:,}-{sizes[-1]:,}"
    published = "" if first["published"] is None else f"{first['published']:.0%}"
    return [
        *(str(first[name]) for name in KEY),
        str(len(rows)),
        f"{first['split']} ({images})",
        _spread(rows, "accuracy", ".1%"),
        _spread(rows, "macro_f1", ".3f"),
        _spread(rows, "loss", ".3f"),
        published,
    ]


def _spread(rows: Sequence[dict[str, Any]], name: str, form: str) -> str:
    """Mean, and the standard deviation (n - 1) where there is one."""
    values = [row[name] for row in rows]
    mean = format(statistics.fmean(values), form)
    return mean if len(values) == 1 else f"{mean} ± {format(statistics.stdev(values), form)}"


def notes(rows: Sequence[dict[str, Any]]) -> list[str]:
    """What is compared with what, in sentences."""
    datasets = sorted({row["dataset"].partition("/")[0] for row in rows})
    told = [NOTES[name] for name in ("", *datasets) if name in NOTES]
    others = sorted({_network(row) for row in rows} - {REFERENCE})
    if others:
        told.append(f"Published: {REFERENCE}. Here: {'; '.join(others)}. They cannot be compared.")
    for name in datasets:
        sizes = {row["dataset_images"] for row in rows if row["dataset"].partition("/")[0] == name}
        other = sorted(sizes - set(IMAGES.get(name, sizes)))
        if other:
            counts = ", ".join(f"{size:,}" for size in other)
            told.append(
                f"{name} holds {counts} images here and {IMAGES[name][0]:,} as published: other data."
            )
    return told


def _network(row: dict[str, Any]) -> str:
    return (
        f"{row['backbone']}, {row['weights']} weights, {row['head']} head, recipe {row['recipe']}"
    )


def as_markdown(rows: Sequence[dict[str, Any]]) -> str:
    """The table, what others published on these datasets, and the notes."""
    lines = [cells(group) for group in gather(rows)]
    parts = [_markdown(COLUMNS, lines)]
    literature = published({row["dataset"].partition("/")[0] for row in rows})
    if literature:
        shown = [
            [
                row["method"],
                row["dataset"],
                row["protocol"],
                f"{float(row['accuracy']):.1%}",
                row["source"],
            ]
            for row in literature
        ]
        parts.append(
            "As reported, not rerun:\n\n"
            + _markdown(("method", "dataset", "protocol", "accuracy", "source"), shown)
        )
    parts += [f"* {note}" for note in notes(rows)]
    return "\n\n".join(parts) + "\n"


def _markdown(columns: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [columns, ["---"] * len(columns), *lines]
    return "\n".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows
    )


def as_table(rows: Sequence[dict[str, Any]]) -> Table:
    """The table for a terminal."""
    table = Table(*COLUMNS, pad_edge=False)
    for group in gather(rows):
        table.add_row(*cells(group))
    return table


def published(datasets: set[str]) -> list[dict[str, str]]:
    """What others reported on these datasets: rows of `published.csv`."""
    with PUBLISHED.open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["dataset"] in datasets]
