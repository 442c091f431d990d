"""What all pictures of the benchmark share: the look of a panel, title, the line at the foot."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sentiflow.files import write_atomically

from ..harness.rows import Row

OURS = "#1f77b4"
OTHERS = "#9aa3ad"


def colour_of(row: Row) -> str:
    """Blue for the loaders of this software, grey for all others."""
    return OURS if row.kind == "ours" else OTHERS


def style_panel(axes: Axes, lines: Literal["x", "y", "both"]) -> None:
    """Leaves out half of the frame, and draws fine grid lines behind the data."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=lines, color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def write(figure: Figure, path: Path, *, foot: str, title: str = "", dpi: int = 150) -> None:
    """Writes a PNG, with a bold title and a small line at the foot that says what was measured."""
    if title:
        figure.suptitle(title, x=0.01, ha="left", weight="bold")
    figure.supxlabel(foot, fontsize=6.5, color="#666666", x=0.01, ha="left")
    write_atomically(path, lambda target: figure.savefig(target, dpi=dpi))
