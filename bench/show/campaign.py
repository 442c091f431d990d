"""The table of `bench.campaign`, and what did not hold."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from sentiflow.markdown import pipe_table

from ..campaign.rows import Row, read
from .table import rich_table

HEADINGS = ("part", "what", "tried", "outcomes", "not as promised", "most memory, MiB")
PACKAGES = ("python", "tensorflow", "keras", "pillow")
TEXTS = 2  # of them begin a line; the outcomes are text as well


def print_table(rows: Sequence[Row], console: Console) -> None:
    """A kind of input a line."""
    title = f"seed {', '.join(map(str, dict.fromkeys(row.seed for row in rows)))}"
    console.print(rich_table(title, HEADINGS, _lines(rows), texts=TEXTS))


def print_faults(rows: Sequence[Row], console: Console) -> None:
    """Every fault in a line of its own."""
    for row in rows:
        for fault in row.faults:
            console.print(f"{row.part}, {row.subject}: {fault}", markup=False, highlight=False)


def markdown(path: Path) -> str:
    """The table for a page from a file of rows, the faults below it, and what was tried with."""
    if not path.exists():
        return f"*Not run; `python -m bench.campaign PART... --json {path.name}` makes the rows.*"
    rows = read(path)
    parts = [pipe_table(HEADINGS, _lines(rows), texts=TEXTS)]
    faults = [f"* {row.part}, {row.subject}: {fault}" for row in rows for fault in row.faults]
    parts += ["\n".join(faults)] if faults else []
    return "\n\n".join([*parts, *dict.fromkeys(_setting(row) for row in rows)])


def _setting(row: Row) -> str:
    machine = row.environment
    hardware = f"{machine['cpu']}, {machine['cores']} cores"
    versions = ", ".join(f"{name} {machine.get(name)}" for name in PACKAGES)
    minutes = f"{row.part}: seed {row.seed}, {row.seconds / 60:,.0f} minutes"
    return f"{minutes}; {hardware}; {versions}; commit {row.commit or 'none'}"


def _lines(rows: Sequence[Row]) -> list[list[str]]:
    return [
        [
            row.part,
            row.subject,
            f"{row.tried:,}",
            _outcomes(row),
            f"{len(row.faults):,}",
            "-" if row.peak_mib is None else f"{row.peak_mib:,.0f}",
        ]
        for row in rows
    ]


def _outcomes(row: Row) -> str:
    """What the trials came to, with numbers where there was more than one."""
    if len(row.outcomes) == 1:
        return next(iter(row.outcomes))
    return ", ".join(f"{name} {number:,}" for name, number in row.outcomes.items())
