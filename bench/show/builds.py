"""Tables of `bench.build`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from sentiflow.markdown import pipe_table

from ..harness.builds import ONE
from ..harness.rows import Row
from .table import rich_table, setting

SPEED = ("images/s", "spread", "x one core", "CPU ms/image")
HEADINGS = ("storage", "cores", *SPEED, "seconds", "MB on disk")


def print_table(rows: Sequence[Row], console: Console) -> None:
    """Builds of every storage with one core and with all."""
    title = f"{rows[0].dataset}, {rows[0].images:,} images"
    console.print(rich_table(title, HEADINGS, _lines(rows)))


def markdown(rows: Sequence[Row]) -> str:
    """The same table for a page."""
    return f"{pipe_table(HEADINGS, _lines(rows))}\n\n{setting(rows[0])}"


def _lines(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    one_core = {row.storage: row.images_per_second or 0.0 for row in rows if row.contestant == ONE}
    return [_cells(row, one_core[row.storage]) for row in rows]


def _cells(row: Row, one_core: float) -> tuple[str, ...]:
    rate = row.images_per_second or 0.0
    return (
        row.storage,
        "1" if row.contestant == ONE else str(row.environment["cores"]),
        f"{rate:,.1f}",
        f"{row.spread or 0:.0%}",
        f"{rate / one_core:.2f}",
        f"{1000 * (row.cpu_seconds_per_image or 0):.2f}",
        f"{row.build_seconds or 0:.1f}",
        f"{(row.bytes_on_disk or 0) / 1e6:,.1f}",
    )
