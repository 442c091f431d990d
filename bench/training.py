"""Whether the accelerator or its input limits a run: `python -m bench.training`."""

from __future__ import annotations

# `model` comes first: TensorFlow loads its symbols globally, so a JAX backend has to be loaded
# before it.
from sentiflow.model.settings import TrainSettings  # isort: skip

import dataclasses
import json
import os
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import keras
import tensorflow as tf
from rich.console import Console

from sentiflow import cli, pipeline
from sentiflow.model.networks.backbones import find_backbone

from . import throughput
from .contestants import CONTESTANTS
from .contestants.task import Contestant
from .harness import runner
from .harness.inputs import STORAGES, export_photos, prepare
from .harness.rows import BASELINE, CONSTANT, Row, with_ratios
from .harness.settings import TrainingSettings
from .ours import profile
from .show import diagnosis, utilisation
from .show.publish import publish

# One batch that is on the device already never keeps it waiting: its rate is the ceiling. See
# `bench.ours.step`.
CEILING = Contestant(
    name=CONSTANT, function=CONSTANT, kind="bound", storage="-", requires=(), works=("training",)
)
STEP_WORKS = ("augmented", "training")  # a contestant that does either can feed the real step
NO_STEP = (
    "dataset",
    "data_dir",
    "epochs",
    "early_stopping",
    "tensorboard",
)  # what a step does not depend on
SHARED = (
    "batch_size",
    "seed",
    "preprocess",
    "cache",
    "last_batch",
)  # options of the benchmark, or of who feeds it


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepSettings(TrainSettings):
    """The step that is timed; by default one that a CPU can do in a moment, and without a download."""

    backbone: str = dataclasses.field(
        default="mobilenet", metadata={"help": "Lower-case name in keras.applications."}
    )
    weights: str = dataclasses.field(
        default="none", metadata={"help": "imagenet, none, or a file."}
    )


@click.command(cls=cli.Command)
@cli.options(TrainingSettings, exclude=("split",))
@cli.options(StepSettings, exclude=NO_STEP)
@cli.options(pipeline.Settings, exclude=SHARED)
def main(**options: Any) -> None:
    """Measures how busy an accelerator is kept, and by whom, and says what limits it.

    The real training step is fed by one constant batch, the ceiling, then by every tier and storage
    and by the original generator. With --emulate, every contestant feeds accelerators of these
    speeds instead, which need no processor; the work is that of bench.throughput then. Each
    measurement is a process of its own. Leave the machine alone meanwhile.
    """
    settings = cli.build(TrainingSettings, options)
    if settings.profile and keras.backend.backend() != "jax":
        raise pipeline.InputError(
            "profile needs KERAS_BACKEND=jax. Received: the backend " + keras.backend.backend()
        )
    tf.config.set_visible_devices(
        [], "GPU"
    )  # accelerators belong to the processes that are measured
    console, measured = Console(stderr=True), []
    for row in (
        throughput.compare(settings, settings.rates) if settings.rates else train(settings, options)
    ):
        measured.append(row)
        console.print(utilisation.line(row), highlight=False, soft_wrap=True)
        if settings.profile:
            summary = settings.profile / row.contestant / "profile.json"
            if summary.exists():
                shares = json.loads(summary.read_text(encoding="utf-8"))
                console.print(profile.table(row.contestant, shares))
    measured = with_ratios(measured)
    publish(measured, settings, show=utilisation.print_tables, draw=utilisation.plot)
    for sentence in diagnosis.diagnose(measured):
        Console().print(sentence, highlight=False, soft_wrap=True)


def train(settings: TrainingSettings, options: dict[str, Any]) -> Iterator[Row]:
    """Times the real training step, fed by a constant batch and then by each chosen contestant.

    Args:
        settings: how it is timed, on what.
        options: by name, the fields of `StepSettings` and `pipeline.Settings` that are not the
            default.

    Yields:
        Rows, the ceiling's first.

    Raises:
        InputError: the dataset cannot be read, or the step fails whatever feeds it.
    """
    usual = [
        name for name, entry in CONTESTANTS.items() if entry.kind == "ours" or name == BASELINE
    ]
    entries = throughput.choose(settings.contestants or ",".join(usual), STEP_WORKS)
    step, inputs = cli.build(StepSettings, options), cli.build(pipeline.Settings, options)
    find_backbone(step.backbone)
    data_dir, absent = prepare(settings)
    present = next(storage for storage in STORAGES if storage not in absent)
    images = len(pipeline.open(f"{settings.dataset}/{present}", data_dir=data_dir).files("train"))
    throughput.require_batch(settings, images)
    with tempfile.TemporaryDirectory(prefix="bench-photos-") as folder:
        if "original" in absent:
            absent["files"] = absent["original"]  # the source files lie in that storage
        elif any(entry.storage == "files" for entry in entries):
            export_photos(settings.dataset, split="train", data_dir=data_dir, folder=Path(folder))
        time = partial(
            _time_step,
            settings,
            step,
            inputs,
            present,
            data_dir=data_dir,
            photos=folder,
            images=images,
        )
        ceiling = time(CEILING)
        if ceiling.images_per_second is None:
            raise pipeline.InputError(f"The training step cannot be timed: {ceiling.status}")
        yield with_utilisation(ceiling, ceiling)
        for entry in entries:
            yield with_utilisation(time(entry, absent.get(entry.storage)), ceiling)


def with_utilisation(row: Row, ceiling: Row) -> Row:
    """The row, its rate compared with that of a constant batch."""
    if row.images_per_second is None or ceiling.images_per_second is None:
        return row
    return dataclasses.replace(row, utilisation=row.images_per_second / ceiling.images_per_second)


def _time_step(
    settings: TrainingSettings,
    step: StepSettings,
    inputs: pipeline.Settings,
    present: str,
    entry: Contestant,
    absent: str | None = None,
    **source: Any,
) -> Row:
    """The row of a contestant; `absent` says why what it reads is not there, `present` is a storage that is."""
    task = runner.make_task(entry, settings, work="augmented", **source)
    task = dataclasses.replace(
        task,
        image_size=inputs.image_size,
        crop_fraction=inputs.crop_fraction,
        rotation=inputs.rotation,
    )
    if absent is not None:
        return runner.make_row(
            entry,
            dataclasses.replace(task, work="training"),
            settings,
            {"status": f"absent: {absent}"},
        )
    # What does not come from a tier takes no more from a dataset than its classes.
    storage, tier = (present, "none") if entry.tier == "-" else (entry.storage, entry.tier)
    job: dict[str, Any] = {
        "train": dataclasses.asdict(step)
        | {"dataset": f"{settings.dataset}/{storage}", "data_dir": task.data_dir},
        "inputs": dataclasses.asdict(inputs)
        | {"batch_size": settings.batch_size, "seed": settings.seed, "cache": tier},
    }
    if settings.profile:
        job["profile"] = os.path.abspath(settings.profile / entry.name)
    return runner.run_step(entry, task, settings, job)


if __name__ == "__main__":
    main()
