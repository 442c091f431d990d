"""What this machine allows, in the rows of `bench.throughput`: `python -m bench.limits`."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__, extra="bench")

from collections.abc import Iterator, Sequence
from typing import Any

import click
from rich.console import Console

from sentiflow import cli, pipeline

from .contestants import CONTESTANTS, bounds
from .harness import runner
from .harness.inputs import prepare
from .harness.rows import Row
from .harness.settings import Settings
from .show.publish import publish


@click.command(cls=cli.Command)
@cli.options(Settings, exclude=("work", "contestants"))
def main(**options: Any) -> None:
    """Times what no loader can beat on this machine: JPEG decoding, copies of windows, copies of memory."""
    settings = cli.build(Settings, options)
    publish(list(find_limits(settings)), settings)


def find_limits(settings: Settings) -> Iterator[Row]:
    """Times every bound, each in a process of its own, and says on the terminal what they come to."""
    data_dir, absent = prepare(settings, ("jpeg256", "raw256"))
    present = next(storage for storage in ("jpeg256", "raw256") if storage not in absent)
    images = len(
        pipeline.open(f"{settings.dataset}/{present}", data_dir=data_dir).files(settings.split)
    )
    measured = []
    for entry in [entry for entry in CONTESTANTS.values() if entry.kind == "bound"]:
        task = runner.make_task(
            entry, settings, work=entry.works[0], data_dir=data_dir, photos="", images=images
        )
        if entry.storage in absent:
            measured.append(
                runner.make_row(
                    entry, task, settings, {"status": f"absent: {absent[entry.storage]}"}
                )
            )
        else:
            measured.append(runner.run(entry, task, settings, judge=None))
        yield measured[-1]
    for line in summarise(measured):
        Console(stderr=True).print(line, highlight=False)


def summarise(measured: Sequence[Row]) -> list[str]:
    """The bounds in words, each with what reached it."""
    lines = []
    for work, meaning in (
        ("decode", "JPEG decoding"),
        ("copy", "copying windows"),
        ("memory", "copying memory"),
    ):
        rates = [
            (row.images_per_second, row.contestant)
            for row in measured
            if row.work == work and row.images_per_second
        ]
        if rates:
            best, name = max(rates)
            speed = f", {best * bounds.WINDOW_BYTES / 1e9:.1f} GB/s" if work != "decode" else ""
            lines.append(f"bound of {meaning}: {best:,.0f} images/s{speed} ({name})")
    return lines


if __name__ == "__main__":
    main()
