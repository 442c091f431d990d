"""Tables of `bench.memory`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from sentiflow.markdown import pipe_table

from ..harness.rows import Row
from .table import rich_table, setting

HEADINGS = ("work", "contestant", "images", "anonymous MiB", "total MiB", "images/s")


def print_table(rows: Sequence[Row], console: Console) -> None:
    """Peak memory of the dataset and of the grown one, one below the other."""
    title = "peak memory of an epoch and the timed windows, MiB"
    console.print(rich_table(title, HEADINGS, map(_cells, rows), texts=2))


def markdown(rows: Sequence[Row]) -> str:
    """The same table as Markdown, and what it was measured on."""
    return f"{pipe_table(HEADINGS, map(_cells, rows), texts=2)}\n\n{setting(rows[-1])}"


def _cells(row: Row) -> tuple[str, ...]:
    peaks = (row.peak_anonymous_mib, row.peak_total_mib)
    sizes = ("-" if size is None else f"{size:,.0f}" for size in peaks)
    rate = row.status if row.images_per_second is None else f"{row.images_per_second:,.0f}"
    return row.work, row.contestant, f"{row.images:,}", *sizes, rate
