"""Charts of a run: what the templates draw as inline SVG, and `plots` as PNG.

A plot is 100 wide and 100 high, y downwards, however large it is on the screen; lines and text keep
their size.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.ticker import MaxNLocator

from ..scores.metrics import Calibration
from ..training.history import EpochRow

# Steps between ticks that are easy to read, times a power of ten.
STEPS = (1, 2, 2.5, 5, 10)

Text = Callable[[float], str]
Points = list[tuple[float, float]]


@dataclasses.dataclass(frozen=True)
class Axis:
    """One direction of a plot: the values at its ends, and its ticks (value, label)."""

    low: float
    high: float
    ticks: list[tuple[float, str]]

    def position(self, value: float) -> float:
        """Where a value lies: 0 for the low end, 100 for the high end."""
        return round(100 * (value - self.low) / (self.high - self.low), 2)


@dataclasses.dataclass(frozen=True)
class Line:
    """Values at 1, 2, 3, ...; lines of one name belong together, `role` colours them."""

    name: str
    role: str
    values: Sequence[float]


@dataclasses.dataclass(frozen=True)
class Mark:
    """What a column says of a line or bar: its value, as text and as height."""

    name: str
    role: str
    text: str
    top: float


@dataclasses.dataclass(frozen=True)
class Column:
    """A strip of the plot that tells its values when it is pointed at."""

    left: float
    width: float
    heading: str
    marks: list[Mark]


@dataclasses.dataclass(frozen=True)
class Chart:
    """All that is needed to draw it.

    Attributes:
        title: what is measured.
        label: what a screen reader says.
        x: axis of the columns.
        y: axis of the values.
        x_name: what the columns are.
        columns: the values as text, from left to right.
        lines: pairs (role, points), a point being (x, y).
        bars: (role, x, y, width, height).
        guide: name and points of a line to compare with.
    """

    title: str
    label: str
    x: Axis
    y: Axis
    x_name: str
    columns: list[Column]
    lines: list[tuple[str, Points]] = dataclasses.field(default_factory=list)
    bars: list[tuple[str, float, float, float, float]] = dataclasses.field(default_factory=list)
    guide: tuple[str, Points] | None = None

    @property
    def legend(self) -> dict[str, str]:
        """Roles by the names of what they colour; what is muted needs no explanation."""
        marks = [mark for column in self.columns for mark in column.marks]
        roles = {mark.name: mark.role for mark in marks if mark.role not in ("muted", "guide")}
        return roles | ({self.guide[0]: "guide"} if self.guide else {})


def percent(value: float) -> str:
    """A share in whole percent."""
    return f"{value:.0%}"


def plain(value: float) -> str:
    """A number with as many digits as it needs, thousands apart."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def value_axis(low: float, high: float, *, text: Text, ticks: int = 4) -> Axis:
    """An axis that begins and ends with a tick and holds both values."""
    high = high if high > low else low + 1.0
    values = MaxNLocator(ticks, steps=STEPS).tick_values(low, high)
    return Axis(
        float(values[0]), float(values[-1]), [(float(value), text(value)) for value in values]
    )


def epoch_axis(epochs: int, *, ticks: int = 5) -> Axis:
    """An axis of the epochs 1 to `epochs`, with half an epoch of room on either side."""
    values = (
        MaxNLocator(ticks, integer=True, steps=STEPS).tick_values(1, epochs) if epochs > 1 else [1]
    )
    return Axis(
        0.5,
        epochs + 0.5,
        [(float(value), f"{value:.0f}") for value in values if 1 <= value <= epochs],
    )


def by_epoch(
    title: str,
    lines: Sequence[Line],
    *,
    y: Axis,
    text: Text,
    x: Axis | None = None,
) -> Chart:
    """Lines over epochs.

    Args:
        title: what is measured.
        lines: at least one, each with a value for every epoch from the first.
        y: axis of the values.
        text: writes a value.
        x: axis of the epochs, to share with other charts; else as long as the longest line.
    """
    epochs = max(len(line.values) for line in lines)
    x = x or epoch_axis(epochs)
    columns = [_epoch_column(epoch, lines, x, y, text) for epoch in range(1, epochs + 1)]
    last = ", ".join(f"{mark.name} {mark.text}" for mark in columns[-1].marks)
    return Chart(
        title=title,
        label=f"{title} by epoch. After epoch {epochs}: {last}.",
        x=x,
        y=y,
        x_name="epoch",
        columns=columns,
        lines=[(line.role, _points(line.values, x, y)) for line in lines],
    )


