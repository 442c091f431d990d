"""The files that a list names, in whatever form it names them."""

from __future__ import annotations

import difflib
import itertools
import os
import re
import stat
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .entries import Entry
from .folders import is_picture
from .sources import inside

# Near names are looked for a few times, among so many names of a folder: it takes up to a second.
_SEARCHES = 3
_MOST_COMPARED = 10_000
_DEEPEST = 20  # folders and file in the end of a name
_DIGITS = re.compile(r"\d+")


class ListedFiles:
    """The files in a folder, found by the names that a list gives them.

    Args:
        folder: names are relative to it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._listings: dict[str, dict[str, str]] = {}
        self._searches = _SEARCHES

    def find(self, name: str) -> str | None:
        r"""The name, relative to the folder, of the file that a list calls so.

        If there is none, `\` is read as `/`, the Unicode form does not matter, and the suffix of a
        picture may be lacking where only one would do. None if there is no such file either, or if
        the name leads out of the folder.
        """
        plain = inside(name)
        if plain and self._is_file(plain):
            return plain
        path = ""
        for part in _parts(name):
            name_on_disk = self._listing(path).get(_composed(part))
            if name_on_disk is None:
                return None
            path = os.path.join(path, name_on_disk)
        return path if self._is_file(path) else None

    def near(self, name: str) -> str:
        """A file that may be meant by a name that is not found; empty if there is none.

        That is the end of the name if there is a file called so, else a similar name. Only the
        first few calls search.
        """
        if not self._searches:
            return ""
        self._searches -= 1
        parts = name.replace("\\", "/").split("/")[-_DEEPEST:]
        ends = ("/".join(parts[first:]) for first in range(1, len(parts)))
        return next(filter(None, map(self.find, ends)), None) or self._similar(name)

    def entry(self, name: str, label: str, features: dict[str, Any] | None = None) -> Entry:
        """The entry of a listed image, also if there is no such file."""
        path = self.find(name)
        near = "" if path else self.near(name)
        return Entry(name, self.folder / (path or name), label, features or {}, near=near)

    def _similar(self, name: str) -> str:
        """The name with each part that there is not replaced by what is most like it.

        It ends before a part that nothing is like; empty if none is replaced.
        """
        path, replaced = "", False
        for part in _parts(name):
            listing = self._listing(path)
            exact = listing.get(_composed(part))
            name_on_disk = exact or _most_like(_composed(part), listing.values())
            if not name_on_disk:
                break
            path = os.path.join(path, name_on_disk)
            replaced = replaced or not exact
        return path if replaced else ""

    def _listing(self, path: str) -> dict[str, str]:
        """What lies in a folder, by composed name; pictures also by their name without suffix."""
        if path not in self._listings:
            self._listings[path] = _list_folder(os.path.join(self.folder, path))
        return self._listings[path]

    def _is_file(self, path: str) -> bool:
        """Whether there is something of that name that is no folder."""
        try:
            return not stat.S_ISDIR(os.lstat(os.path.join(self.folder, path)).st_mode)
        except (OSError, ValueError):  # a name with a zero byte, or too long
            return False


def _list_folder(folder: str) -> dict[str, str]:
    try:
        names = sorted(os.listdir(folder))
    except OSError:
        return {}
    stems: dict[str, str] = {}
    ambiguous = set()
    for name in filter(is_picture, names):
        stem = _composed(os.path.splitext(name)[0])
        if stems.setdefault(stem, name) != name:
            ambiguous.add(stem)
    by_stem = {stem: name for stem, name in stems.items() if stem not in ambiguous}
    return by_stem | {_composed(name): name for name in names}


def _most_like(name: str, others: Iterable[str]) -> str:
    """The most similar name; those that differ in digits alone are other pictures."""
    wanted = name.casefold()
    by_form = {
        _composed(other).casefold(): other for other in itertools.islice(others, _MOST_COMPARED)
    }
    forms = [form for form in by_form if form == wanted or _undigited(form) != _undigited(wanted)]
    return next((by_form[form] for form in difflib.get_close_matches(wanted, forms, n=1)), "")


def _undigited(name: str) -> str:
    return _DIGITS.sub("", name)


def _parts(name: str) -> tuple[str, ...]:
    """Folders and file of a name; none if it leads out of the folder."""
    return tuple((inside(name.replace("\\", "/")) or "").split("/"))


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)
