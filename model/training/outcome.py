"""What a finished run came to: the file `metrics.json`."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from sentiflow.files import write_json
from sentiflow.pipeline import InputError

from ..scores.metrics import Figures
from .record import METRICS


@dataclasses.dataclass(frozen=True, kw_only=True)
class Outcome:
    """Summary of a finished run.

    Attributes:
        epochs: that were trained.
        stopped_early: whether they are fewer than were asked for.
        best_epoch: the one with the lowest val_loss, from 1.
        seconds_training: of all epochs; evaluation does not count.
        split: that the finished network was evaluated on.
        figures: of that split; the file has them under the split's name.
    """

    epochs: int
    stopped_early: bool
    best_epoch: int
    seconds_training: float
    split: str
    figures: Figures

    def as_json(self) -> dict[str, Any]:
        """The file's JSON object."""
        values = dataclasses.asdict(self)
        figures = values.pop("figures")
        return values | {values.pop("split"): figures}

    @classmethod
    def read(cls, values: dict[str, Any]) -> Outcome:
        """The outcome that a JSON object makes."""
        names = {field.name for field in dataclasses.fields(cls)}
        ((split, figures),) = ((key, values[key]) for key in values if key not in names)
        summary = {name: value for name, value in values.items() if name != split}
        return cls(**summary, split=split, figures=Figures(**figures))


def write_outcome(folder: Path, outcome: Outcome) -> None:
    """Writes `metrics.json`."""
    write_json(folder / METRICS, outcome.as_json())


def read_outcome(folder: Path) -> Outcome:
    """Reads the `metrics.json` of a finished run.

    Raises:
        InputError: it is damaged.
    """
    try:
        return Outcome.read(json.loads((folder / METRICS).read_text()))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        rule = f"{folder / METRICS} is damaged ({error})"
        raise InputError(f"{rule}; restore it, or train another run.") from error
