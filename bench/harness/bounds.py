"""The bounds of the machine, timed: what no loader can exceed."""

from __future__ import annotations

from collections.abc import Iterator

from ..contestants import CONTESTANTS
from . import runner
from .inputs import count_images, prepare
from .rows import Row
from .settings import Settings

PREPARED = ("jpeg256", "raw256")


def find_limits(settings: Settings) -> Iterator[Row]:
    """Times every bound, each in a process of its own."""
    data_dir, absent = prepare(settings, PREPARED)
    present = next(storage for storage in PREPARED if storage not in absent)
    images = count_images(settings, present, data_dir)
    for entry in CONTESTANTS.values():
        if entry.kind != "bound":
            continue
        task = runner.make_task(
            entry, settings, work=entry.works[0], data_dir=data_dir, photos="", images=images
        )
        if entry.storage in absent:
            yield runner.absent_row(entry, task, settings, absent[entry.storage])
        else:
            yield runner.run(entry, task, settings, judge=None)
