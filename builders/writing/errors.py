"""Errors that say what to do, and end a command in one line."""

from __future__ import annotations

import functools
import sys
from types import TracebackType

from sentiflow.terminal import echo


class DatasetError(ValueError):
    """The data or the settings do not allow a dataset to be built; the message says what to do."""


@functools.cache
def report_errors_in_one_line() -> None:
    """Makes a DatasetError that nobody catches end the process with its message and exit status 2.

    `tfds build` belongs to TFDS and would print a traceback. Every other exception goes the usual
    way.
    """
    usual = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, DatasetError):
            return usual(kind, error, trace)
        # The message about bad files has a line for each.
        echo(*f"Error: {error}".split("\n"), err=True)
        raise SystemExit(2)

    sys.excepthook = hook
