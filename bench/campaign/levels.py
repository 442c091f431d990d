"""What a process holds while it trains or opens datasets over and over."""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil
from rich.console import Console

from sentiflow import pipeline

from . import inputs
from .inputs import SIDE
from .rows import Trial

MIB = 2**20
# Of resident memory, by which it may differ late from early: allocators keep some.
FLAT_MIB = 8.0
EVERY = 20  # opened datasets, of which one is read


class Level(NamedTuple):
    """What a process holds at a moment: resident memory in MiB, descriptors, threads."""

    memory: float
    descriptors: int
    threads: int

    @classmethod
    def now(cls) -> Level:
        """That of this process."""
        process = psutil.Process()
        memory = process.memory_info().rss / MIB
        return cls(memory, process.num_fds(), process.num_threads())


def compare(levels: Sequence[Level]) -> tuple[str, str]:
    """How the last third of the moments differs from the third before: in words, and as a fault."""
    third = max(1, len(levels) // 3)
    middle = levels[-2 * third : -third] or levels
    early, late = (_median(part) for part in (middle, levels[-third:]))
    growth = [after - before for before, after in zip(early, late, strict=True)]
    text = (
        f"{growth[0]:+.1f} MiB, {growth[1]:+.0f} descriptors, {growth[2]:+.0f} threads"
        f" at {late[0]:.0f} MiB"
    )
    grows = growth[0] > FLAT_MIB or growth[1] > 0 or growth[2] > 0
    return text, text if grows else ""


def _median(levels: Sequence[Level]) -> list[float]:
    return [statistics.median(values) for values in zip(*levels, strict=True)]


class Watched(Console):
    """A console that shows nothing, and notes what the process holds at every line."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.levels: list[Level] = []

    def out(self, *objects: Any, **options: Any) -> None:
        """Notes a level, see the base class."""
        self.levels.append(Level.now())


def epochs(storage: str, cache: str, count: int) -> Iterator[Trial]:
    """Trains so many epochs, each of which says a line."""
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        inputs.draw(photos, 60)
        data = inputs.build(storage, photos, Path(folder) / "data")
        console = Watched()
        inputs.train(data, Path(folder) / "run", console, cache=cache, epochs=count)
    text, fault = compare(console.levels[1:-2])  # the first and last lines are of no epoch
    subject = f"{count} epochs, {cache} tier, {storage}"
    yield Trial(subject, text, fault)


def opens(count: int) -> Iterator[Trial]:
    """Opens a dataset so many times, each time as if it had been built anew."""
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        inputs.draw(photos, 60)
        data = inputs.build("raw", photos, Path(folder) / "data")
        levels = [_open(data, number) for number in range(count)]
    yield Trial(f"{count} openings of a dataset", *compare(levels))


def _open(data: pipeline.Dataset, number: int) -> Level:
    os.utime(Path(data.folder) / "metadata.json", (number, number))
    again = pipeline.open(data.name, data_dir=data.data_dir)
    again.labels("all", pipeline.Settings(image_size=SIDE))
    if number % EVERY == 0:
        stream = again.load("train", image_size=SIDE, batch_size=8, cache="memory")
        for _ in stream.take(1):
            pass
    return Level.now()
