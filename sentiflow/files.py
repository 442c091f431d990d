"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from . import faults

PARTIAL = ".partial."  # what the names of incomplete files begin with


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Has `write` make a file beside `path`, then gives it that name.

    What was there stays if that fails, and nothing else does. A link keeps leading where it does,
    and what is no file, such as /dev/null, is written to.

    Args:
        path: file to write; its folder is made if need be.
        write: is called with a temporary path of the same folder and suffixes.

    Raises:
        OSError: the disk refuses it, whatever library told so; it names `path`.
    """
    try:
        _write(Path(os.path.realpath(path)), write)
    except Exception as error:
        fault = faults.find_cause(error)
        if fault is None:
            raise
        raise faults.at(path, fault) from error


def _write(path: Path, write: Callable[[Path], Any]) -> None:
    if path.exists() and not path.is_file() and not path.is_dir():
        write(path)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # One name for each file: what a killed process left is overwritten by the next attempt.
    temporary = path.with_name(f"{PARTIAL}{path.name}")
    try:
        write(temporary)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


@contextlib.contextmanager
def raced(path: Path) -> Iterator[Path]:
    """A temporary name beside `path` that no other process has; the file gets `path`'s in the end.

    Several processes may write a file of the same bytes at once so: it is whole at any time.

    Raises:
        OSError: the disk refuses the file, whatever library told so; it names `path`.
    """
    temporary = path.with_name(f"{PARTIAL}{uuid.uuid4().hex}.{path.name}")
    try:
        yield temporary
        os.replace(temporary, path)
    except Exception as error:
        fault = faults.find(error)
        if fault is None or fault.filename not in (None, str(temporary)):
            raise
        raise faults.at(path, fault) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()


def is_partial(path: Path) -> bool:
    """Whether a file is one that a killed process left incomplete."""
    return path.name.startswith(PARTIAL)


def write_json(path: Path, value: object) -> None:
    """Writes indented JSON, atomically."""
    write_text(path, json.dumps(value, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a text in UTF-8, atomically."""
    write_atomically(path, lambda target: target.write_text(text, encoding="utf-8"))
