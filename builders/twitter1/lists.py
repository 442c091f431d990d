"""The lists of Twitter I: one for every level of agreement among five annotators.

Each holds the stricter ones.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sentiflow.builders.reading.entries import Entries, Entry
from sentiflow.builders.reading.listed import ListedFiles
from sentiflow.builders.reading.sources import (
    Bad,
    Source,
    find,
    inside,
    read_lines,
    repeats,
    same_content,
)
from sentiflow.builders.writing.errors import DatasetError

from .folds import grouped_folds

LABELS = {"0": "negative", "1": "positive"}
LEVELS = {5: "five", 4: "four", 3: "three"}  # annotators that agree, at least
LOOKED_FOR = (
    "Agg_AMT_Candidates/ or images/, and beside it or in ground_truth/ the lists"
    " twitter_five_agrees.txt (needed), twitter_four_agrees.txt and twitter_three_agrees.txt"
    " (or five_agree.txt, ...); twitter_dataset/ may hold all."
)
# Of a list's lines, the first ones: Keras' validation_split in the reference system.
VALIDATION_SHARE = 0.2
_FOLDERS = ("", "twitter_dataset", "twitter_dataset/twitter_dataset", "twitter1")
_IMAGE_FOLDERS = ("Agg_AMT_Candidates", "images")
_LIST = re.compile(r"(?:twitter_)?(five|four|three)_agrees?\.txt", re.IGNORECASE)
_LINE = re.compile(r"(.*[^ \t])[ \t]+([^ \t]+)")


class Listed(NamedTuple):
    """One image in one list."""

    label: str
    validation: bool  # among the list's first 20 %


Lists = dict[int, dict[str, Listed]]  # level -> file name -> image


def read(manual_dir: Path, *, homepage: str) -> Source:
    """Finds the lists and reads them.

    Every image gets its exact agreement, its reference validation parts, its fold.

    Args:
        manual_dir: the folder that holds the image folder and the lists, or `twitter_dataset`, or
            the image folder.
        homepage: where to get the data, for the message.
    """
    if manual_dir.name in _IMAGE_FOLDERS and not _recognise(manual_dir):
        manual_dir = manual_dir.parent
    looked_for = f"{LOOKED_FOR} The data: see {homepage}"
    images, paths = find(manual_dir, _FOLDERS, _recognise, looked_for=looked_for)
    source = Source({}, [], {}, [])
    lists = _read_lists(_consecutive(paths, source.notes), source.bad)
    _note_counts(lists, source)
    _drop_contradictions(lists, source.bad)
    entries = _entries(lists, images)
    groups = same_content(entries)
    _note_copies(entries, groups, source)
    folds = grouped_folds([(entry.label, entry.features["agreement"]) for entry in entries], groups)
    splits: dict[str, list[Entry]] = {}
    for entry, fold in zip(entries, folds, strict=True):
        folded = entry._replace(features={**entry.features, "fold": fold})
        splits.setdefault(f"agree{entry.features['agreement']}", []).append(folded)
    source.splits = {split: Entries.collect(members) for split, members in splits.items()}
    return source


def _recognise(root: Path) -> tuple[Path, dict[int, Path]] | None:
    """The image folder and the lists of a dataset that lies in `root`."""
    images = next((root / name for name in _IMAGE_FOLDERS if (root / name).is_dir()), None)
    for folder in (root, root / "ground_truth"):
        if images and folder.is_dir() and (lists := _lists_in(folder)):
            return images, lists
    return None


def _lists_in(folder: Path) -> dict[int, Path]:
    """The list of every level that has one in the folder."""
    levels = {name: level for level, name in LEVELS.items()}
    lists: dict[int, Path] = {}
    for path in sorted(folder.iterdir()):
        if match := _LIST.fullmatch(path.name):
            level = levels[match[1].lower()]
            if level in lists:
                raise DatasetError(
                    f"Two lists for one level: {lists[level]} and {path}. Remove one of them."
                )
            lists[level] = path
    return lists


def _consecutive(paths: dict[int, Path], notes: list[str]) -> dict[int, Path]:
    """The lists that tell exact levels.

    Five-agree, then the next ones as long as none is missing between.
    """
    if 5 not in paths:
        known = ", ".join(str(path) for path in paths.values())
        raise DatasetError(
            "The five-agree list is needed: without it no image's agreement is known."
            f" Found only {known}."
        )
    used = [5]
    while used[-1] - 1 in paths:
        used.append(used[-1] - 1)
    notes += [
        f"Left out: {paths[level].name};"
        " without the four-agree list its exact levels are not known."
        for level in sorted(paths.keys() - set(used))
    ]
    notes += [
        f"No {LEVELS[level]}-agree list: its images are not in the dataset."
        for level in sorted(LEVELS.keys() - paths.keys(), reverse=True)
    ]
    return {level: paths[level] for level in used}


def parse_line(line: str) -> tuple[str, str] | None:
    """File name and label of a line; the name may hold blanks and tabs.

    None when the line has no label.
    """
    match = _LINE.fullmatch(line)
    return (match[1], match[2]) if match else None


def _read_lists(paths: dict[int, Path], bad: list[Bad]) -> Lists:
    """Reads all lists.

    An image with a label that cannot be used in one of them is left out of all.
    """
    refused: set[str] = set()
    lists = {level: read_list(path, bad, refused) for level, path in paths.items()}
    return {
        level: {name: line for name, line in lines.items() if name not in refused}
        for level, lines in lists.items()
    }


def read_list(path: Path, bad: list[Bad], refused: set[str]) -> dict[str, Listed]:
    """Reads one list.

    What cannot be used is added to `bad`, and counts as a line of the list all the same.

    Args:
        path: the list.
        bad: grows by the lines that cannot be used.
        refused: grows by the images without a known label.

    Returns:
        The first line of every image.
    """
    lines = read_lines(path)
    validation = int(VALIDATION_SHARE * len(lines))
    listed: dict[str, Listed] = {}
    for i, (text, location) in enumerate(lines):
        parsed = parse_line(text)
        name = inside(parsed[0]) if parsed else None
        if parsed is None:
            bad.append(Bad(text, "no label", location))
        elif name is None:
            bad.append(Bad(parsed[0], "leads out of the image folder", location))
        elif parsed[1] not in LABELS:
            bad.append(Bad(name, f"unknown label {parsed[1]!r}; known are 0 and 1", location))
            refused.add(name)
        elif name not in listed:
            listed[name] = Listed(LABELS[parsed[1]], i < validation)
        elif listed[name].label == LABELS[parsed[1]]:
            bad.append(Bad(name, "listed twice (skip keeps the first)", location))
        else:
            bad.append(Bad(name, "listed twice with different labels", location))
            refused.add(name)
    return listed


def _drop_contradictions(lists: Lists, bad: list[Bad]) -> None:
    """Takes out images that a wider list lacks or labels otherwise."""
    levels = sorted(lists, reverse=True)
    for strict, wide in itertools.pairwise(levels):
        names = f"{LEVELS[strict]}-agree list", f"{LEVELS[wide]}-agree list"
        for name, line in list(lists[strict].items()):
            other = lists[wide].get(name)
            if other and other.label == line.label:
                continue
            reason = f"labelled otherwise in the {names[1]}" if other else f"not in the {names[1]}"
            bad.append(Bad(name, f"in the {names[0]}, but {reason}"))
            for level in levels:
                lists[level].pop(name, None)


def _entries(lists: Lists, images: Path) -> list[Entry]:
    """All images, each once, in the order of the widest list."""
    files = ListedFiles(images)
    return [
        files.entry(name, line.label, _features(lists, name))
        for name, line in lists[min(lists)].items()
    ]


def _features(lists: Lists, name: str) -> dict[str, Any]:
    in_lists = [level for level in LEVELS if name in lists.get(level, ())]
    validation = [level in in_lists and lists[level][name].validation for level in LEVELS]
    return {"agreement": max(in_lists), "validation": np.array(validation)}


def _note_counts(lists: Lists, source: Source) -> None:
    counts = _label_counts(lists)
    for name, labels in counts.items():
        parts = ", ".join(f"{labels[label]} {label}" for label in reversed(LABELS.values()))
        source.notes.append(f"Twitter I: {name}-agree list: {labels.total()} images ({parts}).")
    source.notes.append(
        "Note: the reference system speaks of 1,269 images, the full three-agree list,"
        " but reads the five-agree list (882)."
        " Choose the agreement when loading; the default is five."
    )
    source.facts["lists"] = {name: dict(labels) for name, labels in counts.items()}


def _label_counts(lists: Lists) -> dict[str, Counter[str]]:
    """Images of every label, by the list's level in words."""
    return {
        LEVELS[level]: Counter(line.label for line in lines.values())
        for level, lines in lists.items()
    }


