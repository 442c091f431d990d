"""How bad files and lines are told: in an error, and in a table beside the records."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from sentiflow.terminal import printable

from ..reading.sources import Bad
from .config import StorageConfig

QUARANTINE = "quarantine.tsv"


def bad_message(bad: list[Bad], config: StorageConfig) -> str:
    """Names every bad file, and what to do about them."""
    settings = json.dumps(config.settings() | {"on_bad_image": "skip"})
    lines = [f"{len(bad)} bad files or lines, nothing was written:"]
    lines += [f"  {filename}: {reason}" for filename, reason in map(_row, bad)]
    lines += [f"Repair or remove them, or leave them out with --config '{settings}'."]
    return "\n".join(lines)


def write_quarantine(path: Path, bad: list[Bad]) -> None:
    """Writes a table of file names and reasons, separated by tabs."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, dialect="excel-tab", lineterminator="\n")
        table.writerow(("filename", "reason"))
        table.writerows(map(_row, bad))


def _row(bad: Bad) -> tuple[str, str]:
    return printable(bad.filename), printable(bad.explanation)
