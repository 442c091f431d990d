"""Experiment 1, from the start of its process to its report.

`python -m bench.gpu.experiment OUT WORK SCALE cold|warm`.

`cold` begins with an empty cache of compiled programs, `warm` with what `cold` left there.
"""

from __future__ import annotations

import dataclasses
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from . import rows
from .context import Context, read_context
from .rows import Measurement

COMPILING = (
    "/jax/core/compile/jaxpr_to_mlir_module_duration",
    "/jax/core/compile/backend_compile_duration",
)
# Methods of `pipeline.Dataset` that read and decode.
OPENING = ("describe", "device_pixels", "files", "load")


class Stopwatch:
    """Adds up the seconds of calls."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def time(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, its calls timed."""

        def timed(*values: Any, **options: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*values, **options)
            finally:
                self.seconds += time.perf_counter() - began

        return timed


def watch_compiler() -> Stopwatch:
    """Adds up what JAX says of its compiler from now on."""
    import jax

    compiling = Stopwatch()

    def on_event(event: str, duration_secs: float, **_: str | int) -> None:
        if event in COMPILING:
            compiling.seconds += duration_secs

    jax.monitoring.register_event_duration_secs_listener(on_event)
    return compiling


def watch_dataset() -> Stopwatch:
    """Adds up the calls that open, read and decode a dataset from now on."""
    from sentiflow import pipeline

    opening = Stopwatch()
    for name in OPENING:
        setattr(pipeline.Dataset, name, opening.time(getattr(pipeline.Dataset, name)))
    return opening


def empty_folders(context: Context, out: Path) -> Path:
    """Removes an older run, and its compiled programs for `cold`; returns the folder of those."""
    cache = context.work / "compiled-experiment"
    shutil.rmtree(out, ignore_errors=True)
    if context.choice == "cold":
        shutil.rmtree(cache, ignore_errors=True)
    return cache


def main() -> None:
    """Trains, and keeps how long each part took."""
    context = read_context()
    started = psutil.Process().create_time()
    # The imports are a part of what is timed.
    from sentiflow import startup

    startup.prepare()
    import jax
    from rich.console import Console

    from sentiflow import pipeline
    from sentiflow.model.training import feed, history, loop, record

    imported = time.time()
    out = context.work / f"experiment-{context.choice}"
    jax.config.update("jax_compilation_cache_dir", str(empty_folders(context, out)))
    compiling = watch_compiler()
    opening = watch_dataset()
    scale = context.scale
    first = dataclasses.replace(
        context.train_settings(),
        dataset=f"emotionroi/raw{scale.image_size}",
        data_dir=context.data_dir,
        epochs=scale.epochs,
    )
    inputs = pipeline.Settings(image_size=scale.image_size, batch_size=scale.batches[0])
    loop.train(first, inputs, out=out, console=Console(stderr=True))
    ended = time.time()
    epochs = history.read_history(out)
    # The first epoch compiles and traces; the usual one tells what training takes.
    usual = sorted(row.seconds for row in epochs)[len(epochs) // 2]
    steps = int(feed.steps_per_epoch(record.read_record(out)))
    measured = Measurement(
        part="experiment",
        name="experiment 1",
        variant=f"{context.choice} cache",
        batch_size=inputs.batch_size,
        images_per_second=steps * inputs.batch_size / usual,
        waiting_share=sum(row.waiting_share for row in epochs[1:]) / max(len(epochs) - 1, 1),
        seconds=ended - started,
        import_seconds=imported - started,
        data_seconds=opening.seconds,
        compile_seconds=compiling.seconds,
        training_seconds=usual * len(epochs),
        images=steps * inputs.batch_size * len(epochs),
    )
    rows.keep(context.out, measured)


if __name__ == "__main__":
    main()
