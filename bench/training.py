"""Whether the accelerator or its input limits a run: `python -m bench.training`."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__, extra="bench")

import json
from typing import Any

import click
import keras
import tensorflow as tf
from rich.console import Console

from sentiflow import cli, pipeline
from sentiflow.terminal import printable

from .harness.comparison import compare
from .harness.real_step import StepSettings, time_steps
from .harness.rows import Row, with_ratios
from .harness.settings import TrainingSettings
from .ours import profile
from .show import diagnosis, utilisation
from .show.publish import publish

# What a step does not depend on.
NO_STEP = ("dataset", "data_dir", "epochs", "early_stopping", "tensorboard")
# Options of the benchmark, or of who feeds it.
OF_BENCHMARK = ("batch_size", "seed", "preprocess", "cache", "last_batch", "agreement", "fold")


@click.command(cls=cli.Command)
@cli.options(TrainingSettings, exclude=("split",))
@cli.options(StepSettings, exclude=NO_STEP)
@cli.options(pipeline.Settings, exclude=OF_BENCHMARK)
def main(**options: Any) -> None:
    """Measures how busy an accelerator is kept, and by whom, and says what limits it.

    The real training step is fed by one constant batch, the ceiling, then by every tier and storage
    and by the original generator. With --emulate, every contestant feeds accelerators of these
    speeds instead, which need no processor; the work is that of bench.throughput then. Each
    measurement is a process of its own. Leave the machine alone meanwhile.
    """
    settings = cli.build(TrainingSettings, options)
    step = cli.build(StepSettings, options)
    inputs = cli.build(pipeline.Settings, options)
    require_jax_to_profile(settings)
    # Accelerators belong to the processes that are measured.
    tf.config.set_visible_devices([], "GPU")
    emulated = bool(settings.rates)
    rows = compare(settings, settings.rates) if emulated else time_steps(settings, step, inputs)
    measured = []
    for row in rows:
        measured.append(row)
        print_progress(row, settings)
    measured = with_ratios(measured)
    publish(measured, settings, show=utilisation.print_tables, draw=utilisation.plot)
    for sentence in diagnosis.diagnose(measured):
        Console().print(sentence, highlight=False, soft_wrap=True, markup=False)


def require_jax_to_profile(settings: TrainingSettings) -> None:
    """Raises an InputError where a profile is asked for that the backend cannot make."""
    backend = keras.backend.backend()
    if settings.profile and backend != "jax":
        rule = "profile needs KERAS_BACKEND=jax"
        raise pipeline.InputError(f"{rule}. Received: the backend {backend}")


def print_progress(row: Row, settings: TrainingSettings) -> None:
    """A row as one line, and the profile of its step where there is one."""
    console = Console(stderr=True)
    console.print(printable(utilisation.line(row)), highlight=False, soft_wrap=True, markup=False)
    if settings.profile:
        summary = settings.profile / row.contestant / "profile.json"
        if summary.exists():
            shares = json.loads(summary.read_text(encoding="utf-8"))
            console.print(profile.table(row.contestant, shares))


if __name__ == "__main__":
    main()
