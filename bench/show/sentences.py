"""Sentences of pages, made from rows."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sentiflow.pipeline import InputError

from ..harness.grid import MEMORY
from ..harness.rows import BASELINE, Row


def headline(rows: Sequence[Row]) -> str:
    """Tier memory against the generator and against the fastest other loader, in one sentence."""
    timed = [row for row in rows if row.work == "augmented" and row.images_per_second]
    by_name = {row.contestant: row for row in timed}
    ours = by_name[MEMORY]
    base = by_name[BASELINE]
    start = f"**{_rate(ours) / _rate(base):.0f} times the images per second of the generator"
    rates = f"{_rate(ours):,.0f} against {_rate(base):,.0f} images/s"
    machine = f"tier {ours.tier} on {ours.environment['cores']} cores without a GPU"
    work = "rotation, mirroring and preprocessing included"
    setting = f"{ours.images} photographs, batches of {ours.batch_size}, one run."
    return (
        f"{start} it replaces**: {rates}, {work}, from {machine}{_against(ours, timed)}. {setting}"
    )


def _against(ours: Row, timed: Sequence[Row]) -> str:
    peers = [row for row in timed if row.kind == "peer"]
    if not peers:
        return ""
    best = max(peers, key=_rate)
    name = f"{best.contestant}, {_rate(best):,.0f}"
    return f"; {_rate(ours) / _rate(best):.1f} times the fastest other loader ({name})"


def _rate(row: Row) -> float:
    return row.images_per_second or 0.0


def margin(rows: Sequence[Mapping[str, Any]]) -> str:
    """What `--recipe best` adds to the accuracy of the reference recipe.

    Its rows are those of an ablation.
    """
    reference = _accuracies(rows, "reference")
    best = _accuracies(rows, "best")
    gains = [best[seed] - accuracy for seed, accuracy in reference.items()]
    return (
        f"Over {len(gains)} seeds, `--recipe best` has a test accuracy of {_mean(best)}, "
        f"the reference recipe {_mean(reference)}: **{statistics.fmean(gains):.1f} points more**, "
        f"from {min(gains):.1f} to {max(gains):.1f} with the same seed, "
        f"on {rows[0]['images']} test images."
    )


def _accuracies(rows: Sequence[Mapping[str, Any]], name: str) -> dict[int, float]:
    """Percent by seed."""
    return {row["seed"]: 100 * row["accuracy"] for row in rows if row["name"] == name}


def _mean(accuracies: Mapping[int, float]) -> str:
    by_seed = ", ".join(f"{accuracies[seed]:.1f}" for seed in sorted(accuracies))
    return f"{statistics.fmean(accuracies.values()):.1f} % ({by_seed})"


def gain(path: Path) -> str:
    """What training in one pass saves.

    Args:
        path: the rows of a set; beside them lie those of the same runs one after the other.

    Raises:
        InputError: the runs are not the same.
    """
    path_of_single = path.with_stem(f"{path.stem}-sequential")
    single = _seconds(path_of_single)
    together = _seconds(path)
    if single.keys() != together.keys():
        raise InputError(
            f"{path} and {path_of_single} are not of the same runs; measure both anew."
        )
    before = sum(single.values())
    after = sum(together.values())
    return (
        f"These {len(single)} runs trained for {before:,.0f} s one after the other and for "
        f"{after:,.0f} s in one pass a dataset: **{before / after:.1f} times faster**."
    )


def _seconds(path: Path) -> dict[str, float]:
    rows = json.loads(path.read_text(encoding="utf-8"))
    return {row["run"]: row["seconds"] for row in rows}
