"""Tables and bar charts, made from rows; `python -m bench.report FILE.json` prints rows as Markdown."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

import click
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter
from rich.console import Console
from rich.table import Table

from bench.rows import BASELINE, Row, read_json, write_csv, write_json
from bench.settings import Settings
from pipeline import cli

OURS, OTHERS, ABSENT = "#1f77b4", "#9aa3ad", "#c0392b"


def publish(
    measured: Sequence[Row],
    settings: Settings,
    *,
    show: Callable[[Sequence[Row], Console], None] | None = None,
    draw: Callable[[Sequence[Row], Path], None] | None = None,
) -> None:
    """Prints the tables with `show`, and writes the files that were asked for, the plot with `draw`."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    (show or print_tables)(measured, console)
    for path, write in ((settings.json, write_json), (settings.csv, write_csv), (settings.plot, draw or plot)):
        if path is not None:
            write(measured, path)
            console.print(f"written: {path}", highlight=False, soft_wrap=True)


def print_tables(rows: Sequence[Row], console: Console) -> None:
    """One table for each work, and below them what the numbers were measured on."""
    for work in dict.fromkeys(row.work for row in rows):
        chosen = [row for row in rows if row.work == work]
        table = Table(title=f"{chosen[0].dataset}: {work}, batch {chosen[0].batch_size}", title_justify="left")
        table.add_column("contestant", no_wrap=True)
        for heading in ("images/s", "spread", "x original", "first batch s", "CPU ms/image", "memory MiB"):
            table.add_column(heading, justify="right")
        table.add_column("status", overflow="fold")
        for row in chosen:
            table.add_row(row.contestant, *cells(row), remark(row))
        console.print(table)
    if rows:
        console.print(setting(rows[0]), highlight=False, soft_wrap=True)


def markdown(rows: Sequence[Row]) -> str:
    """The rows as one Markdown table, and below it what they were measured on."""
    headings = ("work", "contestant", "images/s", "spread", "x original", "first batch s", "CPU ms/image", "MiB")
    lines = [headings, ("---", "---", *["---:"] * 6)]
    lines += [(row.work, row.contestant, *cells(row)) for row in rows if row.status == "ok"]
    notes = dict.fromkeys(
        f"* {row.contestant}: {row.deviation}" for row in rows if row.status == "ok" and row.deviation
    )
    return "\n".join([pipes(lines), "", *([*notes, ""] if notes else []), setting(rows[0])])


def print_lines(
    title: str, headings: Sequence[str], lines: Sequence[Sequence[str]], console: Console, *, texts: int = 1
) -> None:
    """A table of lines of cells, whose first columns are `texts` and whose others are numbers."""
    table = Table(title=title, title_justify="left")
    for i, heading in enumerate(headings):
        table.add_column(heading, justify="left" if i < texts else "right")
    for line in lines:
        table.add_row(*line)
    console.print(table)


def pipes(lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table of lines of cells, the second of which is the ruler."""
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def remark(row: Row) -> str:
    """The status of a row, and how it deviates from the work."""
    return f"{row.status}; {row.deviation}" if row.status == "ok" and row.deviation else row.status


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


def setting(row: Row) -> str:
    """The machine and the versions behind a row, in one line."""
    machine = row.environment
    versions = ", ".join(f"{name} {machine.get(name)}" for name in ("python", "tensorflow", "pillow"))
    return f"{machine['cpu']}, {machine['cores']} cores, {row.images} images; {versions}; commit {row.commit or 'none'}"


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draws a bar chart PNG, a panel for each work; bars are labelled with images/s and the ratio to the original."""
    works = list(dict.fromkeys(row.work for row in rows))
    heights = [1 + sum(row.work == work for row in rows) for work in works]
    figure = Figure(figsize=(9, 1.3 + 0.42 * sum(heights)), layout="constrained")
    panels = figure.subplots(len(works), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    known = [rate for row in rows for rate in row.windows] or [1.0]
    panels[0].set_xscale("log")
    panels[0].set_xlim(10 ** math.floor(math.log10(min(known))), max(known) * 6)
    panels[0].xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    for work, panel in zip(works, panels, strict=True):
        _draw_panel(panel, work, [row for row in rows if row.work == work])
    panels[-1].set_xlabel("images/s, median (logarithmic); black: slowest to fastest window")
    figure.suptitle(f"Image loading, {rows[0].dataset}, batch {rows[0].batch_size}", x=0.01, ha="left", weight="bold")
    figure.supxlabel(setting(rows[0]), fontsize=6.5, color="#666666", x=0.01, ha="left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _draw_panel(axes: Axes, work: str, rows: Sequence[Row]) -> None:
    rows = sorted(rows, key=lambda row: row.images_per_second or 0.0)
    rates = [row.images_per_second or float("nan") for row in rows]
    colours = [OURS if row.contestant.startswith("sentiflow") else OTHERS for row in rows]
    axes.barh(range(len(rows)), rates, color=colours, height=0.72)
    axes.set_yticks(range(len(rows)), [row.contestant for row in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    for y, row in enumerate(rows):
        _label_bar(axes, y, row)
    axes.set_title(f"work: {work}", loc="left", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def _label_bar(axes: Axes, y: int, row: Row) -> None:
    if row.images_per_second is None:
        axes.text(axes.get_xlim()[0] * 1.1, y, textwrap.shorten(row.status, 100), va="center", fontsize=8, color=ABSENT)
        return
    axes.plot([min(row.windows), max(row.windows)], [y, y], color="black", linewidth=1.2, solid_capstyle="butt")
    ratio = "" if row.ratio_to_original is None or row.contestant == BASELINE else f"   {row.ratio_to_original:.1f}x"
    text = f" {cells(row)[0]}{ratio}"
    axes.text(max(row.windows) * 1.03, y, text, va="center", fontsize=9)


def _text(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


@click.command(cls=cli.Command)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
def main(file: Path) -> None:
    """Prints the rows that a benchmark wrote with --json as a Markdown table."""
    click.echo(markdown(read_json(file)))


if __name__ == "__main__":
    main()
