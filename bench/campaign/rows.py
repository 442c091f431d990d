"""What a campaign finds: a trial for each input, and a row for all trials of a kind."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from sentiflow.files import write_json

from ..harness.rows import provenance


class Trial(NamedTuple):
    """One input, and what became of it.

    Attributes:
        subject: the kind of input, such as "JPEG, progressive".
        outcome: in a word or two, such as "refused".
        fault: what was not as promised, and of which input; "" if nothing.
    """

    subject: str
    outcome: str
    fault: str = ""


@dataclasses.dataclass(frozen=True)
class Report:
    """What processes tried, and the most memory that one of them had, MiB; 0 if it is unknown."""

    trials: list[Trial]
    peak_mib: float = 0.0

    def __add__(self, other: Report) -> Report:
        return Report(self.trials + other.trials, max(self.peak_mib, other.peak_mib))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """All trials of a kind.

    Attributes:
        part: of the campaign.
        subject: of the trials.
        tried: how many there were.
        outcomes: how many came to what.
        faults: what was not as promised.
        peak_mib: the most resident memory of a process of the part; None if it was not watched.
        seconds: of the whole part.
        seed: of the campaign; with a trial's number it makes the trial again.
        commit: of this software, with "-dirty" where it was changed; None outside a checkout.
        environment: machine and versions.
    """

    part: str
    subject: str
    tried: int
    outcomes: dict[str, int]
    faults: tuple[str, ...]
    peak_mib: float | None
    seconds: float
    seed: int
    commit: str | None
    environment: dict[str, Any]


def gather(part: str, report: Report, *, seconds: float, seed: int) -> list[Row]:
    """The rows of a part, a kind of input each, in the order in which they were first tried."""
    kinds: dict[str, list[Trial]] = {}
    for trial in report.trials:
        kinds.setdefault(trial.subject, []).append(trial)
    return [
        Row(
            part=part,
            subject=subject,
            tried=len(trials),
            outcomes=dict(Counter(trial.outcome for trial in trials)),
            faults=tuple(trial.fault for trial in trials if trial.fault),
            peak_mib=round(report.peak_mib, 1) or None,
            seconds=round(seconds, 1),
            seed=seed,
            **provenance(),
        )
        for subject, trials in kinds.items()
    ]


def read(path: Path) -> list[Row]:
    """The rows in a file."""
    stored = json.loads(path.read_text(encoding="utf-8"))
    return [Row(**{**values, "faults": tuple(values["faults"])}) for values in stored]


def keep(path: Path, rows: Iterable[Row]) -> None:
    """Writes rows into a file, in place of those of the same parts; the others stay."""
    rows = list(rows)
    parts = {row.part for row in rows}
    others = [row for row in read(path) if row.part not in parts] if path.exists() else []
    write_json(path, [dataclasses.asdict(row) for row in (*others, *rows)])
