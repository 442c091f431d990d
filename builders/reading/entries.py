"""The images of a dataset before their files are read: by millions, in columns."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, overload

import numpy as np


class Entry(NamedTuple):
    """One image of a dataset, before its file is read."""

    filename: str  # as the archive's lists have it, relative to the image folder
    path: Path
    label: str
    features: Mapping[str, Any] = {}  # further ones, by name
    # By the feature that holds them: files that belong to the image, stored as they are.
    maps: Mapping[str, tuple[Path, ...]] = {}
    near: str = ""  # a file of nearly that name, where there is none of this one


class Entries(Sequence[Entry]):
    """Entries of which each takes its file name and some 20 bytes; as objects they take 1,000.

    Those with features, maps and the like are few, and kept as objects.
    """

    def __init__(self, columns: _Columns, order: np.ndarray) -> None:
        self._columns = columns
        self._order = order

    @classmethod
    def collect(cls, entries: Iterable[Entry]) -> Entries:
        """The same entries; they are taken one after the other."""
        if isinstance(entries, cls):
            return entries
        columns = _Columns(entries)
        return cls(columns, np.arange(len(columns.label)))

    def __len__(self) -> int:
        return len(self._order)

    def __iter__(self) -> Iterator[Entry]:
        return map(self._columns.entry, self._order.tolist())

    @overload
    def __getitem__(self, key: int | np.integer) -> Entry: ...

    @overload
    def __getitem__(self, key: slice | np.ndarray) -> Entries: ...

    def __getitem__(self, key: Any) -> Entry | Entries:
        """One entry, or those that a slice, positions or a mask names."""
        if isinstance(key, int | np.integer):
            return self._columns.entry(int(self._order[key]))
        return Entries(self._columns, self._order[key])

    @property
    def filenames(self) -> Iterator[str]:
        """Of each entry."""
        return map(self._columns.filename, self._order.tolist())

    @property
    def labels(self) -> tuple[np.ndarray, list[str]]:
        """The number of each entry's label, int64 [n], and the labels, sorted, by number."""
        used, numbers = np.unique(self._columns.label[self._order], return_inverse=True)
        names = [self._columns.labels[number] for number in used]
        rank = np.argsort(np.argsort(names))
        return rank[numbers], sorted(names)


class _Columns:
    """Entries in the order in which they came.

    Attributes:
        label: of each, its number, int32 [n].
        labels: by number.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        text, begin = bytearray(), array("q", [0])
        label, folder = array("i"), array("i")
        labels: dict[str, int] = {}
        folders: dict[str, int] = {}
        self._objects: dict[int, Entry] = {}
        for entry in entries:
            if (parent := _folder(entry)) is None:
                self._objects[len(label)] = entry
                parent = ""
            text += entry.filename.encode(errors="surrogatepass")
            begin.append(len(text))
            label.append(labels.setdefault(entry.label, len(labels)))
            folder.append(folders.setdefault(parent, len(folders)))
        self._text = bytes(text)
        self._begin = begin
        self._folder = folder
        self._folders = [Path(parent) for parent in folders]
        self.label = np.frombuffer(label, np.int32)
        self.labels = list(labels)

    def entry(self, number: int) -> Entry:
        if number in self._objects:
            return self._objects[number]
        filename = self.filename(number)
        folder = self._folders[self._folder[number]]
        return Entry(filename, folder / filename, self.labels[self.label[number]])

    def filename(self, number: int) -> str:
        name = self._text[self._begin[number] : self._begin[number + 1]]
        return name.decode(errors="surrogatepass")


def _folder(entry: Entry) -> str | None:
    """The folder that the file name is relative to; None where that is not all there is to it."""
    path, tail = str(entry.path), f"/{entry.filename}"
    if entry.features or entry.maps or entry.near:
        return None
    if path.endswith(tail):
        # Of a file in the root there is no folder but the root.
        return path[: -len(tail)] or "/"
    return "" if path == entry.filename else None


def chain(parts: Iterable[Iterable[Entry]]) -> Entries:
    """The entries of several, one behind the other."""
    parts = list(parts)
    if len(parts) == 1:
        return Entries.collect(parts[0])
    return Entries.collect(itertools.chain(*parts))
