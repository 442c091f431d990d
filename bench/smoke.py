"""A guard against lost speed, for continuous integration: `python -m bench.smoke`.

Only ratios within one run are compared, and with floors far below what was measured: machines and
their moods differ. How fast the loaders really are, `bench.throughput` tells.
"""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__, extra="bench")

import dataclasses
import tempfile
from pathlib import Path

import click
from rich.console import Console

from sentiflow import cli, pipeline
from sentiflow.machine import cores

from .harness.comparison import compare
from .harness.grid import JPEG, MEMORY, ORIGINAL, RAW, Point
from .harness.inputs import count_images, prepare
from .harness.points import Input
from .harness.rows import BASELINE, Row, with_ratios
from .harness.settings import Settings
from .show.table import rich_table

# Images/s in work `augmented`, as a multiple of those of the original generator with one worker.
FLOORS = {MEMORY: 8.0, JPEG: 3.0, ORIGINAL: 2.0}
LARGE_BATCH = 256  # images
LARGE_FLOOR = 0.6  # of the rate of the usual batches, tier memory, work `crop`
COLD_FLOOR = 4.0  # times the original generator's rate in `augmented`: raw256, work `crop`
# So long, and of a dataset so many times as large, that no page is read twice.
COLD_SECONDS, COLD_TIMES = 0.1, 3
WINDOWS = f"{MEMORY}-windows"
ACCELERATOR = 10_000.0  # images/s; emulated, and has the view
BUSY_FLOOR = 0.8  # of its time
TITLE = f"within one run; loaders and cold pages over {BASELINE}"
IMAGES = 400  # sample photographs, of which 280 are trained on


@dataclasses.dataclass(frozen=True)
class Guard:
    """What was measured, and what it must not fall below.

    Attributes:
        name: of what.
        ratio: that was measured; None where that failed.
        floor: of the ratio.
        status: of the measurement.
    """

    name: str
    ratio: float | None
    floor: float
    status: str

    @property
    def holds(self) -> bool:
        """Whether it was measured, and is not below."""
        return self.ratio is not None and self.ratio >= self.floor


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
    """Compares tiers, source files, large batches, cold pages and an emulated accelerator.

    Fails if one is below its floor.
    """
    settings = Settings(data_dir=data_dir, images=IMAGES, work=("augmented",), seconds=seconds)
    guards = [*on_loaders(settings), *on_accelerators(settings)]
    lines = [(guard.name, f"{guard.ratio or 0.0:.2f}", f"{guard.floor:.2f}") for guard in guards]
    headings = ("", "ratio", "at least")
    statuses = [guard.status for guard in guards]
    Console().print(rich_table(TITLE, headings, lines, statuses=statuses))
    if slow := [guard.name for guard in guards if not guard.holds]:
        raise pipeline.InputError(f"Below their floors: {', '.join(slow)}.")


def on_loaders(settings: Settings) -> list[Guard]:
    """Of loaders against the original generator, a large batch, and cold pages."""
    names = ",".join((BASELINE, *FLOORS))
    rows = with_ratios(list(compare(dataclasses.replace(settings, contestants=names))))
    base, *ours = rows
    guards = [
        Guard(row.contestant, row.ratio_to_original, floor, row.status)
        for row, floor in zip(ours, FLOORS.values(), strict=True)
    ]
    data_dir, absent = prepare(settings)
    with tempfile.TemporaryDirectory(prefix="bench-smoke-") as folder:
        images = count_images(settings, "raw256", data_dir)
        of = Input(settings, data_dir, images, Path(folder), absent)
        point = Point(contestant=MEMORY, work="crop", images=images, cores=cores())
        usual, large = (
            of.run(dataclasses.replace(point, batch_size=size))
            for size in (settings.batch_size, LARGE_BATCH)
        )
        brief = dataclasses.replace(settings, seconds=COLD_SECONDS)
        briefly = dataclasses.replace(of, settings=brief, folder=Path(folder) / "cold")
        cold = briefly.run(
            dataclasses.replace(point, contestant=RAW, pages="cold", images=COLD_TIMES * images)
        )
    name = f"batches of {LARGE_BATCH} over {settings.batch_size}"
    return [
        *guards,
        guard(name, large, usual, LARGE_FLOOR),
        guard("raw256, cold pages", cold, base, COLD_FLOOR),
    ]


def on_accelerators(settings: Settings) -> list[Guard]:
    """Of an emulated accelerator that has the view."""
    of_windows = dataclasses.replace(settings, contestants=WINDOWS)
    (row,) = compare(of_windows, (ACCELERATOR,))
    name = f"busy at {ACCELERATOR:,.0f} images/s"
    return [Guard(name, row.utilisation, BUSY_FLOOR, row.status)]


def guard(name: str, row: Row, base: Row, floor: float) -> Guard:
    """Of the rate of one row over that of another."""
    rates = (row.images_per_second, base.images_per_second)
    ratio = rates[0] / rates[1] if rates[0] and rates[1] else None
    status = row.status if row.status != "ok" else base.status
    return Guard(name, ratio, floor, status)


if __name__ == "__main__":
    main()
