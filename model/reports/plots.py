"""Pictures of a run: learning curves, confusion matrix, reliability diagram."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sentiflow.files import write_atomically

from ..scores.metrics import Calibration
from ..training.history import EpochRow

TRAIN = "#3b6fb6"
HELD_OUT = "#d9662b"
MUTED = "#8a8f98"
DPI = 150


def draw_curves(history: Sequence[EpochRow], path: Path, *, title: str, held_out: str) -> None:
    """Accuracy and loss by epoch, training beside the split that was held out, as PNG."""
    figure = Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(title, fontsize=11)
    epochs = [row.epoch for row in history]
    for axes, name in zip(figure.subplots(1, 2), ("accuracy", "loss"), strict=True):
        marker = "o" if len(epochs) < 3 else None
        axes.plot(
            epochs,
            [getattr(row, name) for row in history],
            color=TRAIN,
            marker=marker,
            label="train (augmented)",
        )
        axes.plot(
            epochs,
            [getattr(row, f"val_{name}") for row in history],
            color=HELD_OUT,
            marker=marker,
            label=held_out,
        )
        axes.set(title=name, xlabel="epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False)
        _plain(axes)
        if name == "accuracy":
            axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    _save(figure, path)


def draw_confusion(matrix: np.ndarray, class_names: list[str], path: Path, *, title: str) -> None:
    """Confusion matrix as PNG: colours and percentages are shares of the true class.

    The counts stand below the percentages.

    Args:
        matrix: int [classes, classes], rows are the true classes.
        class_names: names of the classes.
        path: file to write.
        title: line above the picture.
    """
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    side = 2.4 + 0.8 * len(class_names)
    figure = Figure(figsize=(side + 0.9, side), layout="constrained")
    axes = figure.subplots()
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        text = f"{share:.0%}\n{matrix[row, column]}" if share else "0"
        color = "white" if share > 0.55 else "black" if share else MUTED
        axes.text(column, row, text, ha="center", va="center", fontsize=9, color=color)
    ticks = range(len(class_names))
    axes.set_xticks(ticks, class_names, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(ticks, class_names)
    axes.set(xlabel="predicted", ylabel="true")
    figure.suptitle(title, fontsize=11)  # of the figure, which is wider than the axes
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    bar = figure.colorbar(image, ax=axes, shrink=0.8, format=PercentFormatter(1, decimals=0))
    bar.set_label("share of the true class")
    bar.outline.set_visible(False)
    _save(figure, path)


def draw_calibration(calibration: Calibration, path: Path, *, title: str) -> None:
    """Reliability diagram as PNG: accuracy by confidence, and the images of each confidence."""
    figure = Figure(figsize=(5, 5.8), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    bins = len(calibration.images)
    edges = np.arange(bins) / bins
    filled = calibration.images > 0
    above.plot(
        (0, 1), (0, 1), color=MUTED, linestyle="--", linewidth=1, label="perfectly calibrated"
    )
    above.bar(
        edges,
        calibration.accuracy,
        1 / bins,
        align="edge",
        color=TRAIN,
        edgecolor="white",
        label="accuracy",
    )
    above.plot(
        calibration.confidence[filled],
        calibration.accuracy[filled],
        "o",
        color=HELD_OUT,
        label="mean confidence of bin",
    )
    figure.suptitle(f"{title}\nexpected calibration error {calibration.error:.3f}", fontsize=11)
    above.set(ylabel="accuracy", ylim=(0, 1.02))
    above.legend(frameon=False, loc="upper left", fontsize=9)
    below.bar(edges, calibration.images, 1 / bins, align="edge", color=MUTED, edgecolor="white")
    below.set(
        xlabel="confidence (probability of the predicted class)", ylabel="images", xlim=(0, 1)
    )
    for axes in (above, below):
        _plain(axes)
    _save(figure, path)


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e6e8eb", linewidth=0.8)
    axes.set_axisbelow(True)


def _save(figure: Figure, path: Path) -> None:
    write_atomically(path, lambda target: figure.savefig(target, dpi=DPI))
