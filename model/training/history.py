"""The history of a run: one row an epoch, and the file `history.csv` that holds them."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sentiflow.files import write_atomically
from sentiflow.options import InputError

HISTORY = "history.csv"


@dataclasses.dataclass(frozen=True, kw_only=True)
class EpochRow:
    """What an epoch came to; the fields are the columns of `history.csv`.

    Attributes:
        epoch: number, from 1.
        loss: mean over the epoch's training images, nats.
        accuracy: of the training images, in [0, 1].
        val_loss: mean over the held-out split after the epoch, nats.
        val_accuracy: of the held-out split, in [0, 1].
        learning_rate: of the update that comes next.
        seconds: of training; evaluation does not count.
        images_per_second: training images by these seconds.
        waiting_share: share of these seconds that passed in waiting for input, in [0, 1].
    """

    epoch: int
    loss: float
    accuracy: float
    val_loss: float
    val_accuracy: float
    learning_rate: float
    seconds: float
    images_per_second: float
    waiting_share: float

    @classmethod
    def read(cls, values: dict[str, Any]) -> EpochRow:
        """The row that JSON or CSV values by column make.

        Raises:
            KeyError: a column is missing.
            ValueError: a value is not a number.
        """
        names = [field.name for field in dataclasses.fields(cls)]
        numbers: dict[str, Any] = {name: float(values[name]) for name in names}
        return cls(**(numbers | {"epoch": int(numbers["epoch"])}))


def best_epoch(history: Sequence[EpochRow]) -> int:
    """Number, from 1, of the epoch with the lowest val_loss; the first of equals."""
    return 1 + int(np.argmin([row.val_loss for row in history]))


def should_stop(history: Sequence[EpochRow], patience: int) -> bool:
    """Whether the last `patience` epochs all failed to lower val_loss; never if patience is 0."""
    return 0 < patience <= len(history) - best_epoch(history) if history else False


def write_history(folder: Path, history: Sequence[EpochRow]) -> None:
    """Writes `history.csv`."""

    def write(target: Path) -> None:
        with target.open("w", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(EpochRow)])
            writer.writeheader()
            writer.writerows(map(dataclasses.asdict, history))

    write_atomically(folder / HISTORY, write)


def read_history(folder: Path) -> list[EpochRow]:
    """Reads `history.csv`.

    Raises:
        InputError: it is missing, empty or damaged.
    """
    try:
        with (folder / HISTORY).open(newline="") as file:
            rows = [EpochRow.read(row) for row in csv.DictReader(file)]
    except FileNotFoundError:
        rows = []
    except (ValueError, TypeError, KeyError, csv.Error) as error:
        rule = f"{folder / HISTORY} is damaged ({error})"
        raise InputError(f"{rule}; restore it, or train another run.") from error
    if not rows:
        raise InputError(f"{folder / HISTORY} holds no epoch. Train or resume the run first.")
    return rows
