"""The nine experiments in one pass over their features.

`python -m bench.gpu.nine OUT WORK SCALE`.
"""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

import dataclasses
import shutil
import time

import psutil
from rich.console import Console

from sentiflow import pipeline
from sentiflow.model.training import groups, plan, protocols

from . import rows
from .context import read_context
from .rows import Measurement


def main() -> None:
    """Trains, evaluates and reports them, and keeps how long that took.

    `python -m model.experiments` does the same.
    """
    context = read_context()
    started = psutil.Process().create_time()
    imported = time.time()
    scale = context.scale
    out = context.work / "nine"
    shutil.rmtree(out, ignore_errors=True)
    inputs = pipeline.Settings(image_size=scale.image_size)
    config = f"raw{scale.image_size}"
    experiments = protocols.choose(scale.experiments)
    shared = dataclasses.replace(context.train_settings(), data_dir=context.data_dir)
    planned = plan.plan(
        experiments, shared, inputs, out=out, config=config, seeds=1, folds=False, variants=None
    )
    console = Console(stderr=True)
    rows_of_runs = plan.perform(planned, out=out, sequential=False, console=console)
    images = sum(map(groups.work, groups.groups(run.job for run in planned)))
    training = sum(row.seconds for row in rows_of_runs)
    measured = Measurement(
        part="nine",
        name="experiments in one pass",
        seconds=time.time() - started,
        import_seconds=imported - started,
        training_seconds=training,
        images=images,
        images_per_second=images / training,
    )
    rows.keep(context.out, measured)


if __name__ == "__main__":
    main()
