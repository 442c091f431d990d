"""Seeded splits, files with the same bytes in them, and classes without a training image."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from sklearn.model_selection import train_test_split

from ..writing.errors import DatasetError
from .entries import Entries, Entry, chain
from .sources import Bad, Source, first_names, repeats, same_content

SPLITS = {  # by name of a folder or in a list, in small letters
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}
SEED = 0  # of the stratified split
_SMALLEST_CLASS = 20  # different images, so that 5 % of them is one
_MOST_NOTES = 50  # lines on the terminal


def stratified(entries: Entries) -> dict[str, Entries]:
    """Splits 80/15/5, each class alike.

    Files with the same bytes stay together, under the label of the first.
    """
    groups = same_content(entries)
    firsts = np.unique(groups)
    parts = _draw(firsts, *entries[firsts].labels)
    return {split: entries[np.isin(groups, part)] for split, part in parts.items()}


def _draw(groups: np.ndarray, labels: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Splits groups of files with the same bytes, given with the number of each one's label."""
    _check_smallest_class(labels, names)
    options: dict[str, Any] = {"random_state": SEED, "shuffle": True}
    train, held_out, _, held_out_labels = train_test_split(
        groups, labels, train_size=0.8, stratify=labels, **options
    )
    validation, test = train_test_split(
        held_out, test_size=0.25, stratify=held_out_labels, **options
    )
    return {"train": train, "validation": validation, "test": test}


def _check_smallest_class(labels: np.ndarray, names: Sequence[str]) -> None:
    counts = zip(names, np.bincount(labels, minlength=len(names)).tolist(), strict=True)
    rarest, count = min(counts, key=lambda item: item[1], default=("images", 0))
    if count < _SMALLEST_CLASS:
        raise DatasetError(
            f"A stratified 80/15/5 split needs {_SMALLEST_CLASS} different images of every class."
            f" Received: {count} of {rarest}."
            " Add images, or say which are for training: train, val and test folders, or a column."
        )


def _copies(source: Source) -> list[list[tuple[str, Entry]]]:
    """Groups of files with the same bytes, each file with its split."""
    files = chain(source.splits.values())
    splits = list(source.splits)
    ends = np.cumsum([len(source.splits[split]) for split in splits])
    return [
        [(splits[int(np.searchsorted(ends, i, side="right"))], files[i]) for i in group]
        for group in repeats(same_content(files))
    ]


def report_copies(source: Source) -> list[list[tuple[str, Entry]]]:
    """Counts and prints files with the same bytes, those with different labels first.

    Returns:
        The groups of such files, each file with its split.
    """
    groups = _copies(source)
    straddling = [group for group in groups if len({split for split, _ in group}) > 1]
    conflicts = [group for group in groups if _labels(group) > 1]
    source.facts |= {
        "duplicate_groups": len(groups),
        "duplicate_groups_across_splits": len(straddling),
        "conflicting_duplicates": [[entry.filename for _, entry in group] for group in conflicts],
    }
    lines = [f"Same bytes, CONFLICTING labels: {_listing(group)}." for group in conflicts]
    lines += [f"Same bytes: {_listing(group)}." for group in groups if _labels(group) == 1]
    source.notes += lines[:_MOST_NOTES]
    if len(lines) > _MOST_NOTES:
        source.notes.append(f"Same bytes: {len(lines) - _MOST_NOTES} more groups of files.")
    return groups


def refuse_copies(source: Source) -> None:
    """As `report_copies`.

    Copies in a split before the last that has one, train first and test last, are bad.
    """
    dropped: dict[str, set[str]] = {}
    for group in report_copies(source):
        last = group[-1]
        for split, entry in group:
            if split != last[0]:
                source.bad.append(
                    Bad(entry.filename, f"same bytes as {last[1].filename} (skip keeps the latter)")
                )
                dropped.setdefault(split, set()).add(entry.filename)
    for split, names in dropped.items():
        entries = source.splits[split]
        kept = [name not in names for name in entries.filenames]
        source.splits[split] = entries[np.array(kept, bool)]


def report_untrained(source: Source, labels: Sequence[str]) -> None:
    """Prints which classes have no training image."""
    trained = source.splits["train"].labels[1] if "train" in source.splits else []
    absent = [label for label in labels if label not in trained]
    if absent:
        counts = f"{len(absent)} of {len(labels)} classes"
        source.notes.append(f"No training image of {counts}: {first_names(absent)}.")


def _labels(group: Iterable[tuple[str, Entry]]) -> int:
    return len({entry.label for _, entry in group})


def _listing(group: Iterable[tuple[str, Entry]]) -> str:
    return ", ".join(f"{entry.filename} ({split})" for split, entry in group)
