"""Where a pipeline loses its time: `python -m bench.stages`.

A stream is timed after each of its stages in turn; what a stage adds is what it costs. Processor
time is compared, not rates, because stages of neighbouring batches run side by side.
"""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

import dataclasses
import json
import statistics
import time
from pathlib import Path
from typing import Any

import click
import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import psutil
import tensorflow as tf
from rich.console import Console

from sentiflow import cli, pipeline
from sentiflow.files import write_text
from sentiflow.machine import cores

from .harness.inputs import prepare
from .harness.rows import commit, environment
from .harness.settings import Settings
from .harness.storages import SMALLER, STORAGES
from .show.stages import Stage, print_table

# Tier and storage.
STREAMS = (
    ("memory", "raw256"),
    *(("none", storage) for storage in (*STORAGES, SMALLER)),
    ("device", "raw256"),
)
ENDLESS = 1_000_000  # epochs


@click.command(cls=cli.Command)
@cli.options(Settings, exclude=("contestants", "csv", "plot"))
def main(**options: Any) -> None:
    """Times every stage of every tier and storage. Leave the machine alone meanwhile.

    Of tier device it is the host's part: what a step is handed, and what that costs. The pixels
    stay on the device.
    """
    settings = cli.build(Settings, options)
    data_dir, absent = prepare(settings, (*STORAGES, SMALLER))
    console, measured = Console(), []
    for work in settings.work:
        for tier, storage in STREAMS:
            if storage not in absent:
                stream_stages = find_stages(settings, work, tier, storage, data_dir)
                print_table(stream_stages, console)
                measured += stream_stages
    console.print(
        f"{cores()} cores, batch {settings.batch_size}, {settings.dataset}", highlight=False
    )
    if settings.json is not None:
        write(measured, settings.json)


def find_stages(
    settings: Settings, work: str, tier: str, storage: str, data_dir: str
) -> list[Stage]:
    """Times the stream of one tier and storage after each of its stages."""
    augmented = work == "augmented"
    inputs = pipeline.Settings(
        batch_size=settings.batch_size,
        seed=settings.seed,
        cache=tier,  # type: ignore[arg-type]
        rotation=pipeline.Settings.rotation if augmented else 0.0,
        preprocess="caffe" if augmented else "none",
        **settings.choice,
    )
    data = pipeline.open(f"{settings.dataset}/{storage}", data_dir=data_dir)
    streams = data.stages(
        settings.split,
        training=True,
        epochs=ENDLESS,
        epoch=0,
        step=0,
        shard=(0, 1),
        settings=inputs,
    )
    timed: list[Stage] = []
    before = 0.0
    for name, stream in streams.items():
        batches = iter(stream.prefetch(2))
        size = _bytes(next(batches)) / settings.batch_size
        cpu, rate = _time(batches, settings)
        timed.append(
            Stage(
                work=work,
                tier=tier,
                storage=storage,
                stage=name,
                cpu_milliseconds_per_image=max(cpu - before, 0.0),
                images_per_second=rate,
                bytes_per_image=size,
            )
        )
        before = cpu
    return timed


def _bytes(batch: Any) -> int:
    return sum(tensor.numpy().nbytes for tensor in tf.nest.flatten(batch))


def _time(batches: Any, settings: Settings) -> tuple[float, float]:
    """Milliseconds of processor time per image, and images/s.

    Both are medians over windows, after a window of warm-up.
    """
    process = psutil.Process()
    cpu = []
    rates = []
    for window in range(settings.windows + 1):
        times = process.cpu_times()
        images = 0
        begin = time.perf_counter()
        while time.perf_counter() - begin < settings.seconds / settings.windows:
            images += len(tf.nest.flatten(next(batches))[-1])
        seconds = time.perf_counter() - begin
        now = process.cpu_times()
        if window:
            cpu.append(1000 * (now.user + now.system - times.user - times.system) / images)
            rates.append(images / seconds)
    return statistics.median(cpu), statistics.median(rates)


def write(measured: list[Stage], path: Path) -> None:
    """Writes the rows as JSON, with environment and commit."""
    setting = {"commit": commit(), "environment": environment()}
    rows = [dataclasses.asdict(stage) | setting for stage in measured]
    write_text(path, json.dumps(rows, indent=1) + "\n")


if __name__ == "__main__":
    main()
