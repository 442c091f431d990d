"""Files from strangers, tried by workers."""

from __future__ import annotations

from pathlib import Path

from .inputs import prepare
from .process import perform_alone, perform_range
from .rows import Report

CASES = 300.0  # seconds that all cases may take
CHANGED = 20.0  # seconds that a changed run may take


def hostile(work: Path, *, seed: int, count: int) -> Report:
    """Tries files that are made to harm, and so many runs with a changed file."""
    prepare(work)
    run = str(work / "run")
    cases = perform_alone("strangers", "files from strangers", seconds=CASES, run=run)
    return cases + perform_range("changed", 0, count, seconds=CHANGED, seed=seed, run=run)
