"""The one writer of Markdown tables."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def pipe_table(headings: Sequence[str], lines: Iterable[Sequence[str]], *, texts: int = 1) -> str:
    """A table of lines of cells.

    Args:
        headings: of the columns.
        lines: a cell for each heading.
        texts: number of first columns that hold text, to the left; the others hold numbers, to the
            right.
    """
    ruler = ["---"] * texts + ["---:"] * (len(headings) - texts)
    return "\n".join(_line(cells) for cells in (headings, ruler, *lines))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
