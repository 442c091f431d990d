"""What a build keeps in memory while the set grows: `python -m bench.growth`."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from sentiflow import cli

from .harness.builds import ALL, build, make_row
from .harness.rows import Row, write_json
from .show.table import pipes, rich_table, setting

STORAGE = "jpeg64"
SIZE = (96, 72)  # width, height in pixels
CLASSES = 4
HEADINGS = ("images", "anonymous MiB", "total MiB", "seconds", "images/s", "MB on disk")


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
    "--json", "path", type=click.Path(dir_okay=False, path_type=Path), help="File for the rows."
)
def main(images: Sequence[int], path: Path | None) -> None:
    """Draws sets of small pictures, all different, and builds each as `photo_folder`; compares peak memory."""
    console, rows = Console(), []
    for count in images:
        with tempfile.TemporaryDirectory(prefix="bench-growth-") as folder:
            draw(Path(folder), count)
            rows.append(
                make_row(ALL, STORAGE, "photo_folder", [build("photo_folder", STORAGE, folder, 0)])
            )
    console.print(rich_table(f"photo_folder/{STORAGE}", HEADINGS, _lines(rows), texts=0))
    if path is not None:
        write_json(rows, path)


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
            f"{row.peak_anonymous_mib or 0:,.0f}",
            f"{row.peak_total_mib or 0:,.0f}",
            f"{row.build_seconds or 0:.1f}",
            f"{row.images_per_second or 0:,.0f}",
            f"{(row.bytes_on_disk or 0) / 1e6:,.1f}",
        )
        for row in rows
    ]


if __name__ == "__main__":
    main()
