"""Images in class folders."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path

from sentiflow.photo import suffixes
from sentiflow.terminal import printable

from ..writing.errors import DatasetError
from .entries import Entries, Entry, chain
from .sources import Bad, Source, first_names
from .splits import SPLITS

_REMEDY = "; convert pictures among them to JPEG or PNG, or give them the suffix of their format"


def is_picture(name: str) -> bool:
    """Whether a file of that name is named like an image."""
    return os.path.splitext(name)[1].lower() in suffixes()


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, by name, without hidden ones."""
    return [
        path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")
    ]


def split_folders(root: Path) -> list[tuple[str, Path]]:
    """The folders named like splits, in letters of any case, each with its split; train first."""
    named = [(SPLITS[path.name.lower()], path) for path in subfolders(root) if _is_split(path)]
    order = list(dict.fromkeys(SPLITS.values()))
    return sorted(named, key=lambda item: order.index(item[0]))


def _is_split(path: Path) -> bool:
    return path.name.lower() in SPLITS


def label_of(name: str) -> str:
    """The class that a folder or a list names: valid text on one line, in composed form (NFC)."""
    return printable(unicodedata.normalize("NFC", name)).strip()


def as_text(name: str) -> str:
    """The name that a record keeps of a file, as text even if a folder's is not."""
    return name if _is_text(name) else printable(name)


def read_split_folders(root: Path, labels: Sequence[str]) -> Source:
    """Reads {split}/{class}/; every class must have a folder for training."""
    source = Source({}, [], {}, [])
    parts: dict[str, list[Entries]] = {}
    for split, folder in split_folders(root):
        entries = class_folders(folder, root, source, labels=labels, required=split == "train")
        parts.setdefault(split, []).append(entries)
    source.splits = {split: chain(several) for split, several in parts.items()}
    _note_strays(root, source)
    if others := [path for path in subfolders(root) if not _is_split(path)]:
        names = first_names([f"{printable(path.name)}/" for path in others])
        source.notes.append(f"Left out: {names}: no split; known are train, val and test.")
    return source


def class_folders(
    folder: Path, root: Path, source: Source, *, labels: Sequence[str], required: bool
) -> Entries:
    """Reads `folder`/{class}/.

    Args:
        folder: what holds the class folders.
        root: file names are relative to it.
        source: its `bad` grows by unknown and empty class folders, and by missing ones if
            `required`; its `notes` and `ignored` by what is left out.
        labels: the classes, by `label_of` their folders.
        required: whether every class must have a folder.

    Returns:
        The images, class by class, by name.

    Raises:
        DatasetError: two folders name one class.
    """
    folders = _by_label(folder)
    _note_strays(folder, source)
    known = {label.casefold(): label for label in labels}
    for name in sorted(folders.keys() - set(labels)):
        near = known.get(name.casefold(), "")
        source.bad.append(Bad(_shown(folders[name], root), "unknown class folder", near=near))

    def entries() -> Iterator[Entry]:
        for label in labels:
            path = folders.get(label, folder / label)
            names = _image_files(path, root, source) if label in folders else []
            if not names and (required or label in folders):
                source.bad.append(Bad(_shown(path, root), "no image in the class folder"))
            inside = path.relative_to(root).as_posix()
            for name in names:
                yield Entry(as_text(f"{inside}/{name}"), path / name, label)

    return Entries.collect(entries())


def _by_label(folder: Path) -> dict[str, Path]:
    folders: dict[str, Path] = {}
    for path in subfolders(folder):
        other = folders.setdefault(label_of(path.name), path)
        if other is not path:
            raise DatasetError(
                f"{folder}: the folders {other.name!a} and {path.name!a} name one class."
                " Rename one of them."
            )
    return folders


def _shown(folder: Path, root: Path) -> str:
    return f"{folder.relative_to(root)}/"


def _image_files(folder: Path, root: Path, source: Source) -> list[str]:
    """Names of the files that are named like images, in order.

    Others are clutter and counted; folders and odd names are bad.
    """
    with os.scandir(folder) as listing:
        kinds = sorted((item.name, _is_folder(item)) for item in listing)
    names = []
    for name, is_folder in kinds:
        if name.startswith("."):
            source.ignored["hidden"] += 1
        elif is_folder:
            reason = "a folder inside a class folder"
            source.bad.append(Bad(_shown(folder / name, root), reason))
        elif not is_picture(name):
            source.ignored[os.path.splitext(name)[1].lower() or "without a suffix"] += 1
        elif not _is_text(name):
            shown = str((folder / name).relative_to(root))
            source.bad.append(Bad(shown, "the file name is not UTF-8"))
        else:
            names.append(name)
    return names


def _is_folder(item: os.DirEntry[str]) -> bool:
    try:
        return item.is_dir()
    except OSError:  # a loop of links
        return False


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def pictures_beside(folder: Path) -> int:
    """How many files named like images lie in a folder itself, hidden ones left out."""
    named = (path for path in folder.iterdir() if is_picture(path.name) and path.name[0] != ".")
    return sum(not path.is_dir() for path in named)


def _note_strays(folder: Path, source: Source) -> None:
    if count := pictures_beside(folder):
        source.notes.append(
            f"Left out: {count} images in {folder} itself; images belong into class folders."
        )


def report_ignored(source: Source) -> None:
    """Counts and prints the files in class folders that are not named like images."""
    if not source.ignored:
        return
    count = source.ignored.total()
    source.facts["ignored_files"] = count
    kinds = first_names([f"{number} {kind}" for kind, number in source.ignored.most_common()])
    remedy = "" if set(source.ignored) == {"hidden"} else _REMEDY
    source.notes.append(f"{count} files ignored: {kinds}{remedy}.")
