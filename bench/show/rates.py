"""Tables of `bench.throughput`: how fast each contestant was at each work."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console

from sentiflow.markdown import pipe_table

from ..harness.rows import BASELINE, Row
from .table import cells, remark, rich_table, setting

HEADINGS = ("images/s", "spread", "x original", "first batch s", "CPU ms/image")


def progress(row: Row) -> str:
    """A row as one line of progress."""
    rate = f"{cells(row)[0]:>9} images/s"
    return f"{row.work:10} {row.contestant:24} {rate}  {row.status}"


def print_tables(rows: Sequence[Row], console: Console) -> None:
    """One table for each work, and below them what the numbers were measured on."""
    headings = ("contestant", *HEADINGS, "memory MiB")
    for work in dict.fromkeys(row.work for row in rows):
        measured = [row for row in rows if row.work == work]
        title = f"{measured[0].dataset}: {work}, batch {measured[0].batch_size}"
        lines = [(row.contestant, *cells(row)) for row in measured]
        statuses = [remark(row) for row in measured]
        console.print(rich_table(title, headings, lines, statuses=statuses))
    if rows:
        console.print(setting(rows[0]), highlight=False, soft_wrap=True)


def summary(rows: Sequence[Row]) -> str:
    """The first screen's table: the original generator, ours, and the fastest other loader."""
    timed = [row for row in rows if row.status == "ok" and row.work == "augmented"]
    peers = [row for row in timed if row.kind == "peer"]
    best = max(peers, key=lambda row: row.images_per_second or 0.0, default=None)
    shown = [
        row for row in timed if row.contestant == BASELINE or row.kind == "ours" or row is best
    ]
    table = pipe_table(
        ("contestant", *HEADINGS, "MiB"), [(row.contestant, *cells(row)) for row in shown]
    )
    return f"{table}\n\n{setting(rows[0])}"


def markdown(rows: Sequence[Row]) -> str:
    """The rows as one Markdown table, and below it what they were measured on."""
    timed = [row for row in rows if row.status == "ok"]
    lines = [(row.work, row.contestant, *cells(row)) for row in timed]
    notes = dict.fromkeys(f"* {row.contestant}: {row.deviation}" for row in timed if row.deviation)
    parts = [
        pipe_table(("work", "contestant", *HEADINGS, "MiB"), lines, texts=2),
        "\n".join(notes),
        setting(rows[0]),
    ]
    return "\n\n".join(filter(None, parts))
