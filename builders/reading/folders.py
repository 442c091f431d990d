"""Images in class folders."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sentiflow.photo import suffixes

from .sources import Bad, Entry, Source


def subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, by name, without hidden ones."""
    return [
        path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")
    ]


def class_folders(
    folder: Path, root: Path, source: Source, *, labels: Sequence[str], required: bool
) -> list[Entry]:
    """Reads `folder`/{class}/.

    Args:
        folder: what holds the class folders.
        root: file names are relative to it.
        source: its `bad` grows by unknown and empty class folders, and by missing ones if
            `required`.
        labels: names of the class folders.
        required: whether every class must have a folder.

    Returns:
        The images, class by class, by name.
    """
    folders = {path.name: path for path in subfolders(folder)}
    for name in sorted(folders.keys() - set(labels)):
        source.bad.append(Bad(f"{folders[name].relative_to(root)}/", "unknown class folder"))
    entries = []
    for label in labels:
        files = _image_files(folders[label], root, source) if label in folders else []
        if not files and (required or label in folders):
            source.bad.append(
                Bad(f"{(folder / label).relative_to(root)}/", "no image in the class folder")
            )
        entries += [Entry(path.relative_to(root).as_posix(), path, label) for path in files]
    return entries


def _image_files(folder: Path, root: Path, source: Source) -> list[Path]:
    """Files named like images, in order.

    Others are clutter and counted; folders and odd names are bad.
    """
    files = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not (path.is_dir() or path.suffix.lower() in suffixes()):
            source.facts["ignored_files"] = source.facts.get("ignored_files", 0) + 1
        elif path.is_dir():
            source.bad.append(Bad(f"{path.relative_to(root)}/", "a folder inside a class folder"))
        elif not _is_text(path.name):
            source.bad.append(
                Bad(ascii(path.relative_to(root).as_posix()), "the file name is not UTF-8")
            )
        else:
            files.append(path)
    return files


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
