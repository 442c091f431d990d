"""Tables and small multiples of `bench.scaling`.

There is a table and a column of panels for each axis of its grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter
from rich.console import Console

from sentiflow.markdown import pipe_table

from ..harness.grid import DEVICE, JPEG, MEMORY, ORIGINAL, RAW, Point, point_of
from ..harness.rows import BASELINE, Row
from .diagnosis import OCCUPIED, occupation
from .figure import style_panel, write
from .table import cells, setting

AXES = {
    "batch_size": "images in a batch",
    "image_size": "side of the window, pixels",
    "images": "images in the dataset",
    "cores": "cores",
    "pages": "page cache",
}
STYLES = {
    MEMORY: ("#1f4e79", "-"),
    RAW: ("#1f77b4", "-"),
    JPEG: ("#17a2b8", "-"),
    ORIGINAL: ("#7fb2d9", "-"),
    "original-all": ("#9aa3ad", "--"),
    BASELINE: ("#5f6b76", "--"),
}
FALL = 0.1  # share of the rate; less is not worth a remark
Cell = Callable[[Row], str]


def progress(row: Row) -> str:
    """A row as one line of progress."""
    point = point_of(row)
    size = f"batch {point.batch_size}, {point.image_size} px"
    setting = f"{size}, {point.images:,} images, {point.cores} cores, {row.pages}"
    return f"{row.work:10} {row.contestant:24} {setting}: {cells(row)[0]} images/s  {row.status}"


def series(rows: Sequence[Row], axis: str) -> dict[tuple[str, str], list[Row]]:
    """By work and contestant, the rows that differ in one value of the grid alone.

    They come in the order of the value, at least two of each.
    """
    points = [(row, point_of(row)) for row in rows if row.images_per_second is not None]
    usual = {
        "batch_size": Point.batch_size,
        "image_size": Point.image_size,
        "images": min(point.images for _, point in points),
        "cores": max(point.cores for _, point in points),
        "pages": "warm",
    }
    compared = {(p.contestant, p.work, p.images) for _, p in points if p.pages == "cold"}
    lines: dict[tuple[str, str], list[Row]] = {}
    for row, point in sorted(points, key=lambda pair: getattr(pair[1], axis)):
        others = [
            name for name in AXES if name != axis and not (axis == "pages" and name == "images")
        ]
        apart = axis == "pages" and (point.contestant, point.work, point.images) not in compared
        if not apart and all(getattr(point, name) == usual[name] for name in others):
            lines.setdefault((point.work, point.contestant), []).append(row)
    return {key: line for key, line in lines.items() if len(line) > 1}


def markdown(rows: Sequence[Row]) -> str:
    """A table for each axis, and below them remarks, what was not measured, and the machine."""
    host = "tier device: processor time that the host spends, ms a step"
    parts = [_table(rows, axis, "images/s", _rate) for axis in AXES]
    parts.insert(1, _remark_on_batches(rows))
    parts.append(_table(rows, "images", "peak memory that no file backs, MiB", _memory))
    parts += [_table(rows, axis, "first batch, s", _first) for axis in ("images", "pages")]
    parts += [_table(rows, axis, host, _step, host=True) for axis in ("images", "batch_size")]
    failed = [f"* {row.contestant}, {row.work}: {row.status}" for row in rows if row.status != "ok"]
    parts += ["\n".join(dict.fromkeys(failed)), setting(rows[0])]
    return "\n\n".join(filter(None, parts))


def _remark_on_batches(rows: Sequence[Row]) -> str:
    points = remarks(rows)
    start = "Larger batches are not faster everywhere. Against each loader's best size:\n"
    end = (
        "\nBusy cores that spend more on an image do not wait for anything: the same work has "
        "become dearer. What takes the time, these rows do not tell."
    )
    return "\n".join([start, *points, end]) if points else ""


def remarks(rows: Sequence[Row]) -> list[str]:
    """What the rows say of rates that fall with larger batches, a point for each loader."""
    lines = series(rows, "batch_size").items()
    return [_fall(*key, line) for key, line in lines if key[1] != DEVICE and _falls(line)]


def _falls(rows: Sequence[Row]) -> bool:
    """Whether the largest batch is slower than the fastest one by more than the windows differ."""
    best = _fastest(rows)
    share = (rows[-1].images_per_second or 0.0) / (best.images_per_second or 1.0)
    noise = max(best.spread or 0.0, rows[-1].spread or 0.0) / 2
    return 1 - share > max(FALL, noise)


def _fastest(rows: Sequence[Row]) -> Row:
    return max(rows, key=lambda row: row.images_per_second or 0.0)


def _fall(work: str, contestant: str, rows: Sequence[Row]) -> str:
    best = _fastest(rows)
    last = rows[-1]
    factor = (best.images_per_second or 0.0) / (last.images_per_second or 1.0)
    sizes = f"in batches of {last.batch_size} than of {best.batch_size}"
    before, after = (1000 * (row.cpu_seconds_per_image or 0.0) for row in (best, last))
    cost = f"{before:.2f} ms of processor time an image become {after:.2f}"
    busy = occupation(last)
    cores = f"the cores are {busy:.0%} busy instead of {occupation(best):.0%}"
    if busy >= OCCUPIED:
        cores = f"the cores stay {busy:.0%} busy"
    return f"* {work}, {contestant}: {factor:.1f} times slower {sizes}; {cost}, and {cores}"


def _table(rows: Sequence[Row], axis: str, title: str, cell: Cell, *, host: bool = False) -> str:
    lines_of = {key: line for key, line in series(rows, axis).items() if (key[1] == DEVICE) == host}
    if not lines_of:
        return ""
    values = sorted({getattr(point_of(row), axis) for line in lines_of.values() for row in line})
    headings = ["work", "contestant", *(_label(value) for value in values)]
    lines = []
    for (work, name), line in lines_of.items():
        figures = {getattr(point_of(row), axis): cell(row) for row in line}
        lines.append([work, name, *(figures.get(value, "-") for value in values)])
    return f"**{title}, by {AXES[axis]}**\n\n{pipe_table(headings, lines, texts=2)}"


def _label(value: int | str) -> str:
    return f"{value:,}" if isinstance(value, int) else value


def _rate(row: Row) -> str:
    return cells(row)[0]


def _memory(row: Row) -> str:
    return cells(row)[5]


def _first(row: Row) -> str:
    return cells(row)[3]


def _step(row: Row) -> str:
    return f"{1000 * (row.cpu_seconds_per_image or 0.0) * row.batch_size:.2f}"


def print_tables(rows: Sequence[Row], console: Console) -> None:
    """The Markdown tables, on the terminal."""
    console.print(markdown(rows), highlight=False, soft_wrap=True, markup=False)


def plot(rows: Sequence[Row], path: Path) -> None:
    """Draws a PNG with a column of panels for each axis of the grid.

    There is a row of panels for each work.
    """
    works = list(dict.fromkeys(row.work for row in rows))
    figure = Figure(figsize=(2.6 * len(AXES), 1.4 + 2.7 * len(works)), layout="constrained")
    panels = figure.subplots(len(works), len(AXES), squeeze=False, sharey="row")
    for column, axis in enumerate(AXES):
        lines = {key: line for key, line in series(rows, axis).items() if key[1] in STYLES}
        for panel, work in zip(panels[:, column], works, strict=True):
            _draw(panel, axis, {name: line for (of, name), line in lines.items() if of == work})
    for work, panel in zip(works, panels[:, 0], strict=True):
        panel.set_yscale("log")
        panel.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        panel.set_ylabel(f"work {work}: images/s")
    handles = {line.get_label(): line for panel in panels.flat for line in panel.get_lines()}
    style: dict[str, Any] = {"ncols": len(STYLES), "frameon": False, "fontsize": 8}
    figure.legend(handles.values(), handles.keys(), loc="outside upper center", **style)
    write(figure, path, foot=setting(rows[0]))


def _draw(axes: Axes, axis: str, lines: dict[str, list[Row]]) -> None:
    if not lines:
        axes.set_visible(False)
        return
    values = sorted({getattr(point_of(row), axis) for line in lines.values() for row in line})
    for name, line in lines.items():
        positions = [values.index(getattr(point_of(row), axis)) for row in line]
        colour, dashes = STYLES[name]
        rates = [row.images_per_second or 0.0 for row in line]
        axes.plot(
            positions, rates, color=colour, linestyle=dashes, marker="o", markersize=3.5, label=name
        )
    axes.set_xticks(range(len(values)), [_label(value) for value in values])
    axes.set_xlim(-0.3, len(values) - 0.7)
    axes.set_title(AXES[axis], loc="left", fontsize=9)
    axes.tick_params(labelsize=7.5)
    style_panel(axes, "y")
