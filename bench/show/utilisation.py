"""Tables and charts of `bench.training`: how busy each contestant keeps an accelerator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, StrMethodFormatter
from rich.console import Console

from sentiflow.markdown import pipe_table

from ..harness.rows import Row
from . import diagnosis
from .diagnosis import LEVELS, MEANINGS, fastest_kept
from .figure import colour_of, style_panel, write
from .table import cells, percent, rich_table, setting

LIMITS = ("limited by", "lifted by")
STEP_COSTS = ("images/s", "spread", "CPU ms/image", "device MiB")


class Contents(NamedTuple):
    """A table: its title, its headings, and a cell for each heading in each line."""

    title: str
    headings: list[str]
    lines: list[list[str]]


def line(row: Row) -> str:
    """A row as one line of progress."""
    accelerator = "real step" if row.emulate is None else f"{row.emulate:,.0f} images/s"
    figures = f"{percent(row.utilisation):>6} busy, {cells(row)[0]:>7} images/s"
    return f"{row.work:10} {accelerator:>15}  {row.contestant:24} {figures}  {row.status}"


def print_tables(rows: Sequence[Row], console: Console) -> None:
    """One table for the real step and for each emulated work, and what they were measured on."""
    for work in dict.fromkeys(row.work for row in rows):
        measured = [row for row in rows if row.work == work]
        statuses = {row.contestant: row.status for row in measured}
        console.print(rich_table(*_contents(measured), statuses=list(statuses.values())))
    if rows:
        console.print(setting(rows[0]), highlight=False, soft_wrap=True)


def markdown(rows: Sequence[Row]) -> str:
    """The same tables as Markdown, without what was not measured, and what limits stand for."""
    timed = [row for row in rows if row.status == "ok"]
    works = dict.fromkeys(row.work for row in rows)
    tables = [_contents([row for row in timed if row.work == work]) for work in works]
    parts = [f"**{table.title}**\n\n{pipe_table(table.headings, table.lines)}" for table in tables]
    return "\n\n".join([*parts, *_legend(tables), setting(rows[0])])


def _legend(tables: Sequence[Contents]) -> list[str]:
    """What the limits in the tables stand for, a point each; nothing where none is named."""
    named = {cell for table in tables for cells in table.lines for cell in cells}
    points = [f"* {word}: {text}" for word, text in MEANINGS.items() if word in named]
    return ["\n".join(["*Limited by*:\n", *points])] if points else []


def _contents(rows: Sequence[Row]) -> Contents:
    return _step_table(rows) if rows[0].work == "training" else _emulation_table(rows)


def _step_table(rows: Sequence[Row]) -> Contents:
    first = rows[0]
    step = f"{first.backbone} on {first.backend}, {first.device}, {first.precision}"
    title = f"{first.dataset}: training step of {step}, batch {first.batch_size}"
    headings = ["fed by", "utilisation", "waiting", *LIMITS, *STEP_COSTS]
    return Contents(title, headings, [_step_cells(row, rows) for row in rows])


def _step_cells(row: Row, rows: Sequence[Row]) -> list[str]:
    rate, spread, _, _, cpu, _ = cells(row)
    memory = "-" if row.device_memory_mib is None else f"{row.device_memory_mib:,.0f}"
    busy = [percent(row.utilisation), percent(row.waiting_share)]
    return [row.contestant, *busy, *_limits_of_step(row, rows), rate, spread, cpu, memory]


def _limits_of_step(row: Row, rows: Sequence[Row]) -> tuple[str, str]:
    if not diagnosis.is_fed(row):
        return "-", "-"
    limit = diagnosis.limit_of_step(row)
    final = limit in (diagnosis.ACCELERATOR, diagnosis.DISTURBED)
    return limit, "-" if final else _lifted_by(row, rows)


def _lifted_by(row: Row, rows: Sequence[Row]) -> str:
    best = diagnosis.better(row, [row for row in rows if diagnosis.is_fed(row)])
    return "-" if best is None else f"{best.contestant} to {percent(best.utilisation)}"


def _emulation_table(rows: Sequence[Row]) -> Contents:
    rates = sorted({row.emulate for row in rows if row.emulate})
    first = rows[0]
    setting = f"{first.dataset}: {first.work}, batch {first.batch_size}"
    title = f"{setting}; utilisation of an accelerator of so many images/s"
    levels = [f"keeps at {level:.0%}" for level in LEVELS]
    headings = ["contestant", *(f"{rate:,.0f}" for rate in rates), *levels, *LIMITS]
    names = dict.fromkeys(row.contestant for row in rows)
    return Contents(title, headings, [_emulation_cells(name, rows, rates) for name in names])


def _emulation_cells(name: str, rows: Sequence[Row], rates: Sequence[float]) -> list[str]:
    emulated = [row for row in rows if row.contestant == name]
    shares = {row.emulate: row.utilisation for row in emulated}
    kept = (fastest_kept(emulated, level) for level in LEVELS)
    busy = [percent(shares.get(rate)) for rate in rates]
    fastest = ["-" if rate is None else f"{rate:,.0f}" for rate in kept]
    return [name, *busy, *fastest, *_limits_of_emulation(emulated, rows)]


def _limits_of_emulation(emulated: Sequence[Row], rows: Sequence[Row]) -> tuple[str, str]:
    beyond = diagnosis.first_too_fast([row for row in emulated if diagnosis.is_fed(row)])
    if beyond is None:
        return "-", "-"
    peers = [row for row in rows if row.emulate == beyond.emulate]
    return diagnosis.stage(beyond), _lifted_by(beyond, peers)


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draws a PNG with a panel for the real step and for each emulated work."""
    works = list(dict.fromkeys(row.work for row in rows))
    figure = Figure(figsize=(9, 1.0 + 3.6 * len(works)), layout="constrained")
    for work, axes in zip(works, figure.subplots(len(works), 1, squeeze=False)[:, 0], strict=True):
        timed = [row for row in rows if row.work == work and row.utilisation is not None]
        (_draw_step if work == "training" else _draw_emulation)(axes, timed)
        style_panel(axes, "x" if work == "training" else "both")
    title = f"Accelerator utilisation, {rows[0].dataset}, batch {rows[0].batch_size}"
    write(figure, path, title=title, foot=setting(rows[0]))