def _note_copies(entries: list[Entry], groups: np.ndarray, source: Source) -> None:
    """Reports files with the same bytes, those whose labels contradict each other as such."""
    copies = [[entries[i] for i in group] for group in repeats(groups)]
    conflicts = []
    for members in copies:
        if len({entry.label for entry in members}) > 1:
            conflicts.append([entry.filename for entry in members])
            source.notes.append(f"Same bytes, CONFLICTING labels: {_listing(members)}.")
        else:
            source.notes.append(f"Same bytes: {_listing(members)}.")
    source.facts |= {
        "duplicate_groups": len(copies),
        "duplicates": _duplicates(copies),
        "conflicting_duplicates": conflicts,
    }


def _listing(members: Sequence[Entry]) -> str:
    return ", ".join(
        f"{entry.filename} ({entry.label}, {entry.features['agreement']} agree)"
        for entry in members
    )


def _duplicates(copies: Sequence[Sequence[Entry]]) -> dict[str, int]:
    """How many files of every list repeat another one in it, by the list's level in words."""
    pairs: Counter[int] = Counter()
    for members in copies:
        levels = sorted((entry.features["agreement"] for entry in members), reverse=True)
        pairs.update(levels[1:])
    return {name: sum(pairs[k] for k in LEVELS if k >= level) for level, name in LEVELS.items()}
