"""Tables and charts of `bench.training`: how busy each contestant keeps an accelerator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter, StrMethodFormatter
from rich.console import Console

from ..harness.rows import Row
from .bars import colour_of
from .table import cells, pipes, rich_table, setting

LEVELS = (0.9, 0.99)  # MLPerf Storage demands the first


def fastest_kept(rows: Sequence[Row], level: float) -> float | None:
    """The fastest of the rows' emulated accelerators, images/s, that was at least so busy; None if none was."""
    kept = [row.emulate for row in rows if row.emulate and (row.utilisation or 0.0) >= level]
    return max(kept, default=None)


def line(row: Row) -> str:
    """A row as one line of progress."""
    accelerator = "real step" if row.emulate is None else f"{row.emulate:,.0f} images/s"
    figures = f"{percent(row.utilisation):>6} busy, {cells(row)[0]:>7} images/s"
    return f"{row.work:10} {accelerator:>15}  {row.contestant:24} {figures}  {row.status}"


def print_tables(rows: Sequence[Row], console: Console) -> None:
    """One table for the real step and for each emulated work, and below them what they were measured on."""
    for work in dict.fromkeys(row.work for row in rows):
        measured = [row for row in rows if row.work == work]
        statuses = {row.contestant: row.status for row in measured}
        console.print(rich_table(*_contents(work, measured), statuses=list(statuses.values())))
    if rows:
        console.print(setting(rows[0]), highlight=False, soft_wrap=True)


def markdown(rows: Sequence[Row]) -> str:
    """The same tables as Markdown, without what was not measured."""
    parts = []
    for work in dict.fromkeys(row.work for row in rows):
        timed = [row for row in rows if row.work == work and row.status == "ok"]
        title, headings, lines = _contents(work, timed)
        parts.append(f"**{title}**\n\n{pipes(headings, lines)}")
    return "\n\n".join([*parts, setting(rows[0])])


Lines = tuple[str, list[str], list[list[str]]]  # title, headings, cells


def _contents(work: str, rows: Sequence[Row]) -> Lines:
    return _step_lines(rows) if work == "training" else _emulation_lines(rows)


def _step_lines(rows: Sequence[Row]) -> Lines:
    first = rows[0]
    what = f"{first.backbone} on {first.backend}, {first.device}, {first.precision}, batch {first.batch_size}"
    headings = [
        "fed by",
        "utilisation",
        "waiting",
        "images/s",
        "spread",
        "CPU ms/image",
        "device MiB",
    ]
    lines = []
    for row in rows:
        rate, spread, _, _, cpu, _ = cells(row)
        memory = "-" if row.device_memory_mib is None else f"{row.device_memory_mib:,.0f}"
        busy, waiting = percent(row.utilisation), percent(row.waiting_share)
        lines.append([row.contestant, busy, waiting, rate, spread, cpu, memory])
    return f"{first.dataset}: training step of {what}", headings, lines


def _emulation_lines(rows: Sequence[Row]) -> Lines:
    rates = sorted({row.emulate for row in rows if row.emulate})
    title = f"{rows[0].dataset}: {rows[0].work}, batch {rows[0].batch_size}"
    headings = [
        "contestant",
        *(f"{rate:,.0f}" for rate in rates),
        *(f"keeps at {level:.0%}" for level in LEVELS),
    ]
    lines = []
    for name in dict.fromkeys(row.contestant for row in rows):
        emulated = [row for row in rows if row.contestant == name]
        shares = {row.emulate: row.utilisation for row in emulated}
        kept = [fastest_kept(emulated, level) for level in LEVELS]
        figures = [percent(shares.get(rate)) for rate in rates]
        lines.append([name, *figures, *("-" if rate is None else f"{rate:,.0f}" for rate in kept)])
    return f"{title}; utilisation of an accelerator of so many images/s", headings, lines


def percent(share: float | None) -> str:
    """With one decimal, rounded down, so that 99 % is what it says."""
    return "-" if share is None else f"{int(share * 1000) / 10:.1f}%"


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draws a PNG with a panel for the real step and for each emulated work."""
    works = list(dict.fromkeys(row.work for row in rows))
    figure = Figure(figsize=(9, 1.0 + 3.6 * len(works)), layout="constrained")
    for work, axes in zip(works, figure.subplots(len(works), 1, squeeze=False)[:, 0], strict=True):
        timed = [row for row in rows if row.work == work and row.utilisation is not None]
        (_draw_step if work == "training" else _draw_emulation)(axes, timed)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="x" if work == "training" else "both", color="#dddddd", linewidth=0.6)
        axes.set_axisbelow(True)
    title = f"Accelerator utilisation, {rows[0].dataset}, batch {rows[0].batch_size}"
    figure.suptitle(title, x=0.01, ha="left", weight="bold")
    figure.supxlabel(setting(rows[0]), fontsize=6.5, color="#666666", x=0.01, ha="left")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)


def _draw_step(axes: Axes, rows: Sequence[Row]) -> None:
    rows = sorted(rows, key=lambda row: row.utilisation or 0.0)
    colours = [colour_of(row) for row in rows]
    axes.barh(
        [row.contestant for row in rows],
        [row.utilisation or 0.0 for row in rows],
        color=colours,
        height=0.72,
    )
    for y, row in enumerate(rows):
        text = f" {percent(row.utilisation)}   {cells(row)[0]} images/s, waiting {percent(row.waiting_share)}"
        axes.text(row.utilisation or 0.0, y, text, va="center", fontsize=9)
    axes.set_xlim(0, 1.6)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    if rows:
        axes.set_title(
            f"training step of {rows[0].backbone} on {rows[0].device}", loc="left", fontsize=10
        )


def _draw_emulation(axes: Axes, rows: Sequence[Row]) -> None:
    for name in dict.fromkeys(row.contestant for row in rows):
        line = [row for row in rows if row.contestant == name]
        points = [(row.emulate, row.utilisation) for row in line]
        ours = line[0].kind == "ours"
        style = {"linewidth": 2.2} if ours else {"linewidth": 1.2, "linestyle": "--"}
        axes.plot(*zip(*points, strict=True), marker="o", markersize=4, label=name, **style)
    axes.axhline(LEVELS[0], color="#999999", linewidth=0.8, linestyle=":")
    axes.set_xscale("log")
    ticks = sorted({row.emulate for row in rows if row.emulate})
    axes.set_xticks(ticks, minor=False)
    axes.set_xticks([], minor=True)
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_ylim(0, 1.03)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0))
    axes.set_xlabel(
        "emulated accelerator, images/s (logarithmic); dotted: the 90 % that MLPerf Storage demands"
    )
    if rows:
        axes.set_title(f"work: {rows[0].work}", loc="left", fontsize=10)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=8, frameon=False)
