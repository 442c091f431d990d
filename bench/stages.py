"""Where a pipeline loses its time: `python -m bench.stages`.

A stream is timed after each of its stages in turn; what a stage adds is what it costs. Processor time is compared, not
rates, because stages of neighbouring batches run side by side.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
import time
from pathlib import Path
from typing import Any

import click
import psutil
import tensorflow as tf
from rich.console import Console
from rich.table import Table

import pipeline
from bench.inputs import STORAGES, prepare
from bench.rows import commit, environment
from bench.settings import Settings
from pipeline import cli
from pipeline.graph import cores, stages

STREAMS = (("memory", "raw256"), *(("none", storage) for storage in STORAGES))  # tier, storage
ENDLESS = 1_000_000  # epochs


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of a stream.

    Attributes:
        work: "augmented" or "crop".
        tier: cache tier.
        storage: such as "raw256".
        stage: as `pipeline.graph.stages` names it.
        cpu_milliseconds_per_image: of all threads, that the stage adds; median over the windows.
        images_per_second: of the stream that ends behind the stage; median over the windows.
    """

    work: str
    tier: str
    storage: str
    stage: str
    cpu_milliseconds_per_image: float
    images_per_second: float


@click.command(cls=cli.Command)
@cli.options(Settings, exclude=("contestants", "csv", "plot"))
def main(**options: Any) -> None:
    """Times every stage of every tier and storage. Leave the machine alone meanwhile."""
    settings = cli.build(Settings, options)
    data_dir, absent = prepare(settings)
    console, measured = Console(), []
    for work in settings.work:
        for tier, storage in STREAMS:
            if storage not in absent:
                found = find_stages(settings, work, tier, storage, data_dir)
                print_table(found, console)
                measured += found
    console.print(f"{cores()} cores, batch {settings.batch_size}, {settings.dataset}", highlight=False)
    if settings.json is not None:
        write(measured, settings.json)


def find_stages(settings: Settings, work: str, tier: str, storage: str, data_dir: str) -> list[Stage]:
    """Times the stream of one tier and storage after each of its stages."""
    augmented = work == "augmented"
    inputs = pipeline.Settings(
        batch_size=settings.batch_size,
        seed=settings.seed,
        cache=tier,  # type: ignore[arg-type]
        rotation=pipeline.Settings.rotation if augmented else 0.0,
        preprocess="caffe" if augmented else "none",
    )
    place: dict[str, Any] = {"split": settings.split, "data_dir": data_dir, "epoch": 0, "step": 0, "shard": (0, 1)}
    streams = stages(f"{settings.dataset}/{storage}", training=True, epochs=ENDLESS, settings=inputs, **place)
    found, before = [], 0.0
    for name, stream in streams.items():
        cpu, rate = _time(iter(stream.prefetch(2)), settings)
        found.append(
            Stage(
                work=work,
                tier=tier,
                storage=storage,
                stage=name,
                cpu_milliseconds_per_image=max(cpu - before, 0.0),
                images_per_second=rate,
            )
        )
        before = cpu
    return found


def _time(batches: Any, settings: Settings) -> tuple[float, float]:
    """Milliseconds of processor time per image, and images/s: medians over windows, after a window of warm-up."""
    process, cpu, rates = psutil.Process(), [], []
    for window in range(settings.windows + 1):
        times, images, begin = process.cpu_times(), 0, time.perf_counter()
        while time.perf_counter() - begin < settings.seconds / settings.windows:
            images += len(tf.nest.flatten(next(batches))[-1])
        seconds, now = time.perf_counter() - begin, process.cpu_times()
        if window:
            cpu.append(1000 * (now.user + now.system - times.user - times.system) / images)
            rates.append(images / seconds)
    return statistics.median(cpu), statistics.median(rates)


def print_table(found: list[Stage], console: Console) -> None:
    """One stream, a stage a row."""
    first, whole = found[0], sum(stage.cpu_milliseconds_per_image for stage in found)
    table = Table(title=f"{first.work}: tier {first.tier}, storage {first.storage}", title_justify="left")
    table.add_column("stage")
    for heading in ("CPU ms/image", "share", "images/s up to here"):
        table.add_column(heading, justify="right")
    for stage in found:
        cost = stage.cpu_milliseconds_per_image
        table.add_row(stage.stage, f"{cost:.3f}", f"{cost / whole:.0%}", f"{stage.images_per_second:,.0f}")
    console.print(table)


def write(found: list[Stage], path: Path) -> None:
    """Writes the rows as JSON, with environment and commit."""
    setting = {"commit": commit(), "environment": environment()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([dataclasses.asdict(stage) | setting for stage in found], indent=1) + "\n")


if __name__ == "__main__":
    main()
