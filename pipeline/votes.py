"""Twitter I: images are chosen by how many annotators agree, and held out by list or fold."""

from __future__ import annotations

import numpy as np

from .records import Records
from .settings import InputError, Settings, StreamSettings

SPLITS = ("train", "validation", "all")
# Columns of the feature `validation`.
AGREEMENT_LEVELS = (5, 4, 3)


def select(
    index: Records, split: str, settings: Settings | StreamSettings, *, dataset: str
) -> Records:
    """The images of one of `SPLITS` at the settings' agreement level.

    Raises:
        InputError: the dataset was built without the list of that level.
    """
    level = settings.agreement
    agreement = index.extra["agreement"][:, 0]
    if level < agreement.min():
        rule = f"{dataset} was built without the list of agreement {level}"
        raise InputError(f"{rule}; rebuild it with it.")
    records = index.take(agreement >= level)
    if split == "all":
        return records
    if settings.fold is None:
        held_out = records.extra["validation"][:, AGREEMENT_LEVELS.index(level)] == 1
    else:
        held_out = records.extra["fold"][:, 0] == settings.fold
    return records.take(held_out if split == "validation" else np.logical_not(held_out))
