"""The one writer of tables on a terminal, and the cells of a row."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.table import Table

from sentiflow.terminal import literal

from ..harness.rows import Row


def rich_table(
    title: str,
    headings: Sequence[str],
    lines: Iterable[Sequence[str]],
    *,
    texts: int = 1,
    statuses: Sequence[str] = (),
) -> Table:
    """A table of lines of cells for a terminal.

    Args:
        title: line above it.
        headings: of the columns.
        lines: a cell for each heading.
        texts: number of first columns that hold text, to the left; the others hold numbers, to the
            right.
        statuses: one for each line, for a last column that folds.
    """
    table = Table(title=title, title_justify="left")
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="left" if i < texts else "right", no_wrap=i == 0)
    if statuses:
        table.add_column("status", overflow="fold")
        lines = [[*line, status] for line, status in zip(lines, statuses, strict=True)]
    for line in lines:
        table.add_row(*map(literal, line))
    return table


def cells(row: Row) -> list[str]:
    """The numbers of a row as text; a dash where there is none."""
    cpu = None if row.cpu_seconds_per_image is None else row.cpu_seconds_per_image * 1000
    memory = row.peak_total_mib if row.peak_anonymous_mib is None else row.peak_anonymous_mib
    return [
        _text(row.images_per_second, ",.0f" if (row.images_per_second or 0) >= 100 else ".1f"),
        _text(row.spread, ".0%"),
        _text(row.ratio_to_original, ".1f"),
        _text(row.first_batch_seconds, ".2f"),
        _text(cpu, ".3f"),
        _text(memory, ",.0f"),
    ]


def remark(row: Row) -> str:
    """The status of a row, and how it deviates from the work."""
    deviates = row.status == "ok" and row.deviation
    return f"{row.status}; {row.deviation}" if deviates else row.status


def setting(row: Row) -> str:
    """The machine and the versions behind a row, in one line."""
    machine = row.environment
    packages = ("python", "tensorflow", "pillow")
    versions = ", ".join(f"{name} {machine.get(name)}" for name in packages)
    hardware = f"{machine['cpu']}, {machine['cores']} cores, {row.images} images"
    return f"{hardware}; {versions}; commit {row.commit or 'none'}"


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def percent(share: float | None) -> str:
    """With one decimal, rounded down, so that 99 % is what it says."""
    return "-" if share is None else f"{int(share * 1000) / 10:.1f}%"
