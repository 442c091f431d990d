"""Rows: one result each, with all that is needed to judge it.

Tables and plots are made from them.
"""

from __future__ import annotations

import csv
import dataclasses
import functools
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sentiflow import files
from sentiflow.machine import commit, hardware, software

from ..contestants import CONTESTANTS
from ..contestants.task import IMAGE_SIZE, Kind

PACKAGES = (
    "tensorflow",
    "tensorflow-datasets",
    "keras",
    "jax",
    "keras-preprocessing",
    "numpy",
    "pillow",
)
BASELINE = "original-1"
CONSTANT = "constant"  # not a loader: one batch that is on the device already


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """One contestant at one work. What was not measured is None.

    Attributes:
        contestant: its name.
        work: "augmented" or "crop"; a bound of the machine names its own; "training" is the real
            training step.
        tier: cache tier, "-" without one.
        storage: what is read: "files", "original", "raw256", ...
        batch_size: images.
        images_per_second: median over the windows.
        spread: (largest - smallest) / median of the windows.
        ratio_to_original: images_per_second / that of the original generator with one worker, same
            work, same run.
        first_batch_seconds: from the call of the loader to its first batch.
        cpu_seconds_per_image: of all threads and processes.
        status: "ok", or "absent: ...", "wrong: ...", "failed: ..." with the reason.
        windows: images/s of each window.
        start_seconds: from the start of the process to the call of the loader: interpreter and
            imports.
        peak_anonymous_mib: resident memory that no file backs, MiB.
        peak_total_mib: resident memory, MiB.
        image_size: side of the window, in pixels.
        pages: "warm" where the page cache held the files, "cold" where it did not.
        emulate: images/s of the emulated accelerator that took the batches.
        utilisation: of the accelerator, emulated or real: images_per_second / its rate when it
            never waits.
        waiting_share: of the time, spent waiting for batches.
        backbone: whose training step took the batches.
        backend: that ran it, "tensorflow" or "jax".
        precision: of the step, "float32", "bfloat16" or "float16".
        device: of the step, "CPU", "GPU" or "TPU".
        device_memory_mib: the most in use on that device, MiB.
        build_seconds: of a whole build of the dataset, imports left out.
        bytes_on_disk: of the built dataset.
        scan_seconds: of the first opening of a dataset without an index.
        open_seconds: of the opening of a dataset, from its name to positions and labels.
        open_anonymous_mib: the most of the process that opens it, see peak_anonymous_mib.
        index_bytes: of the index on disk.
        dataset: its name.
        images: images in an epoch.
        seconds: timed in all.
        commit: of this software, with "-dirty" where it was changed; None outside a checkout.
        environment: machine and versions.
        deviation: how the contestant's batches differ from the work, though they pass the check; ""
            if not at all.
        kind: of the contestant; None looks it up by its name, which serves rows of before there
            were kinds.
    """

    contestant: str
    work: str
    tier: str
    storage: str
    batch_size: int
    images_per_second: float | None = None
    spread: float | None = None
    ratio_to_original: float | None = None
    first_batch_seconds: float | None = None
    cpu_seconds_per_image: float | None = None
    status: str
    windows: tuple[float, ...] = ()
    start_seconds: float | None = None
    peak_anonymous_mib: float | None = None
    peak_total_mib: float | None = None
    image_size: int = IMAGE_SIZE
    pages: str = "warm"
    emulate: float | None = None
    utilisation: float | None = None
    waiting_share: float | None = None
    backbone: str | None = None
    backend: str | None = None
    precision: str | None = None
    device: str | None = None
    device_memory_mib: float | None = None
    build_seconds: float | None = None
    bytes_on_disk: int | None = None
    scan_seconds: float | None = None
    open_seconds: float | None = None
    open_anonymous_mib: float | None = None
    index_bytes: int | None = None
    dataset: str
    images: int
    seconds: float
    commit: str | None
    environment: dict[str, Any]
    deviation: str = ""
    kind: Kind | None = None

    def __post_init__(self) -> None:
        if self.kind is None:
            object.__setattr__(self, "kind", kind_of(self.contestant))


def kind_of(contestant: str) -> Kind:
    """The kind of the contestant of that name; what is in no list, such as a build, is ours."""
    if contestant in CONTESTANTS:
        return CONTESTANTS[contestant].kind
    return "bound" if contestant == CONSTANT else "ours"


def with_ratios(rows: Sequence[Row]) -> list[Row]:
    """The rows, each compared with the original generator.

    That is, at the same work and in front of the same accelerator.
    """
    base = {
        (row.work, row.emulate): row.images_per_second
        for row in rows
        if row.contestant == BASELINE and row.images_per_second
    }
    return [_compared(row, base.get((row.work, row.emulate))) for row in rows]


def _compared(row: Row, base: float | None) -> Row:
    if not row.images_per_second or not base:
        return row
    return dataclasses.replace(row, ratio_to_original=row.images_per_second / base)


def write_json(rows: Iterable[Row], path: Path) -> None:
    """Writes a list of objects."""
    files.write_json(path, [dataclasses.asdict(row) for row in rows])


def read_json(path: Path) -> list[Row]:
    """Reads what `write_json` wrote."""
    return [
        Row(**{**row, "windows": tuple(row["windows"])})
        for row in json.loads(path.read_text(encoding="utf-8"))
    ]


def write_csv(rows: Iterable[Row], path: Path) -> None:
    """Writes a table with a header.

    Windows are separated by blanks; the environment has a column for each entry.
    """
    flat = []
    for row in rows:
        values = dataclasses.asdict(row)
        environment = values.pop("environment")
        values["windows"] = " ".join(f"{rate:.2f}" for rate in row.windows)
        flat.append(
            {**values, **{f"environment_{name}": value for name, value in environment.items()}}
        )

    def write(target: Path) -> None:
        with target.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(flat[0]) if flat else [])
            writer.writeheader()
            writer.writerows(flat)

    files.write_atomically(path, write)


@functools.cache
def environment() -> dict[str, Any]:
    """Machine and versions, as they stand beside every result."""
    return hardware() | software(PACKAGES)


def provenance() -> dict[str, Any]:
    """The fields of a row that say what it was measured with."""
    return {"commit": commit(), "environment": environment()}
