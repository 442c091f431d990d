"""What a build keeps in memory while the set grows, and what opening it takes: `bench.growth`."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

import dataclasses
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from sentiflow import cli

from .harness.builds import ALL, build_into, make_row
from .harness.grown import grow
from .harness.modules import run_module
from .harness.rows import Row, provenance, write_json
from .ours.name_once import Naming
from .ours.open_once import Opening
from .show.growth import print_table

IMAGE_SIZE = 64  # pixels
STORAGE = f"jpeg{IMAGE_SIZE}"
DATASET = f"photo_folder/{STORAGE}"
SIZE = (96, 72)  # width, height in pixels
CLASSES = 4
LINKED, NAMED = "linked", "named"


@click.command(cls=cli.Command)
@click.option(
    "--images",
    multiple=True,
    default=(100, 10_000, 100_000),
    show_default=True,
    type=click.IntRange(100),
    help="Photographs in a set; repeatable.",
)
@click.option(
    "--linked",
    multiple=True,
    default=(1_000_000,),
    show_default=True,
    type=click.IntRange(100),
    help="Images in a set of links to the shards of the last one; repeatable.",
)
@click.option(
    "--names",
    multiple=True,
    default=(20_000_000,),
    show_default=True,
    type=click.IntRange(100),
    help="Images that are named and shared out into files, no more; repeatable.",
)
@click.option(
    "--json", "path", type=click.Path(dir_okay=False, path_type=Path), help="File for the rows."
)
def main(
    images: Sequence[int], linked: Sequence[int], names: Sequence[int], path: Path | None
) -> None:
    """Draws sets of small pictures, builds each as `photo_folder`, and opens it.

    The pictures are all different. Builds and openings are compared by their peak memory. Of larger
    sets there are only names: what a build does with them before it reads a picture.
    """
    with tempfile.TemporaryDirectory(prefix="bench-growth-") as folder:
        rows = [build_and_open(Path(folder) / str(count), count) for count in images]
        last = Path(folder) / str(images[-1]) / "data"
        rows += [
            link_and_open(last, Path(folder) / f"linked-{count}", count // images[-1] or 1)
            for count in linked
        ]
    rows += [name_images(count) for count in names]
    print_table(DATASET, rows, Console())
    if path is not None:
        write_json(rows, path)


def build_and_open(folder: Path, count: int) -> Row:
    """Draws, builds and opens a set of `count` pictures; the data_dir is `folder`/data."""
    photos = folder / "photos"
    data_dir = folder / "data"
    draw(photos, count)
    result = build_into(str(data_dir), "photo_folder", STORAGE, str(photos), 0)
    return _with_opening(make_row(ALL, STORAGE, "photo_folder", [result]), open_in(data_dir))


def link_and_open(source: Path, data_dir: Path, times: int) -> Row:
    """Opens a set that holds every record of the one in `source` so many times.

    Its shards are links, and no builder wrote its index, so it is scanned when it is first opened.
    """
    grow(DATASET, data_dir=str(source), times=times, target=data_dir, indexed=False)
    scanned = open_in(data_dir)
    opening = open_in(data_dir)
    row = _row(
        LINKED,
        "open",
        images=opening.images,
        seconds=scanned.seconds + opening.seconds,
        scan_seconds=scanned.seconds,
    )
    return _with_opening(row, opening)


def name_images(count: int) -> Row:
    """Names so many images in a process of its own."""
    output = run_module("sentiflow.bench.ours.name_once", str(count), task=f"{count:,} names")
    naming = Naming(**json.loads(output.splitlines()[-1]))
    return _row(
        NAMED,
        "build",
        images=count,
        seconds=naming.seconds,
        build_seconds=naming.seconds,
        peak_anonymous_mib=naming.anonymous_mib,
        peak_total_mib=naming.total_mib,
    )


def _row(contestant: str, work: str, **measured: Any) -> Row:
    """A row of what is no whole build."""
    return Row(
        contestant=contestant,
        work=work,
        tier="-",
        storage=STORAGE,
        batch_size=1,
        status="ok",
        image_size=IMAGE_SIZE,
        dataset="photo_folder",
        **measured,
        **provenance(),
    )


def open_in(data_dir: Path) -> Opening:
    """Opens the set in a process of its own.

    Raises:
        InputError: it cannot be opened.
    """
    module = "sentiflow.bench.ours.open_once"
    output = run_module(module, DATASET, str(data_dir), str(IMAGE_SIZE), task=f"opening {DATASET}")
    return Opening(**json.loads(output.splitlines()[-1]))


def _with_opening(row: Row, opening: Opening) -> Row:
    return dataclasses.replace(
        row,
        open_seconds=opening.seconds,
        open_anonymous_mib=opening.anonymous_mib,
        index_bytes=opening.index_bytes,
    )


def draw(folder: Path, count: int) -> None:
    """Writes `count` JPEG files of smooth noise, in class folders."""
    for label in range(CLASSES):
        (folder / f"class{label}").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for i in track(
        range(count), description=f"Drawing {count:,} pictures", console=Console(stderr=True)
    ):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8))
        coarse.resize(SIZE).save(folder / f"class{i % CLASSES}" / f"{i:06}.jpg", quality=90)


if __name__ == "__main__":
    main()
