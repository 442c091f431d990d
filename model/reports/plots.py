"""Pictures of a run as PNG: the charts of its page, and its confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import PercentFormatter

from sentiflow.files import write_atomically

from ..scores.confusion import Table
from .charts import Chart

# By role, as in the page's style sheet on paper.
COLORS = {"train": "#7d848f", "held-out": "#1f57c3", "muted": "#b9bec6", "guide": "#5b6270"}
FADED = 0.5  # opacity of bars
DPI = 150


def draw_charts(charts: Sequence[Chart], path: Path, *, title: str, stacked: bool = False) -> None:
    """Charts as PNG: beside each other or, the first being the tallest, below each other.

    Args:
        charts: at least one.
        path: file to write.
        title: lines above the picture.
        stacked: whether they stand below each other and share their x axis.
    """
    figure = Figure(figsize=(5, 5.8) if stacked else (10, 4), layout="constrained")
    figure.suptitle(title, fontsize=11, parse_math=False)
    heights = (3,) + (1,) * (len(charts) - 1)
    panels = (
        figure.subplots(len(charts), 1, sharex=True, height_ratios=heights)
        if stacked
        else figure.subplots(1, len(charts))
    )
    for chart, axes in zip(charts, panels, strict=True):
        _draw(chart, axes)
        if stacked:
            axes.label_outer()
    _save(figure, path)


def _draw(chart: Chart, axes: Axes) -> None:
    """A chart on axes that are 100 wide and 100 high, y downwards, as the chart counts."""
    axes.set(xlim=(0, 100), ylim=(100, 0), title=chart.title, xlabel=chart.x_name)
    axes.set_xticks(
        [chart.x.position(value) for value, _ in chart.x.ticks],
        [text for _, text in chart.x.ticks],
    )
    axes.set_yticks(
        [100 - chart.y.position(value) for value, _ in chart.y.ticks],
        [text for _, text in chart.y.ticks],
    )
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e8eb", linewidth=0.8)
    axes.set_axisbelow(True)
    for role, left, top, width, height in chart.bars:
        color = COLORS[role]
        axes.add_patch(Rectangle((left, top), width, height, fc=color, ec="white", alpha=FADED))
    for role, points in chart.lines:
        marker = "o" if len(points) < 3 else None
        axes.plot(*zip(*points, strict=True), color=COLORS[role], marker=marker, clip_on=False)
    if chart.guide:
        _, points = chart.guide
        axes.plot(*zip(*points, strict=True), color=COLORS["guide"], linestyle="--", linewidth=1)
    if chart.legend:
        handles = [Patch(color=COLORS[role]) for role in chart.legend.values()]
        axes.legend(handles, list(chart.legend), frameon=False)


def draw_confusion(table: Table, path: Path, *, title: str) -> None:
    """Confusion matrix as PNG: colours and percentages are shares of the true class.

    The counts stand below the percentages.

    Args:
        table: what is shown of the matrix.
        path: file to write.
        title: line above the picture.
    """
    shares = table.images / np.maximum(table.images.sum(axis=1, keepdims=True), 1)
    height, width = (2.4 + 0.8 * len(names) for names in (table.rows, table.columns))
    figure = Figure(figsize=(width + 0.9, height), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        text = f"{share:.0%}\n{table.images[row, column]}" if share else "0"
        color = "white" if share > 0.55 else "black" if share else COLORS["train"]
        axes.text(column, row, text, ha="center", va="center", fontsize=9, color=color)
    columns, rows = range(len(table.columns)), range(len(table.rows))
    # A class may be named like a formula.
    turned: dict[str, Any] = {
        "rotation": 40,
        "ha": "right",
        "rotation_mode": "anchor",
        "parse_math": False,
    }
    axes.set_xticks(columns, table.columns, **turned)
    axes.set_yticks(rows, table.rows, parse_math=False)
    axes.set(xlabel="predicted", ylabel="true")
    # Of the figure, which is wider than the axes.
    figure.suptitle("\n".join(filter(None, (title, table.note))), fontsize=11, parse_math=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, format=PercentFormatter(1, decimals=0))
    bar.set_label("share of the true class")
    bar.outline.set_visible(False)
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    write_atomically(path, lambda target: figure.savefig(target, dpi=DPI))
