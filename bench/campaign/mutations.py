"""Changed pictures, lists and datasets, tried by workers."""

from __future__ import annotations

from pathlib import Path

from .inputs import prepare
from .process import perform_range
from .rows import Report

BATCH = 500  # pictures that a worker builds into one dataset
SHARE = 20  # pictures, for each of which there is one list and one dataset
PICTURE, OTHER = 1.0, 10.0  # seconds that a picture, and that any other input may take


def mutations(work: Path, *, seed: int, count: int) -> Report:
    """Tries so many changed pictures, and a twentieth of that in lists and in datasets."""
    prepare(work)
    report = Report([])
    run = str(work / "run")
    for first in range(0, count, BATCH):
        size = min(BATCH, count - first)
        report += perform_range("pictures", first, size, seconds=PICTURE, seed=seed, run=run)
    others = -(-count // SHARE)
    for task in ("lists", "shards"):
        for first in range(0, others, BATCH):
            size = min(BATCH, others - first)
            report += perform_range(task, first, size, seconds=OTHER, seed=seed)
    return report
