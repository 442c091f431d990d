"""The bar chart of `bench.throughput`."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from ..harness.rows import BASELINE, Row
from .figure import colour_of, style_panel, write
from .table import cells, setting

ABSENT = "#c0392b"


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draws a PNG with a panel for each work; a bar says images/s and the ratio to the original."""
    works = list(dict.fromkeys(row.work for row in rows))
    heights = [1 + sum(row.work == work for row in rows) for work in works]
    figure = Figure(figsize=(9, 1.3 + 0.42 * sum(heights)), layout="constrained")
    grid = figure.subplots(len(works), 1, squeeze=False, sharex=True, height_ratios=heights)
    panels = grid[:, 0]
    rates = [rate for row in rows for rate in row.windows] or [1.0]
    panels[0].set_xscale("log")
    panels[0].set_xlim(10 ** math.floor(math.log10(min(rates))), max(rates) * 6)
    panels[0].xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    for work, panel in zip(works, panels, strict=True):
        _draw_panel(panel, work, [row for row in rows if row.work == work])
    panels[-1].set_xlabel("images/s, median (logarithmic); black: slowest to fastest window")
    title = f"Image loading, {rows[0].dataset}, batch {rows[0].batch_size}"
    write(figure, path, title=title, foot=setting(rows[0]))


def _draw_panel(axes: Axes, work: str, rows: Sequence[Row]) -> None:
    rows = sorted(rows, key=lambda row: row.images_per_second or 0.0)
    rates = [row.images_per_second or float("nan") for row in rows]
    axes.barh(range(len(rows)), rates, color=[colour_of(row) for row in rows], height=0.72)
    axes.set_yticks(range(len(rows)), [row.contestant for row in rows])
    axes.set_ylim(-0.6, len(rows) - 0.4)
    for y, row in enumerate(rows):
        _label_bar(axes, y, row)
    axes.set_title(f"work: {work}", loc="left", fontsize=10)
    style_panel(axes, "x")


def _label_bar(axes: Axes, y: int, row: Row) -> None:
    if row.images_per_second is None:
        reason = textwrap.shorten(row.status, 100)
        axes.text(axes.get_xlim()[0] * 1.1, y, reason, va="center", fontsize=8, color=ABSENT)
        return
    fastest = max(row.windows)
    axes.plot(
        [min(row.windows), fastest], [y, y], color="black", linewidth=1.2, solid_capstyle="butt"
    )
    compared = row.ratio_to_original is not None and row.contestant != BASELINE
    ratio = f"   {row.ratio_to_original:.1f}x" if compared else ""
    axes.text(fastest * 1.03, y, f" {cells(row)[0]}{ratio}", va="center", fontsize=9)
