"""A picture of what was measured on an accelerator.

Its bars are images/s of the forward pass, of training, and of PyTorch's.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..show.figure import style_panel, write
from .page import machine
from .rows import Measurement

DPI = 130

# What becomes a bar, from above to below: part -> its colour and what it is called.
KINDS = {
    "chip": ("#4d5761", "{} alone"),
    "torch-forward": ("#c9ced3", "{}"),
    "step": ("#1f77b4", "trained, fed by {}"),
    "switches": ("#8fc1e3", "trained, fed by {}"),
    "torch-training": ("#c9ced3", "{}, DataLoader"),
}


def draw(rows: Sequence[Measurement], path: Path) -> None:
    """Draws a PNG with a panel for each batch size; nothing where there is nothing to draw."""
    bars = [row for row in rows if row.images_per_second and row.part in KINDS]
    sizes = sorted({row.batch_size for row in bars if row.batch_size})
    if not sizes:
        return
    panels = {size: [row for row in bars if row.batch_size == size] for size in sizes}
    heights = [1 + len(panel) for panel in panels.values()]
    figure = Figure(figsize=(9, 1.2 + 0.34 * sum(heights)), layout="constrained")
    axes = figure.subplots(len(sizes), 1, squeeze=False, sharex=True, height_ratios=heights)[:, 0]
    for (size, panel), panel_axes in zip(panels.items(), axes, strict=True):
        _draw_panel(panel_axes, size, _in_order(panel))
    axes[0].set_xlim(0, 1.2 * max(row.images_per_second or 0.0 for row in bars))
    axes[-1].set_xlabel("images/s, median; in brackets: share of the constant batch's")
    title = "Frozen backbone and head on an accelerator"
    write(figure, path, title=title, foot=machine(rows[0], "jax", "torch"), dpi=DPI)


def _in_order(rows: Sequence[Measurement]) -> list[Measurement]:
    kinds = list(KINDS)
    return sorted(rows, key=lambda row: kinds.index(row.part))


def title(row: Measurement) -> str:
    """What a bar is called."""
    return KINDS[row.part][1].format(row.name) + (f", {row.variant}" if row.variant else "")


def _draw_panel(axes: Axes, batch_size: int, rows: Sequence[Measurement]) -> None:
    rates = [row.images_per_second or 0.0 for row in rows]
    axes.barh(range(len(rows)), rates, color=[KINDS[row.part][0] for row in rows], height=0.74)
    axes.set_yticks(range(len(rows)), [title(row) for row in rows], fontsize=8)
    axes.invert_yaxis()
    for y, row in enumerate(rows):
        share = f"  ({row.utilisation:.0%})" if row.utilisation is not None else ""
        axes.text(rates[y], y, f" {rates[y]:,.0f}{share}", va="center", fontsize=8)
    axes.set_title(f"batch {batch_size}", loc="left", fontsize=10)
    style_panel(axes, "x")
