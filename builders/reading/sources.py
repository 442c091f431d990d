"""What the original archives hold.

Entries and bad entries, list files, and files with the same bytes.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from sentiflow.photo import check_file

from ..writing import parallel
from ..writing.errors import DatasetError


class Entry(NamedTuple):
    """One image of a dataset, before its file is read."""

    filename: str  # as the archive's lists have it, relative to the image folder
    path: Path
    label: str
    features: dict[str, Any] = {}  # noqa: RUF012  # never changed in place
    maps: tuple[Path, ...] = ()  # files that belong to the image and are stored as they are


class Bad(NamedTuple):
    """One file or line that cannot be used."""

    filename: str
    reason: str


@dataclasses.dataclass
class Source:
    """A dataset as it lies in `manual_dir`."""

    splits: dict[str, list[Entry]]
    bad: list[Bad]
    facts: dict[str, Any]  # for the dataset's metadata
    notes: list[str]  # lines for the terminal


def read_text(path: Path) -> str:
    """A list file's text, without a byte order mark.

    Raises:
        DatasetError: the file cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DatasetError(f"{path}: the list cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise DatasetError(f"{path}: the list is not UTF-8 text. Save it as UTF-8.") from None


def read_lines(path: Path) -> list[str]:
    """Lines of a list file: line ends, outer blanks and blank lines are taken away.

    Raises:
        DatasetError: the file cannot be read, or is not UTF-8.
    """
    text = read_text(path)
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    stripped = (line.strip(" \t") for line in lines)
    return [line for line in stripped if line]


def inside(name: str) -> str | None:
    """The name in its plain form, e.g. `a/b.jpg` for `./a//b.jpg`.

    None when it leads out of the image folder.
    """
    path = PurePosixPath(name)
    return None if path.is_absolute() or ".." in path.parts or not path.parts else str(path)


def same_content(paths: Sequence[Path]) -> list[int]:
    """Tells files with the same bytes.

    Args:
        paths: files; one that cannot be read has no equal.

    Returns:
        For each file, the position of the first file with the same bytes.
    """
    by_size: dict[int, list[int]] = defaultdict(list)
    for i, path in enumerate(paths):
        by_size[_size(path)].append(i)
    candidates = [i for size, group in by_size.items() if size and len(group) > 1 for i in group]
    digests = parallel.ordered_map(_digest, (paths[i] for i in candidates))
    first: dict[str, int] = {}
    groups = list(range(len(paths)))
    for i, digest in zip(candidates, digests, strict=True):
        if digest:
            groups[i] = first.setdefault(digest, i)
    return groups


def repeats(groups: Iterable[int]) -> list[list[int]]:
    """Positions of the files in every group of two or more."""
    members: dict[int, list[int]] = defaultdict(list)
    for i, group in enumerate(groups):
        members[group].append(i)
    return [positions for positions in members.values() if len(positions) > 1]


def _size(path: Path) -> int:
    try:
        return check_file(path)
    except (OSError, ValueError):
        return 0


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None


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
