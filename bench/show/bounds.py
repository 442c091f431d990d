"""The bounds of the machine in words."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from ..contestants.bounds import WINDOW_BYTES
from ..harness.rows import Row

MEANINGS = {
    "decode": "JPEG decoding",
    "copy": "copying windows",
    "memory": "copying memory",
    "disk": "reading the disk",
}


def print_bounds(rows: Sequence[Row], console: Console) -> None:
    """What the bounds among the rows come to, a line each."""
    for sentence in summarise(rows):
        console.print(sentence, highlight=False)


def summarise(rows: Sequence[Row]) -> list[str]:
    """The bounds in words, each with what reached it."""
    measured = [row for row in rows if row.images_per_second]
    lines = []
    for work, meaning in MEANINGS.items():
        at_work = [row for row in measured if row.work == work]
        if at_work:
            best = max(at_work, key=lambda row: row.images_per_second or 0.0)
            lines.append(f"bound of {meaning}: {_speed(best)} ({best.contestant})")
    return lines


def _speed(row: Row) -> str:
    rate = row.images_per_second or 0.0
    bandwidth = f", {rate * WINDOW_BYTES / 1e9:.1f} GB/s" if row.work != "decode" else ""
    return f"{rate:,.0f} images/s{bandwidth}"
