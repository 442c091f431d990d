"""The points of the grid of `bench.scaling`, measured, each with its dataset, cores and pages."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Iterator
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

from sentiflow import pipeline
from sentiflow.machine import cores

from ..contestants import CONTESTANTS
from ..contestants.task import Contestant, Task
from . import check, runner
from .grid import COLD, DEVICE, Point
from .grown import evict, grow
from .inputs import export_photos
from .rows import Row
from .settings import Settings
from .storages import resized

HOST_PART = "the host's part alone: places and view parameters, no pixels"


@dataclasses.dataclass(frozen=True)
class Input:
    """The dataset that the points are measured on.

    Attributes:
        settings: the benchmark's.
        data_dir: where `tfds build` put the dataset.
        images: how many it holds.
        folder: for what is made of it.
        absent: why a storage cannot be read, for each that cannot.
    """

    settings: Settings
    data_dir: str
    images: int
    folder: Path
    absent: dict[str, str]

    def run(self, point: Point) -> Row:
        """Measures one point."""
        entry = variant(CONTESTANTS[point.contestant], point.image_size)
        settings = dataclasses.replace(self.settings, batch_size=point.batch_size)
        with confined(point.cores):
            task = self._task(point, entry, settings)
            reason = self.absent.get("original" if entry.storage == "files" else entry.storage)
            if reason is not None:
                row = runner.absent_row(entry, task, settings, reason)
            else:
                row = self._run(point, entry, task, settings)
        environment = row.environment | {"cores": point.cores}
        return dataclasses.replace(row, pages=point.pages, environment=environment)

    def _task(self, point: Point, entry: Contestant, settings: Settings) -> Task:
        origin: dict[str, Any] = {"data_dir": self.data_dir, "photos": "", "images": point.images}
        task = runner.make_task(entry, settings, work=point.work, **origin)
        return dataclasses.replace(task, image_size=point.image_size)

    def _run(self, point: Point, entry: Contestant, task: Task, settings: Settings) -> Row:
        data_dir = self._data_dir(point, entry.storage)
        task = dataclasses.replace(task, data_dir=data_dir, photos=self._photos)
        judge = self._judge(point)
        return runner.run(entry, task, settings, judge, warm_up=point.pages == "warm")

    def _judge(self, point: Point) -> runner.Judge | None:
        # What a point has in common with another need not be checked twice.
        usual = (point.images, point.cores, point.pages) == (self.images, cores(), "warm")
        if not usual or point.contestant == DEVICE:
            return None
        return partial(check.find_fault, sources=_sources(self._photos, point.image_size))

    @cached_property
    def _photos(self) -> str:
        folder = self.folder / "photos"
        export_photos(
            self.settings.dataset,
            split=self.settings.split,
            data_dir=self.data_dir,
            folder=folder,
            **self.settings.choice,
        )
        return str(folder)

    def _data_dir(self, point: Point, storage: str) -> str:
        """The folder of a point's dataset, made if it is not there; its pages dropped if cold."""
        times = point.images // self.images
        folder = self._grown(storage, times) if times > 1 else Path(self.data_dir)
        if point.pages == "cold":
            evict(folder / self.settings.dataset / storage)
        return str(folder)

    def _grown(self, storage: str, times: int) -> Path:
        folder = self.folder / f"{times}-fold"
        if not (folder / self.settings.dataset / storage).exists():
            name = f"{self.settings.dataset}/{storage}"
            # Links lead to the same pages, so what is to be read from disk must be copies.
            copies = times <= max(round(COLD / self.images), 1)
            grow(name, data_dir=self.data_dir, times=times, target=folder, copies=copies)
        return folder


@cache
def _sources(photos: str, size: int) -> check.Sources:
    return check.read_sources(Path(photos), size, pipeline.Settings.crop_fraction)


def variant(entry: Contestant, image_size: int) -> Contestant:
    """The contestant for windows of another size, which it reads from the storage for that size."""
    storage = resized(entry.storage, image_size)
    deviation = HOST_PART if entry.name == DEVICE else entry.deviation
    return dataclasses.replace(entry, storage=storage, deviation=deviation)


def possible(point: Point) -> bool:
    """Whether this system can confine processes to cores, or drop pages, where the point asks."""
    confines = hasattr(os, "sched_setaffinity")
    drops = hasattr(os, "posix_fadvise")
    return (confines or point.cores == cores()) and (drops or point.pages == "warm")


@contextlib.contextmanager
def confined(count: int) -> Iterator[None]:
    """Confines this thread, and the processes that it starts, to so many of its cores."""
    if count == cores():
        yield
        return
    usable = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(usable)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, usable)
