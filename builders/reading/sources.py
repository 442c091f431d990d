"""What the original archives hold.

Entries and bad entries, list files, and files with the same bytes.
"""

from __future__ import annotations

import codecs
import dataclasses
import hashlib
import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from sentiflow.photo import check_file

from ..writing import parallel
from ..writing.errors import DatasetError
from .entries import Entries, Entry

_SAMPLE = 4096  # bytes
_MOST_LISTED = 10  # names in a line for the terminal


class Bad(NamedTuple):
    """One file or line that cannot be used."""

    filename: str
    reason: str
    location: str = ""  # in a list, e.g. list.csv line 3, column 1
    near: str = ""  # a file of nearly that name

    @property
    def explanation(self) -> str:
        """The reason, with what may have been meant, and the location."""
        near = f"; near is {self.near}" if self.near else ""
        location = f", in {self.location}" if self.location else ""
        return f"{self.reason}{near}{location}"


@dataclasses.dataclass
class Source:
    """A dataset as it lies in `manual_dir`."""

    splits: dict[str, Entries]
    bad: list[Bad]
    facts: dict[str, Any]  # for the dataset's metadata
    notes: list[str]  # lines for the terminal
    # Files that are not read, by suffix.
    ignored: Counter[str] = dataclasses.field(default_factory=Counter)


def text_lines(path: Path) -> Iterator[str]:
    """Lines of a list file with their ends, one after the other, without a byte order mark.

    Raises:
        DatasetError: the file cannot be read, or is not UTF-8.
    """
    number = 0
    try:
        with path.open("rb") as file:
            for number, line in enumerate(_split_lines(file), 1):
                yield line.removeprefix(codecs.BOM_UTF8 if number == 1 else b"").decode()
    except OSError as error:
        raise DatasetError(f"{path}: the list cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise DatasetError(
            f"{path}: the list is not UTF-8 text (line {number}). Save it as UTF-8."
        ) from None


def _split_lines(file: BinaryIO) -> Iterator[bytes]:
    """Lines that end with line feed, carriage return, or both."""
    for line in file:
        yield from line.splitlines(keepends=True)


class Line(NamedTuple):
    """A line of a list file, without line end and outer blanks, and where it stands."""

    text: str
    location: str  # e.g. list.txt line 3


def read_lines(path: Path) -> list[Line]:
    """Lines of a list file that are not blank.

    Raises:
        DatasetError: the file cannot be read, or is not UTF-8.
    """
    stripped = (line.strip(" \t\r\n") for line in text_lines(path))
    return [
        Line(text, f"{path.name} line {number}") for number, text in enumerate(stripped, 1) if text
    ]


def inside(name: str) -> str | None:
    """The name in its plain form, e.g. `a/b.jpg` for `./a//b.jpg`.

    None when it leads out of the image folder.
    """
    path = PurePosixPath(name)
    return None if path.is_absolute() or ".." in path.parts or not path.parts else str(path)


def same_content(entries: Sequence[Entry]) -> np.ndarray:
    """Tells files with the same bytes.

    Files of one size are compared by 4 KiB of their middle first, so that little is read where all
    are different.

    Args:
        entries: of the files; one that cannot be read has no equal.

    Returns:
        For each file, the position of the first file with the same bytes, int64 [n].
    """
    groups = np.arange(len(entries))
    sizes = np.fromiter((_size(entry.path) for entry in entries), np.int64, len(entries))
    suspects = np.flatnonzero(_is_repeated(sizes) & (sizes > 0))
    samples = np.zeros(len(suspects), np.uint64)
    read = parallel.ordered_map(_sample, (entries[i].path for i in suspects.tolist()))
    for number, sample in enumerate(read):
        samples[number] = sample
    suspects = suspects[_is_repeated(samples) & (samples > 0)]
    digests = parallel.ordered_map(_digest, (entries[i].path for i in suspects.tolist()))
    first: dict[bytes, int] = {}
    for i, digest in zip(suspects.tolist(), digests, strict=True):
        if digest:
            groups[i] = first.setdefault(digest, i)
    return groups


def repeats(groups: np.ndarray) -> list[list[int]]:
    """Positions of the files in every group of two or more."""
    members: dict[int, list[int]] = defaultdict(list)
    for i in np.flatnonzero(_is_repeated(groups)).tolist():
        members[int(groups[i])].append(i)
    return list(members.values())


def _is_repeated(numbers: np.ndarray) -> np.ndarray:
    """Whether each number is there more than once, bool [n]."""
    _, position, count = np.unique(numbers, return_inverse=True, return_counts=True)
    return count[position] > 1


def _size(path: Path) -> int:
    try:
        return check_file(path)
    except (OSError, ValueError):
        return 0


def _sample(path: Path) -> int:
    """A hash of a file's size and middle; 0 where it cannot be read."""
    try:
        with path.open("rb", buffering=0) as file:
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, (size - _SAMPLE) // 2))
            data = file.read(_SAMPLE)
    except OSError:
        return 0
    digest = hashlib.sha256(size.to_bytes(8, "little") + data).digest()
    return int.from_bytes(digest[:8], "little") or 1


def _digest(path: Path) -> bytes | None:
    try:
        return hashlib.sha256(path.read_bytes()).digest()
    except OSError:
        return None


def first_names(names: Sequence[str]) -> str:
    """The names, or the first ones and how many more there are."""
    more = len(names) - _MOST_LISTED
    return ", ".join([*names[:_MOST_LISTED], *([f"{more} more"] if more > 0 else [])])


def find(
    manual_dir: Path, folders: Sequence[str], recognise: Callable[[Path], Any], *, looked_for: str
) -> Any:
    """What `recognise` says of the first folder under `manual_dir` that it knows.

    Raises:
        DatasetError: it knows none; the message says what was looked for, where, and where to get
            it.
    """
    candidates = [manual_dir / folder for folder in folders]
    for candidate in candidates:
        if dataset := recognise(candidate):
            return dataset
    searched = ", ".join(str(candidate) for candidate in candidates)
    raise DatasetError(f"No dataset in {manual_dir}. Looked in {searched} for {looked_for}")
