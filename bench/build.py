"""How fast datasets are built, with one core and with all: `python -m bench.build --manual_dir DIR`.

Every build is a process of its own, and its clock starts after the imports. Builds with one core
and with all take turns, so that a slow spell of the machine falls on both.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from sentiflow import cli
from sentiflow.pipeline import InputError

from .harness.inputs import STORAGES
from .harness.rows import Row, commit, environment, write_json
from .show.table import pipes, rich_table, setting

ONE, ALL = "build-1-core", "build-all-cores"
HEADINGS = (
    "storage",
    "cores",
    "images/s",
    "spread",
    "x one core",
    "CPU ms/image",
    "seconds",
    "MB on disk",
)


@click.command(cls=cli.Command)
@click.option(
    "--manual_dir",
    required=True,
    type=click.Path(exists=True, file_okay=False),
    help="As for `tfds build`.",
)
@click.option("--dataset", default="emotionroi", help="Name of the dataset.")
@click.option("--storages", default=",".join(STORAGES), help="Names, separated by commas.")
@click.option(
    "--pairs",
    default=5,
    type=click.IntRange(1),
    help="Builds with one core and with all, of each storage.",
)
@click.option(
    "--json", "path", type=click.Path(dir_okay=False, path_type=Path), help="File for the rows."
)
def main(manual_dir: str, dataset: str, storages: str, pairs: int, path: Path | None) -> None:
    """Builds the dataset again and again into a temporary folder; shows images/s, seconds and bytes by storage."""
    console, rows = Console(), []
    for storage in storages.split(","):
        turns = [
            (build(dataset, storage, manual_dir, 1), build(dataset, storage, manual_dir, 0))
            for _ in range(pairs)
        ]
        for name, results in zip((ONE, ALL), zip(*turns, strict=True), strict=True):
            rows.append(make_row(name, storage, dataset, results))
    title = f"{dataset}, {rows[0].images:,} images"
    console.print(rich_table(title, HEADINGS, _lines(rows)))
    if path is not None:
        write_json(rows, path)


def build(dataset: str, storage: str, manual_dir: str, limit: int) -> dict[str, float]:
    """Builds once in a process of its own, on `limit` cores (0: all).

    Returns:
        What `bench.ours.build_once` does: images, seconds, cpu_seconds (user and system), bytes,
            peaks of memory.

    Raises:
        InputError: the build failed.
    """
    with tempfile.TemporaryDirectory(prefix="bench-build-") as folder:
        return build_into(folder, dataset, storage, manual_dir, limit)


def build_into(
    data_dir: str, dataset: str, storage: str, manual_dir: str, limit: int
) -> dict[str, float]:
    """Builds once into `data_dir`; see `build`."""
    module = "sentiflow.bench.ours.build_once"
    command = [sys.executable, "-m", module, dataset, storage, manual_dir, data_dir, str(limit)]
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, env=quiet, check=False)
    if done.returncode:
        raise InputError(
            f"the build of {dataset}/{storage} failed: {(done.stderr.splitlines() or [''])[-1]}"
        )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def make_row(name: str, storage: str, dataset: str, results: Sequence[dict[str, float]]) -> Row:
    """The row of several builds."""
    rates = tuple(result["images"] / result["seconds"] for result in results)
    middle = statistics.median(rates)
    images = int(results[0]["images"])
    return Row(
        contestant=name,
        work="build",
        tier="-",
        storage=storage,
        batch_size=1,
        images_per_second=middle,
        spread=(max(rates) - min(rates)) / middle,
        cpu_seconds_per_image=statistics.median(result["cpu_seconds"] for result in results)
        / images,
        status="ok",
        windows=rates,
        peak_anonymous_mib=max(result["peak_anonymous_mib"] for result in results),
        peak_total_mib=max(result["peak_total_mib"] for result in results),
        build_seconds=images / middle,
        bytes_on_disk=int(results[0]["bytes"]),
        dataset=dataset,
        images=images,
        seconds=sum(result["seconds"] for result in results),
        commit=commit(),
        environment=environment(),
    )


def markdown(rows: Sequence[Row]) -> str:
    """The same table for a page."""
    return f"{pipes(HEADINGS, _lines(rows))}\n\n{setting(rows[0])}"


def _lines(rows: Sequence[Row]) -> list[tuple[str, ...]]:
    one = {row.storage: row.images_per_second or 0.0 for row in rows if row.contestant == ONE}
    return [
        (
            row.storage,
            "1" if row.contestant == ONE else str(row.environment["cores"]),
            f"{row.images_per_second or 0.0:,.1f}",
            f"{row.spread or 0:.0%}",
            f"{(row.images_per_second or 0.0) / one[row.storage]:.2f}",
            f"{1000 * (row.cpu_seconds_per_image or 0):.2f}",
            f"{row.build_seconds or 0:.1f}",
            f"{(row.bytes_on_disk or 0) / 1e6:,.1f}",
        )
        for row in rows
    ]


if __name__ == "__main__":
    main()
