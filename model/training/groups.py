"""Which runs can be trained in lockstep: those that differ only in what follows the backbone."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable, Iterable
from pathlib import Path

from .record import Record

# Settings of training that the features of an image depend on.
OF_FEATURES = ("dataset", "data_dir", "backbone", "backbone_options", "weights")


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """A run that is to be made: its folder, and what `start.prepare` says it will be."""

    out: Path
    record: Record

    @property
    def batch_size(self) -> int:
        """Images in an update."""
        return self.record.inputs.batch_size

    @property
    def epochs(self) -> int:
        """Passes over the training split."""
        return self.record.train.epochs

    @property
    def images(self) -> int:
        """Images of the training split."""
        return self.record.dataset.splits["train"]

    @property
    def is_whole(self) -> bool:
        """Whether training changes the backbone, or wants what blocks of features cannot give."""
        settings = self.record.train
        whole = settings.fine_tune or settings.mixup or settings.tensorboard
        return bool(whole) or self.record.inputs.last_batch not in ("auto", "drop")


def groups(jobs: Iterable[Job]) -> list[list[Job]]:
    """Jobs that are trained in lockstep, in the order in which each group's first was given.

    Within a group all batch sizes divide the largest, which is that of the blocks.
    """
    similar: dict[Hashable, list[Job]] = {}
    for job in jobs:
        record = job.record
        key = (
            *(getattr(record.train, name) for name in OF_FEATURES),
            dataclasses.replace(record.inputs, batch_size=1),
            record.environment.precision,
        )
        similar.setdefault(job if job.is_whole else key, []).append(job)
    return [group for members in similar.values() for group in _by_batch_size(members)]


def _by_batch_size(jobs: list[Job]) -> list[list[Job]]:
    largest = max(job.batch_size for job in jobs)
    fitting = [job for job in jobs if largest % job.batch_size == 0]
    others = [job for job in jobs if largest % job.batch_size]
    return [fitting, *(_by_batch_size(others) if others else [])]


def epochs(group: list[Job]) -> int:
    """Epochs of a group that go through the backbone."""
    return max(job.epochs for job in group)


def work(group: list[Job]) -> int:
    """Training images of a group that go through the backbone."""
    return epochs(group) * group[0].images
