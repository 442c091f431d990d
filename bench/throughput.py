"""How many images per second every loader delivers: `python -m bench.throughput`."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__, extra="bench")

import itertools
import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from sentiflow import cli, pipeline

from .contestants import CONTESTANTS
from .contestants.task import Contestant
from .harness import check, rows, runner
from .harness.inputs import export_photos, prepare
from .harness.rows import Row
from .harness.settings import Settings
from .limits import find_limits
from .show.publish import publish
from .show.table import cells


@click.command(cls=cli.Command)
@cli.options(Settings)
@click.option(
    "--limits/--no_limits", default=False, help="Time the bounds of the machine in the same run."
)
def main(limits: bool, **options: Any) -> None:
    """Times every loader at the same work on the same images, one after the other, each in a process of its own.

    Batches are checked before the clock starts. Without --data_dir, sample photographs are drawn
    and built in ./demo. Leave the machine alone meanwhile.
    """
    settings = cli.build(Settings, options)
    console = Console(stderr=True)
    measured = []
    for row in itertools.chain(compare(settings), find_limits(settings) if limits else ()):
        measured.append(row)
        rate = f"{cells(row)[0]:>9} images/s"
        console.print(f"{row.work:10} {row.contestant:24} {rate}  {row.status}", highlight=False)
    publish(rows.with_ratios(measured), settings)


def compare(settings: Settings, rates: Sequence[float] = ()) -> Iterator[Row]:
    """Times the chosen contestants at the chosen works; rows come without ratios.

    Args:
        settings: what is timed, on what.
        rates: of emulated accelerators that take the batches, images/s; without any, they are taken
            as they come.
    """
    entries = choose(settings.contestants, settings.work)
    data_dir, absent = prepare(settings)
    if "original" in absent:
        raise pipeline.InputError(
            f"Batches are checked against the source files: {absent['original']}"
        )
    with tempfile.TemporaryDirectory(prefix="bench-photos-") as folder:
        photos = export_photos(
            settings.dataset, split=settings.split, data_dir=data_dir, folder=Path(folder)
        )
        geometry = pipeline.Settings().evaluation()
        sources = check.read_sources(photos, geometry.image_size, geometry.crop_fraction)
        require_batch(settings, len(sources.labels))
        judge = partial(check.find_fault, sources=sources)
        for work in settings.work:
            for entry in [entry for entry in entries if work in entry.works]:
                task = runner.make_task(
                    entry,
                    settings,
                    work=work,
                    data_dir=data_dir,
                    photos=str(photos),
                    images=len(sources.labels),
                )
                if entry.storage in absent:
                    yield runner.make_row(
                        entry, task, settings, {"status": f"absent: {absent[entry.storage]}"}
                    )
                elif rates:
                    yield from runner.emulate(entry, task, settings, judge, rates)
                else:
                    yield runner.run(entry, task, settings, judge)


def require_batch(settings: Settings, images: int) -> None:
    """Raises an InputError if the split's images do not fill one batch."""
    if images < settings.batch_size:
        rule = f"batch_size must be at most {images}, the images of split {settings.split!r}"
        raise pipeline.InputError(f"{rule}. Received: {settings.batch_size}")


def choose(names: str, works: Sequence[str]) -> list[Contestant]:
    """The contestants of a comma-separated list; for an empty one, all that do any of the works.

    Raises:
        InputError: a name is unknown, or its contestant does none of the works.
    """
    able = [name for name, entry in CONTESTANTS.items() if set(entry.works) & set(works)]
    listed = [name.strip() for name in names.split(",") if name.strip()]
    for name in listed:
        if name not in able:
            rule = f"contestants must be among {', '.join(able)}"
            if name in CONTESTANTS:
                does = f"{' and '.join(CONTESTANTS[name].works)} alone"
                rule = f"contestants must do work {' or '.join(works)}; this one does {does}"
            raise pipeline.InputError(f"{rule}. Received: {name!r}")
    return [CONTESTANTS[name] for name in listed or able]


if __name__ == "__main__":
    main()
