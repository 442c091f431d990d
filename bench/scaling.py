"""How speed and memory change with batch, image and dataset size, cores and page cache: `python -m bench.scaling`."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__, extra="bench")

import contextlib
import dataclasses
import os
import tempfile
from collections.abc import Iterator
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from sentiflow import cli, pipeline

from . import memory
from .contestants import CONTESTANTS
from .contestants.task import Contestant
from .harness import check, runner
from .harness.grid import COLD, DEVICE, IMAGE_SIZES, Point, grid, point_of
from .harness.inputs import STORAGES, export_photos, prepare
from .harness.rows import Row, commit, cores, read_json, write_json
from .harness.settings import Settings
from .show import curves
from .show.publish import publish
from .show.table import cells

SIZED = tuple(f"{storage}{size}" for size in IMAGE_SIZES for storage in ("raw", "jpeg"))
PLACES = "the host's part alone: places and view parameters, no pixels"


@click.command(cls=cli.Command)
@cli.options(Settings, exclude=("work", "contestants", "batch_size", "csv"))
def main(**options: Any) -> None:
    """Times the tiers, the streams and the original generator under every setting of the grid in `bench.harness.grid`.

    Rows that --json holds already, from the same commit and as long a time, are kept: an
    interrupted run goes on. Datasets of other sizes are made of the same records, in the folder for
    temporary files (some 20 MB for each of its images, until the end). Leave the machine alone
    meanwhile.
    """
    settings = cli.build(Settings, options)
    console, measured = Console(stderr=True), []
    for row in measure(settings, kept(settings)):
        measured.append(row)
        console.print(line(row), highlight=False, soft_wrap=True)
        if settings.json is not None:
            write_json(measured, settings.json)
    publish(measured, settings, show=curves.print_tables, draw=curves.plot)


def kept(settings: Settings) -> dict[Point, Row]:
    """The rows of an earlier run that need not be measured again."""
    if settings.json is None or not settings.json.exists():
        return {}
    rows = [
        row
        for row in read_json(settings.json)
        if (row.commit, row.seconds) == (commit(), settings.seconds)
    ]
    return {point_of(row): row for row in rows if row.status == "ok"}


def measure(settings: Settings, known: dict[Point, Row]) -> Iterator[Row]:
    """A row for each point of the grid: that of `known`, or one that is measured."""
    data_dir, absent = prepare(
        settings, (*STORAGES, *(name for name in SIZED if name not in STORAGES))
    )
    present = next(storage for storage in STORAGES if storage not in absent)
    images = len(
        pipeline.open(f"{settings.dataset}/{present}", data_dir=data_dir).files(settings.split)
    )
    with tempfile.TemporaryDirectory(prefix="bench-scaling-") as folder:
        source = Input(settings, data_dir, images, Path(folder), absent)
        for point in grid(images, cores()):
            if possible(point):
                yield known.get(point) or source.run(point)


def line(row: Row) -> str:
    """A row as one line of progress."""
    point = point_of(row)
    setting = f"batch {point.batch_size}, {point.image_size} px, {point.images:,} images, {point.cores} cores"
    return f"{row.work:10} {row.contestant:24} {setting}, {row.pages}: {cells(row)[0]} images/s  {row.status}"


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
            task = runner.make_task(
                entry,
                settings,
                work=point.work,
                data_dir=self.data_dir,
                photos="",
                images=point.images,
            )
            task = dataclasses.replace(task, image_size=point.image_size)
            reason = self.absent.get("original" if entry.storage == "files" else entry.storage)
            if reason is not None:
                row = runner.make_row(entry, task, settings, {"status": f"absent: {reason}"})
            else:
                task = dataclasses.replace(
                    task, data_dir=self._data_dir(point, entry.storage), photos=self._photos
                )
                judge = self._judge(point)
                row = runner.run(entry, task, settings, judge, warm_up=point.pages == "warm")
        environment = row.environment | {"cores": point.cores}
        return dataclasses.replace(row, pages=point.pages, environment=environment)

    def _judge(self, point: Point) -> runner.Judge | None:
        # What a point has in common with another need not be checked twice.
        grown, confined = point.images != self.images, point.cores != cores()
        if grown or confined or point.pages == "cold" or point.contestant == DEVICE:
            return None
        return partial(check.find_fault, sources=_sources(self._photos, point.image_size))

    @cached_property
    def _photos(self) -> str:
        folder = self.folder / "photos"
        split = self.settings.split
        export_photos(self.settings.dataset, split=split, data_dir=self.data_dir, folder=folder)
        return str(folder)

    def _data_dir(self, point: Point, storage: str) -> str:
        """The folder with the dataset of a point, made if it is not there, and dropped from memory if it is cold."""
        times, folder = point.images // self.images, Path(self.data_dir)
        if times > 1:
            folder = self.folder / f"{times}-fold"
            if not (folder / self.settings.dataset / storage).exists():
                # Links lead to the same pages, so what is to be read from disk must be copies.
                name, copies = (
                    f"{self.settings.dataset}/{storage}",
                    times <= max(round(COLD / self.images), 1),
                )
                memory.grow(name, data_dir=self.data_dir, times=times, target=folder, copies=copies)
        if point.pages == "cold":
            evict(folder / self.settings.dataset / storage)
        return str(folder)


@cache
def _sources(photos: str, size: int) -> check.Sources:
    return check.read_sources(Path(photos), size, pipeline.Settings.crop_fraction)


def variant(entry: Contestant, image_size: int) -> Contestant:
    """The contestant for windows of another size, which it reads from the storage for that size."""
    storage = entry.storage.replace("256", str(image_size))
    deviation = PLACES if entry.name == DEVICE else entry.deviation
    return dataclasses.replace(entry, storage=storage, deviation=deviation)


def possible(point: Point) -> bool:
    """Whether this system can confine processes to cores, or drop pages, where the point asks for it."""
    confines, drops = hasattr(os, "sched_setaffinity"), hasattr(os, "posix_fadvise")
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


def evict(folder: Path) -> None:
    """Has the system drop the pages of all files below a folder from its cache. Maps of them elsewhere keep theirs."""
    for path in folder.rglob("*"):
        if path.is_file():
            with open(path, "rb") as file:
                os.fsync(file.fileno())  # pages that are not on disk yet would stay
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


if __name__ == "__main__":
    main()
