"""The forms in which a folder of photographs tells its classes and splits."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from sentiflow.builders.reading.folders import (
    class_folders,
    label_of,
    pictures_beside,
    read_split_folders,
    report_ignored,
    split_folders,
    subfolders,
)
from sentiflow.builders.reading.sources import Bad, Source, first_names
from sentiflow.builders.reading.splits import (
    SEED,
    refuse_copies,
    report_copies,
    report_untrained,
    stratified,
)
from sentiflow.builders.writing.errors import DatasetError
from sentiflow.terminal import printable

from .lists import read_list

LISTS = ("list.csv", "list.tsv", "labels.csv", "labels.tsv")
LOOKED_FOR = (
    f"a list of images ({', '.join(LISTS)}: path,label or path,label,split),"
    " or {train,val,test}/{class}/, or {class}/ (seeded 80/15/5 split), with two classes or more."
)
_TABLES = (".csv", ".tsv")
_MOST_REASONS = 3  # in the message about a list or folders without two classes
_MOST_DIGITS = 18  # of a class that is ordered as a number


def read(manual_dir: Path, split: str) -> tuple[Source, list[str]]:
    """Reads the list or the folders.

    Args:
        manual_dir: the folder of the photographs.
        split: `auto`, or one of `LAYOUTS`.

    Returns:
        The images, and the names of the classes: by number if all are numbers, else by alphabet.

    Raises:
        DatasetError: there is nothing of the kind, the list cannot be used, or there are not two
            classes.
    """
    layout = _find_layout(manual_dir, split)
    source: Source = LAYOUTS[layout][1](manual_dir)
    labels = _sorted({label for entries in source.splits.values() for label in entries.labels[1]})
    if len(labels) < 2:
        raise DatasetError(_too_few_classes(manual_dir, layout, source, labels))
    try:
        _settle_splits(source, labels)
    except DatasetError as error:
        reasons = "; ".join([*_reasons(source.bad), str(error)])
        raise DatasetError(f"{_read_from(manual_dir, layout)}: {reasons}") from None
    report_ignored(source)
    if layout != "list":
        source.notes += [f"Note: {line}." for line in _unread_lists(manual_dir)]
    elif split == "auto":
        _note_folders(manual_dir, source)
    counts = ", ".join(f"{name} {len(entries)}" for name, entries in source.splits.items())
    source.notes.insert(0, f"{manual_dir}: {layout}, {len(labels)} classes: {counts} images.")
    source.facts["layout"] = layout
    return source, labels


def _find_layout(manual_dir: Path, split: str) -> str:
    wanted = tuple(LAYOUTS) if split == "auto" else (split,)
    layout = next((name for name in wanted if LAYOUTS[name][0](manual_dir)), None)
    if layout is None:
        reasons = _unread_lists(manual_dir)
        if pictures := pictures_beside(manual_dir):
            reasons.append(f"{pictures} images lie in no folder of a class")
        raise DatasetError(
            f"No dataset in {'; '.join([str(manual_dir), *reasons])}."
            f" Looked for {LOOKED_FOR} Wanted: {', '.join(wanted)}."
        )
    return layout


def _unread_lists(root: Path) -> list[str]:
    """Says which tables have another name than a list of images."""
    tables = sorted(path.name for path in root.iterdir() if path.suffix.lower() in _TABLES)
    unread = [name for name in tables if name.lower() not in LISTS]
    names = first_names(unread)
    return [f"{names} not read: a list of images is called {LISTS[0]}"] if unread else []


def _too_few_classes(root: Path, layout: str, source: Source, labels: Sequence[str]) -> str:
    """Why there are not two classes, the most frequent reasons first, in one line."""
    reasons = _reasons(source.bad)
    if layout != "list":
        reasons = [*_deeper(root, layout), *_unread_lists(root), *reasons]
    rule = f"two classes or more are needed. Received: {', '.join(labels) or 'none'}."
    return f"{_read_from(root, layout)}: {'; '.join([*reasons, rule])}"


def _read_from(root: Path, layout: str) -> Path:
    """The list that was read, or the folder."""
    return _lists(root)[0] if layout == "list" else root


def _deeper(root: Path, layout: str) -> list[str]:
    """Says which folder holds a dataset where one of a class was looked for."""
    if layout == "stratified":
        for folder in subfolders(root):
            if _lists(folder) or _training_classes(folder) or len(subfolders(folder)) > 1:
                return [f"the dataset lies one level deeper: give --manual_dir {folder}"]
    return []


def _reasons(bad: Sequence[Bad]) -> list[str]:
    """The most frequent reasons, each with the first file or line that it is of."""
    counts = Counter(one.reason for one in bad)
    first: dict[str, Bad] = {}
    for one in bad:
        first.setdefault(one.reason, one)
    reasons = []
    for reason, count in counts.most_common(_MOST_REASONS):
        alike = f", and {count - 1} more like it" if count > 1 else ""
        reason = printable(f"{first[reason].filename}: {first[reason].explanation}{alike}")
        reasons.append(reason)
    return reasons


def _note_folders(root: Path, source: Source) -> None:
    """Says that a list won over folders from which a dataset could be made, too."""
    folders = [f"{path.name}/" for path in subfolders(root)]
    layout = "folders" if _training_classes(root) else "stratified"
    if layout == "folders" or len(folders) > 1:
        settings = json.dumps({"split": layout})
        source.notes.append(
            f"The list alone decides which images there are; {first_names(folders)} are not"
            f" searched (with --config '{settings}' they are, and the list is not read)."
        )


def _settle_splits(source: Source, labels: Sequence[str]) -> None:
    """Draws splits where none are given; in given ones, copies must not straddle."""
    if "" in source.splits:
        source.splits = stratified(source.splits[""])
        source.facts["seed"] = SEED
        report_copies(source)
    else:
        order = [name for name in ("train", "validation", "test") if source.splits.get(name)]
        source.splits = {name: source.splits[name] for name in order}
        refuse_copies(source)
        report_untrained(source, labels)


def _sorted(names: Iterable[str]) -> list[str]:
    names = sorted(names)
    if all(name.isdecimal() and len(name) <= _MOST_DIGITS for name in names):
        names.sort(key=int)
    return names


def _lists(root: Path) -> list[Path]:
    """The lists in a folder, whatever the case of their names."""
    lists = [path for path in sorted(root.iterdir()) if path.name.lower() in LISTS]
    lists.sort(key=lambda path: LISTS.index(path.name.lower()))
    return [path for path in lists if path.is_file()]


def _training_classes(root: Path) -> list[str]:
    """Classes of split folders; a folder `train` of images alone is a class of that name itself."""
    training = (folder for split, folder in split_folders(root) if split == "train")
    return _class_names(path for folder in training for path in subfolders(folder))


def _class_names(folders: Iterable[Path]) -> list[str]:
    return _sorted({label_of(path.name) for path in folders} - {""})


def _read_split_folders(root: Path) -> Source:
    return read_split_folders(root, _training_classes(root))


def _read_class_folders(root: Path) -> Source:
    source = Source({}, [], {}, [])
    labels = _class_names(subfolders(root))
    source.splits[""] = class_folders(root, root, source, labels=labels, required=True)
    return source


def _read_list(root: Path) -> Source:
    paths = _lists(root)
    if len(paths) > 1:
        raise DatasetError(
            f"Two lists in one folder: {paths[0]} and {paths[1]}. Remove one of them."
        )
    return read_list(paths[0])


# In the order in which `auto` looks for them.
LAYOUTS: dict[str, tuple[Callable[[Path], object], Callable[[Path], Source]]] = {
    "list": (_lists, _read_list),
    "folders": (_training_classes, _read_split_folders),
    "stratified": (subfolders, _read_class_folders),
}
