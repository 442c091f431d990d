"""Tables of `bench.start`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from sentiflow.markdown import pipe_table

from ..harness.rows import Row
from .table import rich_table, setting

HEADINGS = ("work", "contestant", "imports s", "first batch s", "both s", "allowed s")


def seconds(row: Row) -> float:
    """From the start of the process to its first batch."""
    return (row.start_seconds or 0.0) + (row.first_batch_seconds or 0.0)


def allowed(import_seconds: float) -> float:
    """The seconds to the first batch that the software promises.

    Args:
        import_seconds: that a process takes which imports TensorFlow and does no more.
    """
    return 1.5 * import_seconds + 1.0


def print_table(rows: Sequence[Row], console: Console) -> None:
    """Seconds of every start beside what is allowed."""
    title = "seconds from the start of a process to its first batch"
    console.print(rich_table(title, HEADINGS, _lines(rows), texts=2))
    console.print(setting(rows[-1]), highlight=False, soft_wrap=True)


def markdown(rows: Sequence[Row]) -> str:
    """The same table for a page."""
    return f"{pipe_table(HEADINGS, _lines(rows), texts=2)}\n\n{setting(rows[-1])}"


def _lines(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    return [cells(row, rows[0]) for row in rows]


def cells(row: Row, of_import: Row) -> tuple[str, ...]:
    """The table's line about a row; what failed says so where the last number would stand."""
    parts = (row.start_seconds or 0.0, row.first_batch_seconds or 0.0, seconds(row))
    limit = "-" if row is of_import else f"{allowed(seconds(of_import)):.1f}"
    figures = (f"{part:.2f}" for part in parts)
    return row.work, row.contestant, *figures, limit if row.status == "ok" else row.status
