"""The nine experiments in one pass over their features: `python -m bench.gpu.nine OUT WORK SCALE`."""

from __future__ import annotations

from sentiflow.model.training import groups, plan, protocols  # isort: skip  # before TensorFlow: see `model`

import dataclasses
import shutil
import time

import psutil
from rich.console import Console

from sentiflow import pipeline

from . import rows
from .chip import settings
from .rows import Measurement


def main() -> None:
    """Trains, evaluates and reports them, as `python -m model.experiments` does, and keeps how long that took."""
    context = rows.context()
    started, imported = psutil.Process().create_time(), time.time()
    scale, out = context.scale, context.work / "nine"
    shutil.rmtree(out, ignore_errors=True)
    inputs = pipeline.Settings(image_size=scale.image_size)
    chosen, config = protocols.choose(scale.experiments), f"raw{scale.image_size}"
    shared = dataclasses.replace(settings(context), data_dir=context.data_dir)
    planned = plan.plan(
        chosen, shared, inputs, out=out, config=config, seeds=1, folds=False, variants=None
    )
    console = Console(stderr=True)
    made = plan.perform(planned, out=out, sequential=False, console=console)
    images = sum(map(groups.work, groups.groups(each.job for each in planned)))
    training = sum(row.seconds for row in made)
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
