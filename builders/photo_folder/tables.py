"""Tables of images in the forms that people and programs write them in."""

from __future__ import annotations

import csv
import itertools
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sentiflow.builders.reading.folders import is_picture
from sentiflow.builders.reading.sources import first_names, text_lines
from sentiflow.builders.writing.errors import DatasetError

_DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
# Words of a header, in small letters and without blanks and underscores; the first one counts.
_WORDS = {
    "path": [
        "path",
        "filepath",
        "imagepath",
        "imgpath",
        "file",
        "filename",
        "imagefile",
        "image",
        "images",
        "img",
        "imagename",
        "imgname",
        "imageid",
        "imgid",
        "picture",
        "photo",
        "id",
        "name",
    ],
    "label": [
        "label",
        "labels",
        "class",
        "classname",
        "category",
        "emotion",
        "sentiment",
        "target",
        "breed",
        "tag",
        "classid",
    ],
    "split": ["split", "subset", "set", "partition", "usage"],
}
_SAMPLE = 100  # lines by which the form of a table is recognised
_SEPARATOR = re.compile(r"[,;\t|]")
_SINGLE_QUOTED = re.compile(r"(?:^|[,;\t|])\s*'[^']*'\s*(?:$|[,;\t|])")

Row = tuple[int, list[str]]  # number of a line, from 1, and its cells


class Form(NamedTuple):
    """How a table is written."""

    delimiter: str
    quote: str
    columns: dict[str, int]  # numbers, from 0, of path, label and, if there is one, split
    width: int  # cells of a line, at most
    agreeing: int  # of the first lines, those with as many cells as most, of two or more
    header: list[str]  # cells of the first line if they are names of columns, else none

    def values(self, cells: Sequence[str]) -> dict[str, str]:
        """The cells of a line by what they hold; empty where the line is too short."""
        return {
            meaning: cells[number] if number < len(cells) else ""
            for meaning, number in self.columns.items()
        }


def find_form(path: Path) -> Form:
    """Recognises by its first lines how a table is written.

    Raises:
        DatasetError: it cannot be read, or is not UTF-8.
    """
    lines = list(itertools.islice(filter(str.strip, _lines(path)), _SAMPLE))
    double = any('"' in line for line in lines)
    quote = "'" if not double and any(map(_SINGLE_QUOTED.search, lines)) else '"'
    usual = "\t" if path.suffix.lower() == ".tsv" else ","
    return max(
        (_form(lines, delimiter, quote) for delimiter in {usual: "", **_DELIMITERS}),
        key=lambda form: (bool(form.header), form.agreeing, form.width),
    )


def _form(lines: Sequence[str], delimiter: str, quote: str) -> Form:
    """How the table is written if that is what stands between cells."""
    try:
        rows = [cells for _, cells in _parse(lines, delimiter, quote, strict=False)]
    except csv.Error:
        rows = []
    widths = Counter(len(cells) for cells in rows if len(cells) > 1)
    width, agreeing = next(iter(widths.most_common(1)), (2, 0))
    if rows and (columns := _find_columns(rows[0])):
        return Form(delimiter, quote, columns, len(rows[0]), agreeing, rows[0])
    columns = dict(zip(_WORDS, range(width), strict=False))
    return Form(delimiter, quote, columns, width, agreeing, [])


def _find_columns(cells: Sequence[str]) -> dict[str, int]:
    """Numbers of the columns by what they hold, if the cells are names of columns; else none.

    Beside a first column of paths, the only other one may have any name: it holds labels.
    """
    words = [re.sub(r"[\W_]+", "", cell.lower()) for cell in cells]
    first = {meaning: _first(words, known) for meaning, known in _WORDS.items()}
    columns = {meaning: number for meaning, number in first.items() if number is not None}
    others = [number for number in range(len(words)) if number not in columns.values()]
    if columns.get("path") == 0 and "label" not in columns and len(others) == 1:
        columns["label"] = others[0]
    named = {"path", "label"} <= columns.keys() and not any(map(is_picture, cells))
    return columns if named else {}


def _first(words: Sequence[str], known: Iterable[str]) -> int | None:
    return next((words.index(word) for word in known if word in words), None)


def read_rows(path: Path, form: Form) -> Iterator[Row]:
    """The lines of a table but for header, blank lines and comments.

    Cells have no outer blanks; empty ones at the end of a line are left out.

    Raises:
        DatasetError: it cannot be read, is not UTF-8, or is no such table.
    """
    rows = _parse(_lines(path), form.delimiter, form.quote, strict=True)
    try:
        yield from itertools.islice(rows, bool(form.header), None)
    except csv.Error as error:
        raise DatasetError(
            f"{path}: the list is not a table of cells between {_DELIMITERS[form.delimiter]}"
            f" ({error})."
        ) from None


def _parse(lines: Iterable[str], delimiter: str, quote: str, *, strict: bool) -> Iterator[Row]:
    reader = csv.reader(
        lines, delimiter=delimiter, quotechar=quote, skipinitialspace=True, strict=strict
    )
    number = 1
    try:
        for row in reader:
            if cells := _trimmed(row):
                yield number, cells
            number = reader.line_num + 1
    except csv.Error as error:
        raise csv.Error(f"line {number}: {error}") from None


def _trimmed(row: Sequence[str]) -> list[str]:
    cells = [cell.strip() for cell in row]
    while cells and not cells[-1]:
        del cells[-1]
    return cells


def _lines(path: Path) -> Iterator[str]:
    """Lines with their ends; a comment is a blank line, so that the others keep their numbers."""
    return ("\n" if _is_comment(line) else line for line in text_lines(path))


def _is_comment(line: str) -> bool:
    """Whether a line begins with `#`, but not with the name of a picture that does."""
    text = line.lstrip()
    return text.startswith("#") and not is_picture(_SEPARATOR.split(text, maxsplit=1)[0].strip())


def describe(form: Form) -> str:
    """How a table was read, for the terminal."""
    if not form.header:
        return f"cells between {_DELIMITERS[form.delimiter]}, no header: {', '.join(form.columns)}"
    used = [f"{meaning} in {form.header[number]!r}" for meaning, number in form.columns.items()]
    unused = [cell for i, cell in enumerate(form.header) if cell and i not in form.columns.values()]
    ignored = f"; columns left out: {first_names(unused)}" if unused else ""
    return f"cells between {_DELIMITERS[form.delimiter]}, {', '.join(used)}{ignored}"
