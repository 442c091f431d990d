"""What a build keeps in memory while the set grows, and what opening it takes: `bench.growth`."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from sentiflow import cli
from sentiflow.pipeline import InputError

from .build import ALL, build_into, make_row
from .harness.rows import Row, commit, environment, write_json
from .memory import grow
from .ours.open_once import Opening
from .show.table import pipes, rich_table, setting

IMAGE_SIZE = 64  # pixels
STORAGE = f"jpeg{IMAGE_SIZE}"
DATASET = f"photo_folder/{STORAGE}"
SIZE = (96, 72)  # width, height in pixels
CLASSES = 4
LINKED = "linked"
HEADINGS = (
    "images",
    "anonymous MiB",
    "total MiB",
    "seconds",
    "images/s",
    "MB on disk",
    "scan, s",
    "open, s",
    "opened MiB",
    "index bytes/image",
)


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
    "--json", "path", type=click.Path(dir_okay=False, path_type=Path), help="File for the rows."
)
def main(images: Sequence[int], linked: Sequence[int], path: Path | None) -> None:
    """Draws sets of small pictures, builds each as `photo_folder`, and opens it.

    The pictures are all different. Builds and openings are compared by their peak memory.
    """
    with tempfile.TemporaryDirectory(prefix="bench-growth-") as folder:
        rows = [build_and_open(Path(folder) / str(count), count) for count in images]
        last = Path(folder) / str(images[-1]) / "data"
        rows += [
            link_and_open(last, Path(folder) / f"linked-{count}", count // images[-1] or 1)
            for count in linked
        ]
    Console().print(rich_table(DATASET, HEADINGS, _lines(rows), texts=0))
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
    grow(DATASET, data_dir=str(source), times=times, target=data_dir)
    scanned = open_in(data_dir)
    opening = open_in(data_dir)
    row = Row(
        contestant=LINKED,
        work="open",
        tier="-",
        storage=STORAGE,
        batch_size=1,
        status="ok",
        image_size=IMAGE_SIZE,
        dataset="photo_folder",
        images=opening.images,
        seconds=scanned.seconds + opening.seconds,
        scan_seconds=scanned.seconds,
        commit=commit(),
        environment=environment(),
    )
    return _with_opening(row, opening)


def open_in(data_dir: Path) -> Opening:
    """Opens the set in a process of its own.

    Raises:
        InputError: it cannot be opened.
    """
    module = "sentiflow.bench.ours.open_once"
    command = [sys.executable, "-m", module, DATASET, str(data_dir), str(IMAGE_SIZE)]
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=quiet, check=False)
    if done.returncode:
        raise InputError(f"opening {DATASET} failed: {(done.stderr.splitlines() or [''])[-1]}")
    return Opening(**json.loads(done.stdout.splitlines()[-1]))


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


def markdown(rows: Sequence[Row]) -> str:
    """The table for a page."""
    return f"{pipes(HEADINGS, _lines(rows), texts=0)}\n\n{setting(rows[-1])}"


def _lines(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    return [
        (
            f"{row.images:,}",
            _number(row.peak_anonymous_mib, 0),
            _number(row.peak_total_mib, 0),
            _number(row.build_seconds, 1),
            _number(row.images_per_second, 0),
            _number(row.bytes_on_disk and row.bytes_on_disk / 1e6, 1),
            _number(row.scan_seconds, 1),
            _number(row.open_seconds, 2),
            _number(row.open_anonymous_mib, 0),
            _number(row.index_bytes and row.index_bytes / row.images, 0),
        )
        for row in rows
    ]


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


if __name__ == "__main__":
    main()
