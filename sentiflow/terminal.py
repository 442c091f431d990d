"""Text on its way to a terminal: the names of files and classes in it may hold anything."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.text import Text

# What terminals obey instead of showing it, what turns the direction of writing, line separators,
# and surrogates, which stand for bytes of names that are not UTF-8.
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(name: str) -> str:
    r"""A name as valid text on one line.

    What a terminal would obey is written as `\x1b` or `\u202e`, and so is a byte of a name that is
    not UTF-8, such as `\xe9`. Everything else stays.
    """
    return _UNPRINTABLE.sub(_escape, name)


def echo(*lines: str, err: bool = False) -> None:
    """Prints lines, each `printable`."""
    click.echo("\n".join(map(printable, lines)), err=err)


def literal(name: str) -> Text:
    """A `printable` name for a table of Rich, which takes `[red]` in plain text for a colour."""
    from rich.text import Text  # not above: every command prints, few draw tables

    return Text(printable(name))


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # Python's surrogateescape of the bytes 80 to ff
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
