"""What became of the images of one shard, kept beside it until the dataset is whole.

A shard is done when its report is there: both are written under other names and then renamed, the
report last. So whoever writes them may be killed, may be another process on another machine, or may
do it twice; and a build that is begun again need not write what an earlier one has finished.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sentiflow import index
from sentiflow.files import is_partial, raced

from ..reading.sources import Bad
from .card import Card

FOLDER = "reports"  # in the folder of an unfinished dataset
_SUFFIX = ".npz"


class Flat(NamedTuple):
    """An image of one colour since its values were cut off."""

    filename: str
    mode: str


@dataclasses.dataclass
class Report:
    """What became of the images of one shard.

    Attributes:
        digest: of all that the shard follows from.
        shard_bytes: size of the file.
        records: how many it holds.
        record_bytes: of these, without their frames.
        bad: files that cannot be used, in stored order.
        flat: images of one colour, in stored order, those that were left out too.
        card: counts of the images that it holds.
        columns: rows of the index.
    """

    digest: str
    shard_bytes: int
    records: int
    record_bytes: int
    bad: list[Bad]
    flat: list[Flat]
    card: Card
    columns: index.Columns


def path_of(shard: str) -> Path:
    """Where the report of a shard lies."""
    path = Path(shard)
    return path.parent / FOLDER / f"{path.name}{_SUFFIX}"


def save(report: Report, shard: str) -> None:
    """Writes the report of a shard, whole or not at all."""
    facts = {
        "digest": report.digest,
        "shard_bytes": report.shard_bytes,
        "records": report.records,
        "record_bytes": report.record_bytes,
        "bad": report.bad,
        "flat": report.flat,
        "card": list(report.card.counts.items()),
    }
    arrays: dict[str, Any] = {"facts": np.array(json.dumps(facts)), **report.columns}
    path = path_of(shard)
    path.parent.mkdir(exist_ok=True)
    with raced(path) as temporary, open(temporary, "wb") as file:
        np.savez(file, **arrays)


def load(shard: str) -> Report:
    """The report of a shard.

    Raises:
        Exception: there is none, or no sound one; NumPy raises errors of many types.
    """
    with open(path_of(shard), "rb") as file, np.load(file) as arrays:
        columns = dict(arrays)
    facts: dict[str, Any] = json.loads(str(columns.pop("facts")))
    return Report(
        digest=facts["digest"],
        shard_bytes=facts["shard_bytes"],
        records=facts["records"],
        record_bytes=facts["record_bytes"],
        bad=[Bad(*values) for values in facts["bad"]],
        flat=[Flat(*values) for values in facts["flat"]],
        card=Card((tuple(key), images) for key, images in facts["card"]),
        columns=columns,
    )


def count(folder: Path) -> int:
    """How many shards in the folder of an unfinished dataset are done."""
    try:
        return sum(not is_partial(path) for path in (folder / FOLDER).iterdir())
    except FileNotFoundError:
        return 0


def adopt(shard: str, digest: str, earlier: Path) -> bool:
    """Moves a shard and its report here from an earlier build's folder, if that wrote the same.

    Args:
        shard: path of the file.
        digest: of all that it is to follow from.
        earlier: folder of the earlier build.

    Returns:
        Whether it is here now.
    """
    other = earlier / Path(shard).name
    try:
        report = load(str(other))
        if (report.digest, report.shard_bytes) != (digest, other.stat().st_size):
            return False
        path_of(shard).parent.mkdir(exist_ok=True)
        other.rename(shard)
        path_of(str(other)).rename(path_of(shard))
    except Exception:  # it is written anew
        return False
    return True
