"""Errors that say what to do, and end a command in one line."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

from sentiflow import faults
from sentiflow.terminal import echo


class DatasetError(ValueError):
    """The data or the settings do not allow a dataset to be built; the message says what to do."""


@contextlib.contextmanager
def disk_in_words(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Turns what a disk refuses into an error of ours.

    Args:
        folder: is named where a library does not tell the file.

    Raises:
        DatasetError: the disk refused something.
    """
    try:
        with faults.naming(Path(folder)):
            yield
    except OSError as fault:
        if faults.find(fault) is None:
            raise
        raise DatasetError(faults.line(fault)) from fault


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
