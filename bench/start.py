"""How soon a process that starts has its first batch: `python -m bench.start`.

What is compared is the whole of a fresh process, from its start to the first batch in hand
(`start_seconds` and `first_batch_seconds` of its row), with a fresh process that imports TensorFlow
and does no more.
"""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__, extra="bench")

import dataclasses
import statistics
from collections.abc import Iterator, Sequence

import click
from rich.console import Console

from sentiflow import cli

from .contestants import CONTESTANTS, IMPORT
from .contestants.task import Contestant
from .harness import runner
from .harness.inputs import prepare
from .harness.rows import Row
from .harness.settings import Settings
from .show.publish import publish
from .show.table import pipes, rich_table, setting

HEADINGS = ("work", "contestant", "imports s", "first batch s", "both s", "allowed s")


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
    """The row of the import, then of every tier and storage at every work: of several starts, that in the middle."""
    data_dir, absent = prepare(settings)
    yield _median(CONTESTANTS[IMPORT], settings, "start", data_dir, times)
    for work in settings.work:
        for entry in CONTESTANTS.values():
            if entry.kind == "ours" and work in entry.works and entry.storage not in absent:
                yield _median(entry, settings, work, data_dir, times)


def _median(entry: Contestant, settings: Settings, work: str, data_dir: str, times: int) -> Row:
    images = (
        settings.batch_size
    )  # more are drawn before the rate is measured, which is not what counts here
    task = runner.make_task(entry, settings, work=work, data_dir=data_dir, photos="", images=images)
    rows = [runner.run(entry, task, settings, judge=None) for _ in range(times)]
    failed = [row for row in rows if row.status != "ok"]
    middle = statistics.median_low([seconds(row) for row in rows])
    return failed[0] if failed else next(row for row in rows if seconds(row) == middle)


def seconds(row: Row) -> float:
    """From the start of the process to its first batch."""
    return (row.start_seconds or 0.0) + (row.first_batch_seconds or 0.0)


def allowed(import_seconds: float) -> float:
    """Seconds to the first batch that the software promises where the import of TensorFlow takes so many."""
    return 1.5 * import_seconds + 1.0


def print_table(rows: Sequence[Row], console: Console) -> None:
    """Seconds of every start beside what is allowed."""
    title = "seconds from the start of a process to its first batch"
    lines = [cells(row, rows[0]) for row in rows]
    console.print(rich_table(title, HEADINGS, lines, texts=2))
    console.print(setting(rows[-1]), highlight=False, soft_wrap=True)


def markdown(rows: Sequence[Row]) -> str:
    """The same table for a page."""
    lines = [cells(row, rows[0]) for row in rows]
    return f"{pipes(HEADINGS, lines, texts=2)}\n\n{setting(rows[-1])}"


def cells(row: Row, of_import: Row) -> tuple[str, ...]:
    """The table's line about a row; what failed says so in the place of the last number."""
    parts = (row.start_seconds or 0.0, row.first_batch_seconds or 0.0, seconds(row))
    limit = "-" if row is of_import else f"{allowed(seconds(of_import)):.1f}"
    return (
        row.work,
        row.contestant,
        *(f"{part:.2f}" for part in parts),
        limit if row.status == "ok" else row.status,
    )


if __name__ == "__main__":
    main()
