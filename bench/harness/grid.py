"""The settings under which `bench.scaling` times loaders: a grid of plain values.

Everything but one value is as in `bench.throughput`, so every point can be compared with the usual
one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from functools import partial

from ..contestants.task import IMAGE_SIZE
from .rows import BASELINE, Row

BATCH_SIZES = (16, 32, 64, 256)
IMAGE_SIZES = (224, 256, 448)  # pixels, side of the window
IMAGES = (1_000, 10_000, 100_000)  # streamed
# Of IMAGES, the number that is also read from a disk whose pages are not in memory.
COLD = 10_000
MEMORY, RAW, JPEG, ORIGINAL, DEVICE = (
    f"sentiflow-{name}"
    for name in ("memory", "none-raw256", "none-jpeg256", "none-original", "device")
)
QUICK = (MEMORY, RAW, JPEG)
# Of the other loaders, which are slow and cost the same at either work, one work tells enough.
SLOW = {"batch_size": (BASELINE, DEVICE), "image_size": (BASELINE, ORIGINAL)}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Point:
    """A contestant under one setting of the grid.

    Attributes:
        contestant: its name.
        work: "augmented" or "crop".
        batch_size: images.
        image_size: side of the window in pixels.
        images: of the dataset.
        cores: that it may use.
        pages: "warm", or "cold" where the page cache holds none of the files when the clock starts.
    """

    contestant: str
    work: str
    batch_size: int = 32
    image_size: int = IMAGE_SIZE
    images: int
    cores: int
    pages: str = "warm"


def grid(images: int, cores: int) -> list[Point]:
    """Every point once.

    Args:
        images: of the dataset; larger ones hold them several times, so their number is near that of
            `IMAGES`.
        cores: that there are.
    """
    usual: Callable[..., Point] = partial(Point, images=images, cores=cores)
    everyone = (BASELINE, "original-all", *QUICK, ORIGINAL)
    points = [
        usual(contestant=name, work=work) for work in ("augmented", "crop") for name in everyone
    ]
    points += [dataclasses.replace(point, cores=1) for point in points]
    for axis, values in (("batch_size", BATCH_SIZES), ("image_size", IMAGE_SIZES)):
        pairs = [(name, work) for work in ("augmented", "crop") for name in QUICK]
        pairs += [(name, "augmented") for name in SLOW[axis]]
        points += [
            usual(contestant=name, work=work, **{axis: value})
            for name, work in pairs
            for value in values
        ]
    streams = [usual(contestant=name, work="crop") for name in (RAW, JPEG)]
    host = usual(contestant=DEVICE, work="augmented")
    points += [_grown(point, count) for count in IMAGES for point in streams]
    points += [_grown(host, count) for count in IMAGES[:-1]]
    cold = [_grown(point, COLD) for point in streams] + [usual(contestant=MEMORY, work="crop")]
    points += [dataclasses.replace(point, pages="cold") for point in cold]
    return list(dict.fromkeys(points))


def _grown(point: Point, images: int) -> Point:
    return dataclasses.replace(point, images=point.images * max(round(images / point.images), 1))


def point_of(row: Row) -> Point:
    """The point that a row was measured at."""
    names = [field.name for field in dataclasses.fields(Point) if field.name != "cores"]
    return Point(**{name: getattr(row, name) for name in names}, cores=row.environment["cores"])
