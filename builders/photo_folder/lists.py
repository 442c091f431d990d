"""Lists of images, and why lines of them cannot be used."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple

from sentiflow.builders.reading.entries import Entries, Entry
from sentiflow.builders.reading.folders import as_text, label_of, subfolders
from sentiflow.builders.reading.listed import ListedFiles
from sentiflow.builders.reading.sources import Bad, Source, inside
from sentiflow.builders.reading.splits import SPLITS
from sentiflow.builders.writing.errors import DatasetError

from .tables import Form, describe, find_form, read_rows

_FIRST_LINES = 10  # by which is decided what paths are relative to
_NO_SPLIT = (
    "no split; known are train, val and test, and a column of anything else needs another name in"
    " a header"
)
_SWAPPED = "write path,label, or name the columns in a header"


class Image(NamedTuple):
    """An image of a list, and its split; empty if the list has none."""

    split: str
    entry: Entry


class Fault(NamedTuple):
    """Why a line cannot be used."""

    column: int  # from 0
    reason: str
    near: str = ""  # a file that may be meant


def read_list(path: Path) -> Source:
    """Reads a list; without splits in it, all images are in the one without a name.

    Raises:
        DatasetError: it cannot be read, is not UTF-8, is no table, or is empty.
    """
    form = find_form(path)
    images = _Images(path, form)
    for number, cells in read_rows(path, form):
        images.add(number, cells)
    if not images.lines:
        raise DatasetError(f"{path}: the list is empty; write a line path,label for every image.")
    notes = [f"Read {path}: {images.lines} lines, {describe(form)}."]
    if images.files.folder != path.parent:
        notes.append(f"Its paths are relative to {images.files.folder}.")
    return Source(images.splits(), images.bad, {}, notes)


def _base(path: Path, form: Form) -> Path:
    """What paths are relative to: the list's folder, or the one beside it that alone holds them."""
    rows = itertools.islice(read_rows(path, form), _FIRST_LINES)
    names = [form.values(cells)["path"] for _, cells in rows]
    if any(map(ListedFiles(path.parent).find, names)):
        return path.parent
    beside = subfolders(path.parent)
    holding = [folder for folder in beside if any(map(ListedFiles(folder).find, names))]
    return holding[0] if len(holding) == 1 else path.parent


class _Images:
    """The images of a list, each as all of its lines have it, and the lines that are bad."""

    def __init__(self, path: Path, form: Form) -> None:
        self.files = ListedFiles(_base(path, form))
        self.lines = 0
        self.bad: list[Bad] = []
        self._path = path
        self._form = form
        self._images: dict[str, Image] = {}
        self._refused: set[str] = set()
        base = self.files.folder
        self._prefix = "" if base == path.parent else f"{base.name}/"

    def add(self, number: int, cells: Sequence[str]) -> None:
        """Adds a line, by its number in the file."""
        self.lines += 1
        values = self._form.values(cells)
        fault = self._wrong_cells(cells, values)
        if fault is None:
            file = self.files.find(values["path"])
            fault = self._repeat(file, values) if file else self._no_file(values)
        if fault is not None:
            location = f"{self._path.name} line {number}, column {fault.column + 1}"
            cell = cells[fault.column] if fault.column < len(cells) else ""
            received = f" ({cell!r})" if cell not in ("", values["path"]) else ""
            self.bad.append(Bad(values["path"], fault.reason, location + received, fault.near))

    def splits(self) -> dict[str, Entries]:
        """The images that no line contradicts, in the order of their first lines."""
        splits: dict[str, list[Entry]] = {}
        for name, image in self._images.items():
            if name not in self._refused:
                splits.setdefault(image.split, []).append(image.entry)
        return {split: Entries.collect(entries) for split, entries in splits.items()}

    def _wrong_cells(self, cells: Sequence[str], values: dict[str, str]) -> Fault | None:
        """What the line alone shows to be wrong."""
        columns = self._form.columns
        for column in ("path", "label"):
            if not values[column]:
                return Fault(columns[column], f"no {column}")
        if len(cells) > self._form.width:
            return Fault(self._form.width, "a cell too many; quote what holds a separator")
        if values.get("split", "train").lower() not in SPLITS:
            return Fault(columns["split"], _NO_SPLIT)
        return None

    def _no_file(self, values: dict[str, str]) -> Fault:
        column, other = (self._form.columns[name] for name in ("path", "label"))
        if self.files.find(values["label"]):
            reason = f"no such file, but column {other + 1} names one; {_SWAPPED}"
            return Fault(column, reason)
        rule = _broken_rule(values["path"]) or "missing"
        return Fault(column, rule, self.files.near(values["path"]))

    def _repeat(self, file: str, values: dict[str, str]) -> Fault | None:
        """Keeps the image of a sound line; says what is wrong if there was one before."""
        name = as_text(f"{self._prefix}{file}")
        split = SPLITS[values["split"].lower()] if "split" in values else ""
        image = Image(split, Entry(name, self.files.folder / file, label_of(values["label"])))
        earlier = self._images.setdefault(name, image)
        if earlier is image:
            return None
        column = self._form.columns["path"]
        if earlier == image:
            return Fault(column, "listed twice (skip keeps it once)")
        self._refused.add(name)
        return Fault(column, "listed twice with different labels or splits")


def _broken_rule(path: str) -> str:
    """Why a path cannot be that of a file in the folder; empty if it can."""
    name = path.replace("\\", "/")
    if PurePosixPath(name).is_absolute() or PureWindowsPath(path).is_absolute():
        return "an absolute path; write it relative to the list"
    if ".." in PurePosixPath(name).parts:
        return "a path with .. in it; write it from the list down"
    return "" if inside(name) else "not the name of a file"
