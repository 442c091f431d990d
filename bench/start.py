"""How soon a process that starts has its first batch: `python -m bench.start`.

What is compared is the whole of a fresh process, from its start to the first batch in hand
(`start_seconds` and `first_batch_seconds` of its row), with a fresh process that imports TensorFlow
and does no more.
"""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__, extra="bench")

import dataclasses
from collections.abc import Iterator

import click

from sentiflow import cli

from .contestants import CONTESTANTS, IMPORT
from .contestants.task import Contestant
from .harness import runner
from .harness.inputs import prepare
from .harness.rows import Row
from .harness.selection import choose
from .harness.settings import Settings
from .show.publish import publish
from .show.starts import print_table, seconds


@click.command(cls=cli.Command)
@cli.options(Settings, exclude=("contestants", "seconds", "plot"))
@click.option(
    "--times",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    help="Starts; the median counts.",
)
def main(times: int, **options: object) -> None:
    """Starts a process for every tier and storage. Leave the machine alone meanwhile."""
    settings = dataclasses.replace(cli.build(Settings, options), seconds=0.5)
    publish(list(find_starts(settings, times)), settings, show=print_table)


def find_starts(settings: Settings, times: int) -> Iterator[Row]:
    """The row of the import, then of every tier and storage at every work.

    Each is the middle one of several starts.
    """
    data_dir, absent = prepare(settings)
    yield _median(CONTESTANTS[IMPORT], settings, "start", data_dir, times)
    for work in settings.work:
        for entry in choose("", (work,)):
            if entry.kind == "ours" and entry.storage not in absent:
                yield _median(entry, settings, work, data_dir, times)


def _median(entry: Contestant, settings: Settings, work: str, data_dir: str, times: int) -> Row:
    # One batch, because more are drawn only before a rate is measured, and no rate counts here.
    images = settings.batch_size
    task = runner.make_task(entry, settings, work=work, data_dir=data_dir, photos="", images=images)
    rows = [runner.run(entry, task, settings, judge=None) for _ in range(times)]
    failed = [row for row in rows if row.status != "ok"]
    return failed[0] if failed else sorted(rows, key=seconds)[(len(rows) - 1) // 2]


if __name__ == "__main__":
    main()
