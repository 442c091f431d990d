"""Files that appear under their name only when they are complete."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

PARTIAL = ".partial."  # what the names of incomplete files begin with


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Has `write` make a file beside `path`, then gives it that name.

    Args:
        path: file to write; its folder is made if need be.
        write: is called with a temporary path of the same folder and suffixes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # One name for each file: what a killed process left is overwritten by the next attempt.
    temporary = path.with_name(f"{PARTIAL}{path.name}")
    write(temporary)
    os.replace(temporary, path)


def is_partial(path: Path) -> bool:
    """Whether a file is one that a killed process left incomplete."""
    return path.name.startswith(PARTIAL)


def write_json(path: Path, value: object) -> None:
    """Writes indented JSON, atomically."""
    write_atomically(path, lambda target: target.write_text(json.dumps(value, indent=2) + "\n"))
