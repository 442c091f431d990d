"""Tables of `bench.stages`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from rich.console import Console

from sentiflow.markdown import pipe_table

from .table import rich_table


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of a stream.

    Attributes:
        work: "augmented" or "crop".
        tier: cache tier.
        storage: such as "raw256".
        stage: as `pipeline.Dataset.stages` names it.
        cpu_milliseconds_per_image: of all threads, that the stage adds; median over the windows.
        images_per_second: of the stream that ends behind the stage; median over the windows.
        bytes_per_image: that the stage hands on, pixels or what stands for them; of one batch.
    """

    work: str
    tier: str
    storage: str
    stage: str
    cpu_milliseconds_per_image: float
    images_per_second: float
    bytes_per_image: float = 0.0


def print_table(timed: list[Stage], console: Console) -> None:
    """One stream, a stage a row."""
    first = timed[0]
    whole = sum(stage.cpu_milliseconds_per_image for stage in timed)
    title = f"{first.work}: tier {first.tier}, storage {first.storage}"
    lines = []
    for stage in timed:
        cost = stage.cpu_milliseconds_per_image
        rate = f"{stage.images_per_second:,.0f}"
        size = f"{stage.bytes_per_image:,.0f}"
        lines.append((stage.stage, f"{cost:.3f}", f"{cost / whole:.0%}", rate, size))
    headings = ("stage", "CPU ms/image", "share", "images/s up to here", "bytes/image")
    console.print(rich_table(title, headings, lines))


def markdown(rows: Sequence[dict[str, Any]]) -> str:
    """What `write` wrote, as a Markdown table with a line for each stream.

    Below it stands what it was measured on.
    """
    # Rows of before say what a source did to make its windows.
    columns = (("plan",), ("windows", "cut", "decode", "places"), ("view",))
    costs = (names[0] for names in columns)
    headings = ("tier, storage", "work", *costs, "all", "images/s", "bytes/image")
    lines = []
    for key in dict.fromkeys((row["work"], row["tier"], row["storage"]) for row in rows):
        stream = [row for row in rows if (row["work"], row["tier"], row["storage"]) == key]
        cost = {row["stage"]: row["cpu_milliseconds_per_image"] for row in stream}
        last = stream[-1]
        shown = [
            next((f"{cost[name]:.3f}" for name in names if name in cost), "-") for names in columns
        ]
        totals = (
            f"{sum(cost.values()):.3f}",
            f"{last['images_per_second']:,.0f}",
            f"{last['bytes_per_image']:,.0f}",
        )
        lines.append((f"{key[1]}, {key[2]}", key[0], *shown, *totals))
    machine = rows[0]["environment"]
    commit = rows[0]["commit"] or "none"
    setting = f"CPU ms/image. {machine['cpu']}, {machine['cores']} cores; commit {commit}"
    return f"{pipe_table(headings, lines, texts=2)}\n\n{setting}"
