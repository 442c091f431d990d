"""Tables of `bench.growth`."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from sentiflow.markdown import pipe_table

from ..harness.rows import Row
from .table import rich_table, setting

HEADINGS = (
    "images",
    "anonymous MiB",
    "total MiB",
    "seconds",
    "images/s",
    "MB on disk",
    "scan, s",
    "open, s",
    "opened MiB",
    "index bytes/image",
)


def print_table(title: str, rows: Sequence[Row], console: Console) -> None:
    """A set a row."""
    console.print(rich_table(title, HEADINGS, _lines(rows), texts=0))


def markdown(rows: Sequence[Row]) -> str:
    """The table for a page."""
    return f"{pipe_table(HEADINGS, _lines(rows), texts=0)}\n\n{setting(rows[-1])}"


def _lines(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    return [
        (
            f"{row.images:,}",
            _number(row.peak_anonymous_mib, 0),
            _number(row.peak_total_mib, 0),
            _number(row.build_seconds, 1),
            _number(row.images_per_second, 0),
            _number(row.bytes_on_disk and row.bytes_on_disk / 1e6, 1),
            _number(row.scan_seconds, 1),
            _number(row.open_seconds, 2),
            _number(row.open_anonymous_mib, 0),
            _number(row.index_bytes and row.index_bytes / row.images, 0),
        )
        for row in rows
    ]


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"
