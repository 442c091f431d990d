"""A guard against lost speed, for continuous integration: `python -m bench.smoke`.

Only ratios within one run are compared, and with floors far below what was measured: machines and
their moods differ. How fast the loaders really are, `bench.throughput` tells.
"""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__, extra="bench")

import click
from rich.console import Console

from sentiflow import cli, pipeline

from .harness.comparison import compare
from .harness.rows import BASELINE, Row, with_ratios
from .harness.settings import Settings
from .show.table import cells, rich_table

# Images/s in work `augmented`, as a multiple of those of the original generator with one worker.
FLOORS = {"sentiflow-memory": 8.0, "sentiflow-none-jpeg256": 3.0}


@click.command(cls=cli.Command)
@click.option(
    "--data_dir",
    default=None,
    help="Folder given to `tfds build`. Default: sample photographs, in ./demo.",
)
@click.option(
    "--seconds", default=1.5, type=click.FloatRange(0.1), help="Time each contestant for so long."
)
def main(data_dir: str | None, seconds: float) -> None:
    """Compares the fastest tier and the JPEG stream with the original generator.

    Fails if one is below its floor.
    """
    names = ",".join((BASELINE, *FLOORS))
    settings = Settings(
        data_dir=data_dir, images=80, work=("augmented",), contestants=names, seconds=seconds
    )
    measured = with_ratios(list(compare(settings)))
    lines = []
    for row in measured:
        rate, _, ratio, *_ = cells(row)
        lines.append((row.contestant, rate, ratio, f"{FLOORS.get(row.contestant, 1.0):.1f}"))
    title = "times the original generator, work augmented"
    headings = ("contestant", "images/s", "ratio", "at least")
    statuses = [row.status for row in measured]
    Console().print(rich_table(title, headings, lines, statuses=statuses))
    if slow := below(measured):
        raise pipeline.InputError(f"Below their floors: {', '.join(slow)}.")


def below(rows: list[Row]) -> list[str]:
    """The contestants that are slower than their floors, or have no ratio."""
    return [
        row.contestant
        for row in rows
        if (row.ratio_to_original or 0.0) < FLOORS.get(row.contestant, 1.0)
    ]


if __name__ == "__main__":
    main()
