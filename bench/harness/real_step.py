"""The real training step, timed with what feeds it."""

from __future__ import annotations

import dataclasses
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sentiflow import pipeline
from sentiflow.model.networks.backbones import find_backbone
from sentiflow.model.settings import TrainSettings
from sentiflow.options import option

from ..contestants.task import Contestant
from . import runner
from .inputs import count_images, export_photos, prepare
from .rows import BASELINE, CONSTANT, Row
from .selection import choose, require_batch
from .settings import TrainingSettings
from .storages import STORAGES

# One batch that is on the device already never keeps it waiting: its rate is the ceiling. See
# `bench.ours.step`.
CEILING = Contestant(
    name=CONSTANT, function=CONSTANT, kind="bound", storage="-", requires=(), works=("training",)
)
STEP_WORKS = ("augmented", "training")  # a contestant that does either can feed the real step


@dataclasses.dataclass(frozen=True, kw_only=True)
class StepSettings(TrainSettings):
    """The step that is timed; by default one that a CPU can do in a moment, without a download."""

    backbone: str = option("mobilenet", "Lower-case name in keras.applications.")
    weights: str = option("none", "imagenet, none, or a file.")


@dataclasses.dataclass(frozen=True)
class Feeding:
    """What feeds the step, and how it is timed.

    Attributes:
        settings: of the benchmark.
        step: of the training step.
        inputs: of the pipeline.
        data_dir: where `tfds build` put the dataset.
        absent: why a storage cannot be read, for each that cannot.
        photos: the folder of the source files.
        images: of the split.
    """

    settings: TrainingSettings
    step: StepSettings
    inputs: pipeline.Settings
    data_dir: str
    absent: dict[str, str]
    photos: str
    images: int

    def time(self, entry: Contestant) -> Row:
        """The row of a contestant, without utilisation."""
        origin: dict[str, Any] = {
            "data_dir": self.data_dir,
            "photos": self.photos,
            "images": self.images,
        }
        task = runner.make_task(entry, self.settings, work="augmented", **origin)
        names = ("image_size", "crop_fraction", "rotation")
        settled = self.inputs.training()
        geometry = {name: getattr(settled, name) for name in names}
        task = dataclasses.replace(task, **geometry)
        if entry.storage in self.absent:
            task = dataclasses.replace(task, work="training")
            return runner.absent_row(entry, task, self.settings, self.absent[entry.storage])
        return runner.run_step(entry, task, self.settings, self._job(entry, task.data_dir))

    def _job(self, entry: Contestant, data_dir: str) -> dict[str, Any]:
        settings = self.settings
        storage = entry.storage
        tier = entry.tier
        if tier == "-":
            # What does not come from a tier takes no more from a dataset than its classes.
            storage = next(name for name in STORAGES if name not in self.absent)
            tier = "none"
        source = {"dataset": f"{settings.dataset}/{storage}", "data_dir": data_dir}
        feed = {"batch_size": settings.batch_size, "seed": settings.seed, "cache": tier}
        job: dict[str, Any] = {
            "train": dataclasses.asdict(self.step) | source,
            "inputs": dataclasses.asdict(self.inputs) | feed,
        }
        if settings.profile:
            job["profile"] = os.path.abspath(settings.profile / entry.name)
        return job


def time_steps(
    settings: TrainingSettings, step: StepSettings, inputs: pipeline.Settings
) -> Iterator[Row]:
    """Times the real training step, fed by a constant batch and then by each chosen contestant.

    Args:
        settings: how it is timed, on what.
        step: of the training step.
        inputs: of the pipeline.

    Yields:
        Rows, the ceiling's first.

    Raises:
        InputError: the dataset cannot be read, or the step fails whatever feeds it.
    """
    entries = choose(settings.contestants or ",".join(_usual()), STEP_WORKS)
    find_backbone(step.backbone)
    data_dir, absent = prepare(settings)
    present = next(storage for storage in STORAGES if storage not in absent)
    images = count_images(settings, present, data_dir)
    require_batch(settings, images)
    with tempfile.TemporaryDirectory(prefix="bench-photos-") as photos:
        if "original" in absent:
            absent["files"] = absent["original"]  # the source files lie in that storage
        elif any(entry.storage == "files" for entry in entries):
            export_photos(
                settings.dataset,
                split="train",
                data_dir=data_dir,
                folder=Path(photos),
                **settings.choice,
            )
        feeding = Feeding(settings, step, inputs, data_dir, absent, photos, images)
        ceiling = feeding.time(CEILING)
        if ceiling.images_per_second is None:
            raise pipeline.InputError(f"The training step cannot be timed: {ceiling.status}")
        yield with_utilisation(ceiling, ceiling)
        for entry in entries:
            yield with_utilisation(feeding.time(entry), ceiling)


def _usual() -> list[str]:
    able = choose("", STEP_WORKS)
    return [entry.name for entry in able if entry.kind == "ours" or entry.name == BASELINE]


def with_utilisation(row: Row, ceiling: Row) -> Row:
    """The row, its rate compared with that of a constant batch."""
    if row.images_per_second is None or ceiling.images_per_second is None:
        return row
    return dataclasses.replace(row, utilisation=row.images_per_second / ceiling.images_per_second)