def _epoch_column(epoch: int, lines: Sequence[Line], x: Axis, y: Axis, text: Text) -> Column:
    marks = []
    for name, role in {line.name: line.role for line in lines}.items():
        values = [
            line.values[epoch - 1]
            for line in lines
            if line.name == name and len(line.values) >= epoch
        ]
        if values:
            mean = float(np.mean(values))
            marks.append(Mark(name, role, text(mean), 100 - y.position(mean)))
    width = x.position(x.low + 1)
    return Column(x.position(epoch - 0.5), width, f"epoch {epoch}", marks)


def _points(values: Sequence[float], x: Axis, y: Axis) -> Points:
    return [
        (x.position(epoch), round(100 - y.position(value), 2))
        for epoch, value in enumerate(values, 1)
    ]


def learning_curves(history: Sequence[EpochRow], held_out: str) -> list[Chart]:
    """Accuracy and loss by epoch, training beside the split that was held out."""
    share = value_axis(0.0, 1.0, text=percent, ticks=5)
    losses = [loss for row in history for loss in (row.loss, row.val_loss)]
    loss = value_axis(0.0, max(losses), text=plain, ticks=5)
    return [
        by_epoch("Accuracy", _pair(history, held_out, "accuracy"), y=share, text="{:.1%}".format),
        by_epoch("Loss", _pair(history, held_out, "loss"), y=loss, text="{:.4f}".format),
    ]


def _pair(history: Sequence[EpochRow], held_out: str, measure: str) -> list[Line]:
    return [
        Line("training", "train", [getattr(row, measure) for row in history]),
        Line(held_out, "held-out", [getattr(row, f"val_{measure}") for row in history]),
    ]


def reliability(calibration: Calibration) -> tuple[Chart, Chart]:
    """Accuracy by confidence beside perfect calibration, and the images of each confidence."""
    share = value_axis(0.0, 1.0, text=percent, ticks=5)
    counts = value_axis(0.0, float(calibration.images.max()), text=plain, ticks=2)
    bins = len(calibration.images)
    width = round(100 / bins, 3)
    accurate, counted, bars, heights = [], [], [], []
    for i in np.flatnonzero(calibration.images):
        images, accuracy, confidence = (
            float(values[i])
            for values in (calibration.images, calibration.accuracy, calibration.confidence)
        )
        left, heading = (
            round(100 * i / bins, 3),
            f"confidence {i / bins:.0%} to {(i + 1) / bins:.0%}",
        )
        tall, high = share.position(accuracy), counts.position(images)
        bars.append(("held-out", left, 100 - tall, width, tall))
        heights.append(("muted", left, 100 - high, width, high))
        number = Mark("images", "muted", f"{images:.0f}", 100 - high)
        right = Mark("accuracy", "held-out", f"{accuracy:.1%}", 100 - tall)
        accurate.append(
            Column(
                left,
                width,
                heading,
                [right, Mark("mean confidence", "guide", f"{confidence:.1%}", 0), number],
            )
        )
        counted.append(Column(left, width, heading, [number]))
    label = f"Accuracy by confidence; expected calibration error {calibration.error:.3f}."
    guide = ("perfect calibration", [(0.0, 100.0), (100.0, 0.0)])
    return (
        Chart("Accuracy", label, share, share, "confidence", accurate, bars=bars, guide=guide),
        Chart(
            "Images", "Images by confidence.", share, counts, "confidence", counted, bars=heights
        ),
    )


def by_f1(values: Sequence[float]) -> Chart:
    """Classes by their F1, in ten bins."""
    classes, edges = np.histogram(values, bins=10, range=(0.0, 1.0))
    share = value_axis(0.0, 1.0, text="{:.1f}".format, ticks=5)
    counts = value_axis(0.0, float(classes.max()), text=plain, ticks=2)
    bars, columns = [], []
    for i in np.flatnonzero(classes):
        left, number = float(edges[i]), int(classes[i])
        high, start = counts.position(number), share.position(left)
        bars.append(("held-out", start, 100 - high, 10.0, high))
        mark = Mark("classes", "held-out", f"{number:,}", 100 - high)
        columns.append(Column(start, 10.0, f"F1 {left:.1f} to {left + 0.1:.1f}", [mark]))
    return Chart("Classes", "Classes by F1.", share, counts, "F1", columns, bars=bars)
