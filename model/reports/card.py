"""The dataset's card in a report: images by class, what the builder noted, what was left out."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from ..scores.predictions import MOST_CLASSES
from ..training.record import Record

ENDS = 10  # of more than `MOST_CLASSES` classes, the largest and the smallest that are shown


@dataclasses.dataclass(frozen=True)
class Card:
    """What there is to know about a dataset.

    Attributes:
        counts: images by class, for every split.
        facts: what the builder noted, as text by label.
        bad: rows of `quarantine.tsv`: filename and reason.
    """

    counts: dict[str, list[int]]
    facts: dict[str, str]
    bad: list[dict[str, str]]

    def rows(self, class_names: list[str]) -> list[tuple[str, list[int]]]:
        """Images of a class by split; of many classes, the largest, the others, the smallest."""
        by_class = zip(class_names, zip(*self.counts.values(), strict=True), strict=True)
        rows = [(name, list(images)) for name, images in by_class]
        if len(rows) <= MOST_CLASSES:
            return rows
        rows.sort(key=lambda row: -sum(row[1]))
        between = [images for _, images in rows[ENDS:-ENDS]]
        sums = [sum(images) for images in zip(*between, strict=True)]
        middle = (f"{len(between):,} classes between", sums)
        return [*rows[:ENDS], middle, *rows[-ENDS:]]


def read_card(record: Record) -> Card:
    """Reads the card of a run's dataset.

    Raises:
        InputError: the dataset is not there.
        OSError: one of its files cannot be read.
    """
    folder = Path(record.data.folder)
    classes = len(record.dataset.class_names)
    splits = [name for name, images in record.dataset.splits.items() if images and name != "all"]
    counts = {
        split: np.bincount(
            record.data.records(split, record.inputs).label, minlength=classes
        ).tolist()
        for split in splits
    }
    size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
    metadata = json.loads((folder / "metadata.json").read_text())
    facts = {"images": f"{sum(map(sum, counts.values())):,}", "on disk": f"{size / 2**20:,.1f} MiB"}
    return Card(counts, facts | describe(metadata), _quarantine(folder / "quarantine.tsv"))


def describe(metadata: dict[str, Any]) -> dict[str, str]:
    """What the builder noted as text by label; a key that nobody expects is shown as it is."""
    return {
        name.replace("_", " "): as_text(value)
        for name, value in metadata.items()
        if value is not None and name != "class_counts"
    }


def as_text(value: Any) -> str:
    """A value of a settings dataclass or of JSON, as a reader likes it."""
    if isinstance(value, dict) and any(isinstance(item, dict) for item in value.values()):
        parts = [f"{name.replace('_', ' ')}: {as_text(item)}" for name, item in value.items()]
        return "; ".join(parts)
    if isinstance(value, dict):
        return ", ".join(f"{name} {as_text(item)}" for name, item in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(map(as_text, value)) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return "none" if value is None else str(value)


def _quarantine(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, dialect="excel-tab"))
