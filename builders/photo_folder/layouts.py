"""The forms in which a folder of photographs tells its classes and splits."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

from sentiflow.builders.reading.folders import class_folders, subfolders
from sentiflow.builders.reading.sources import Bad, Entry, Source, inside, read_text
from sentiflow.builders.reading.splits import SEED, refuse_copies, report_copies, stratified
from sentiflow.builders.writing.errors import DatasetError

LISTS = ("list.csv", "list.tsv", "labels.csv", "labels.tsv")
LOOKED_FOR = (
    f"a list of images ({', '.join(LISTS)}: path,label or path,label,split),"
    " or {train,val,test}/{class}/, or {class}/ (seeded 80/15/5 split), with two classes or more."
)
_SPLITS = {  # names of folders and in lists
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


class Line(NamedTuple):
    """One image in a list."""

    path: str  # relative to the list's folder
    label: str
    split: str | None  # None if the list has no such column


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
    labels = _sorted({entry.label for entries in source.splits.values() for entry in entries})
    if len(labels) < 2:
        raise DatasetError(
            f"{manual_dir}: two classes or more are needed."
            f" Received: {', '.join(labels) or 'none'}."
        )
    _settle_splits(source)
    counts = ", ".join(f"{name} {len(entries)}" for name, entries in source.splits.items())
    source.notes.insert(0, f"{manual_dir}: {layout}, {len(labels)} classes: {counts} images.")
    source.facts["layout"] = layout
    return source, labels


def _find_layout(manual_dir: Path, split: str) -> str:
    wanted = tuple(LAYOUTS) if split == "auto" else (split,)
    layout = next((name for name in wanted if LAYOUTS[name][0](manual_dir)), None)
    if layout is None:
        raise DatasetError(
            f"No dataset in {manual_dir}. Looked for {LOOKED_FOR} Wanted: {', '.join(wanted)}."
        )
    return layout


def _settle_splits(source: Source) -> None:
    """Draws splits where none are given; in given ones, copies must not straddle."""
    if "" in source.splits:
        source.splits = stratified(source.splits[""])
        source.facts["seed"] = SEED
        report_copies(source)
    else:
        order = [name for name in ("train", "validation", "test") if source.splits.get(name)]
        source.splits = {name: source.splits[name] for name in order}
        refuse_copies(source)


def _sorted(names: Iterable[str]) -> list[str]:
    names = list(names)
    return sorted(names, key=int) if all(name.isdecimal() for name in names) else sorted(names)


def _lists(root: Path) -> list[Path]:
    return [root / name for name in LISTS if (root / name).is_file()]


def _split_folders(root: Path) -> list[Path]:
    """Folders named like splits; a folder `train` of images alone is a class of that name."""
    folders = [path for path in subfolders(root) if path.name in _SPLITS]
    with_classes = any(_SPLITS[path.name] == "train" and subfolders(path) for path in folders)
    return folders if with_classes else []


def _read_split_folders(root: Path) -> Source:
    source = Source({}, [], {}, [])
    folders = _split_folders(root)
    labels = _training_classes(folders)
    for folder in folders:
        split = _SPLITS[folder.name]
        required = split == "train"
        entries = class_folders(folder, root, source, labels=labels, required=required)
        source.splits.setdefault(split, []).extend(entries)
    return source


def _training_classes(folders: Iterable[Path]) -> list[str]:
    training = (folder for folder in folders if _SPLITS[folder.name] == "train")
    return _sorted({path.name for folder in training for path in subfolders(folder)})


def _read_class_folders(root: Path) -> Source:
    source = Source({}, [], {}, [])
    labels = _sorted(path.name for path in subfolders(root))
    source.splits[""] = class_folders(root, root, source, labels=labels, required=True)
    return source


def _read_list(root: Path) -> Source:
    paths = _lists(root)
    if len(paths) > 1:
        raise DatasetError(
            f"Two lists in one folder: {paths[0]} and {paths[1]}. Remove one of them."
        )
    source = Source({}, [], {}, [])
    for name, line in _usable_lines(paths[0], source.bad).items():
        entry = Entry(name, root / name, line.label)
        source.splits.setdefault(_split_of(line), []).append(entry)
    return source


def _usable_lines(path: Path, bad: list[Bad]) -> dict[str, Line]:
    """The first line of every image that all of its lines agree on, by file name.

    What cannot be used is added to `bad`.
    """
    lines: dict[str, Line] = {}
    refused: set[str] = set()
    for line in read_list(path):
        name = inside(line.path)
        reason = _fault(line)
        if name is None or reason:
            bad.append(Bad(line.path, f"{reason or 'leads out of the folder'}, in {path.name}"))
        elif name not in lines:
            lines[name] = line
        elif lines[name][1:] == line[1:]:
            bad.append(Bad(name, f"listed twice in {path.name} (skip keeps it once)"))
        else:
            bad.append(Bad(name, f"listed twice in {path.name} with different labels or splits"))
            refused.add(name)
    return {name: line for name, line in lines.items() if name not in refused}


def read_list(path: Path) -> list[Line]:
    """Lines of a list: comma-separated, or tab-separated if it is named so.

    Blank lines are left out.

    A first line with `path` and `label` among its cells is a header: columns are found by it,
    others are ignored. Without one the columns are path, label and, if any line has it, split.

    Raises:
        DatasetError: the list cannot be read, is not UTF-8, or is no such table.
    """
    rows = _read_rows(path)
    header = [cell.lower() for cell in rows[0]] if rows else []
    if {"path", "label"} <= set(header):
        del rows[0]
    else:
        header = ["path", "label", "split"][: max(map(len, rows), default=0)]
    lines = [dict(zip(header, row, strict=False)) for row in rows]
    absent = "" if "split" in header else None
    return [
        Line(line.get("path", ""), line.get("label", ""), line.get("split", absent))
        for line in lines
    ]


def _read_rows(path: Path) -> list[list[str]]:
    """The cells of every line that is not blank, without outer blanks."""
    delimiter = "\t" if path.suffix == ".tsv" else ","
    text = io.StringIO(read_text(path), newline="")
    try:
        table = list(csv.reader(text, delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise DatasetError(
            f"{path}: the list is not a table with delimiter {delimiter!r} ({error})."
        ) from None
    rows = ([cell.strip() for cell in row] for row in table)
    return [row for row in rows if any(row)]


def _fault(line: Line) -> str | None:
    """Why a line cannot be used, if so."""
    if not line.path or not line.label:
        return "a line without path or label"
    if line.split is not None and line.split.lower() not in _SPLITS:
        return f"unknown split {line.split!r}; known are train, val and test"
    return None


def _split_of(line: Line) -> str:
    return "" if line.split is None else _SPLITS[line.split.lower()]


# In the order in which `auto` looks for them.
LAYOUTS: dict[str, tuple[Callable[[Path], object], Callable[[Path], Source]]] = {
    "list": (_lists, _read_list),
    "folders": (_split_folders, _read_split_folders),
    "stratified": (subfolders, _read_class_folders),
}