def _draw_step(axes: Axes, rows: Sequence[Row]) -> None:
    rows = sorted(rows, key=lambda row: row.utilisation or 0.0)
    busy = [row.utilisation or 0.0 for row in rows]
    names = [row.contestant for row in rows]
    axes.barh(names, busy, color=[colour_of(row) for row in rows], height=0.72)
    for y, row in enumerate(rows):
        rate = f"{cells(row)[0]} images/s, waiting {percent(row.waiting_share)}"
        axes.text(busy[y], y, f" {percent(row.utilisation)}   {rate}", va="center", fontsize=9)
    axes.set_xlim(0, 1.6)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    if rows:
        title = f"training step of {rows[0].backbone} on {rows[0].device}"
        axes.set_title(title, loc="left", fontsize=10)


def _draw_emulation(axes: Axes, rows: Sequence[Row]) -> None:
    for name in dict.fromkeys(row.contestant for row in rows):
        _draw_line(axes, name, [row for row in rows if row.contestant == name])
    axes.axhline(LEVELS[0], color="#999999", linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    axes.set_xticks(sorted({row.emulate for row in rows if row.emulate}), minor=False)
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    dotted = "dotted: the 90 % that MLPerf Storage demands"
    axes.set_xlabel(f"emulated accelerator, images/s (logarithmic); {dotted}")
    if rows:
        axes.set_title(f"work: {rows[0].work}", loc="left", fontsize=10)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False)


def _draw_line(axes: Axes, name: str, rows: Sequence[Row]) -> None:
    ours = rows[0].kind == "ours"
    style = {"linewidth": 2.2} if ours else {"linewidth": 1.2, "linestyle": "--"}
    points = [(row.emulate, row.utilisation) for row in rows]
    axes.plot(*zip(*points, strict=True), marker="o", markersize=4, label=name, **style)
