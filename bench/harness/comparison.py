"""The chosen contestants, timed one after the other at the same work on the same images."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from sentiflow import pipeline

from . import check, runner
from .inputs import export_photos, prepare
from .rows import Row
from .selection import choose, require_batch
from .settings import Settings


def compare(settings: Settings, rates: Sequence[float] = ()) -> Iterator[Row]:
    """Times the chosen contestants at the chosen works; rows come without ratios.

    Args:
        settings: what is timed, on what.
        rates: of emulated accelerators that take the batches, images/s; without any, they are taken
            as they come.
    """
    entries = choose(settings.contestants, settings.work, emulated=bool(rates))
    data_dir, absent = prepare(settings)
    if "original" in absent:
        raise pipeline.InputError(
            f"Batches are checked against the source files: {absent['original']}"
        )
    with tempfile.TemporaryDirectory(prefix="bench-photos-") as name:
        photos = export_photos(
            settings.dataset,
            split=settings.split,
            data_dir=data_dir,
            folder=Path(name),
            **settings.choice,
        )
        geometry = pipeline.Settings().evaluation()
        sources = check.read_sources(photos, geometry.image_size, geometry.crop_fraction)
        images = len(sources.labels)
        require_batch(settings, images)
        judge = partial(check.find_fault, sources=sources)
        origin = {"data_dir": data_dir, "photos": str(photos)}
        for work in settings.work:
            for entry in (entry for entry in entries if work in entry.works):
                task = runner.make_task(entry, settings, work=work, images=images, **origin)
                if entry.storage in absent:
                    yield runner.absent_row(entry, task, settings, absent[entry.storage])
                elif rates:
                    yield from runner.emulate(entry, task, settings, judge, rates)
                else:
                    yield runner.run(entry, task, settings, judge)
