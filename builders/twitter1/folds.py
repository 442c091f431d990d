"""Seeded folds of Twitter I's images, of about equal composition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from sentiflow.builders.writing.errors import DatasetError

FOLDS = 5
SEED = 0


def grouped_folds(strata: Sequence[tuple[str, int]], groups: np.ndarray) -> list[int]:
    """Seeded folds of about equal size and composition; files of one group are in one fold.

    Args:
        strata: label and agreement of every image. When no stratum fills every fold, labels alone,
            then nothing counts.
        groups: group of every image.

    Returns:
        fold of every image, 0 to 4.
    """
    if len(np.unique(groups)) < FOLDS:
        raise DatasetError(
            f"At least {FOLDS} different images are needed for {FOLDS} folds."
            f" Received: {len(np.unique(groups))}."
        )
    classes = _fold_classes(strata)
    splitter = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=SEED)
    folds = [0] * len(groups)
    for fold, (_, members) in enumerate(splitter.split(classes, classes, groups)):
        for i in members:
            folds[i] = fold
    return folds


def _fold_classes(strata: Sequence[tuple[str, int]]) -> list[str]:
    """What the folds are balanced by: the finest classes of which every fold gets an image."""
    finest = [f"{label} {agreement}" for label, agreement in strata]
    labels = [label for label, _ in strata]
    for classes in (finest, labels):
        if min(Counter(classes).values()) >= FOLDS:
            return classes
    return [""] * len(strata)
