"""What a dataset costs at any size: formulas, whose constants are rows that were measured.

All of it grows with the number of images, but for what is said to end somewhere.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from .builds import ONE
from .rows import Row, read_json

MAPPINGS = 65_530  # of a process, Linux' default (vm.max_map_count); a shard takes one
ADDRESSES = 2**47  # bytes that a process can map on x86-64
GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Storage:
    """What an image costs in one storage.

    Attributes:
        name: such as "raw256".
        bytes: on disk.
        build_seconds: of one core, to prepare it.
        view_seconds: of one core, to read and augment it.
        window_seconds: of one core, to read and cut it, where an accelerator sees to the view.
    """

    name: str
    bytes: float
    build_seconds: float
    view_seconds: float
    window_seconds: float

    def disk(self, images: int) -> float:
        """Bytes of so many images."""
        return images * self.bytes

    def core_hours(self, images: int) -> float:
        """Of a build."""
        return images * self.build_seconds / 3600

    def staging_seconds(self, images: int, gbit: float) -> float:
        """To copy the dataset over a network of so many Gbit/s."""
        return self.disk(images) * 8 / (gbit * 1e9)

    def bandwidth(self, rate: float) -> float:
        """Bytes/s that so many images/s are."""
        return rate * self.bytes


@dataclasses.dataclass(frozen=True)
class Model:
    """The constants of one machine and its photographs.

    Attributes:
        storages: by cost of an image.
        name_bytes: of the memory of a build, an image.
        rows: one of those that the storages' constants are from.
    """

    storages: tuple[Storage, ...]
    name_bytes: float
    rows: Sequence[Row]

    def largest(self, memory: float) -> int:
        """Images that a build can name in so many bytes of memory."""
        return int(memory / self.name_bytes)


def read_model(folder: Path) -> Model:
    """The model from `build.json`, `throughput.json` and `growth.json` in a folder."""
    builds = [row for row in read_json(folder / "build.json") if row.contestant == ONE]
    rates = read_json(folder / "throughput.json")
    storages = tuple(
        Storage(
            name=row.storage,
            bytes=(row.bytes_on_disk or 0) / row.images,
            build_seconds=row.cpu_seconds_per_image or 0.0,
            view_seconds=_seconds(rates, row.storage, "augmented"),
            window_seconds=_seconds(rates, row.storage, "crop"),
        )
        for row in builds
    )
    named = read_json(folder / "growth.json")[-1]
    return Model(storages, (named.peak_anonymous_mib or 0) * 2**20 / named.images, builds)


def _seconds(rates: Sequence[Row], storage: str, work: str) -> float:
    name = f"sentiflow-none-{storage}"
    return next(
        row.cpu_seconds_per_image or 0.0
        for row in rates
        if (row.contestant, row.work) == (name, work)
    )
