"""What commands wrote, so that two folders can be compared: all but clocks."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

NAMED = 3  # files that a fault names
# These begin the names of what a clock says, and of where in memory an object lay.
TIMES = ("seconds", "images_per_second", "waiting_share", "shared_object_id")


def snapshot(folder: Path) -> dict[str, str]:
    """A digest of every file below a folder, by relative path; what clocks said is left out."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): digest(path) for path in files}


def digest(path: Path) -> str:
    """Of a file's content."""
    data = path.read_bytes()
    read = READERS.get(path.name) or READERS.get(path.suffix)
    return hashlib.sha256(read(data) if read else data).hexdigest()


def differences(got: Mapping[str, str], expected: Mapping[str, str]) -> str:
    """Files that are missing, too many, or other ones, some by name; "" if all is the same."""
    kinds = {
        "missing": expected.keys() - got.keys(),
        "left over": got.keys() - expected.keys(),
        "different": {name for name in got.keys() & expected if got[name] != expected[name]},
    }
    return "; ".join(f"{kind}: {_some(sorted(names))}" for kind, names in kinds.items() if names)


def _some(names: Sequence[str]) -> str:
    unnamed = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {unnamed} more" if unnamed > 0 else "")


def _json(data: bytes) -> bytes:
    return json.dumps(_untimed(json.loads(data))).encode()


def _untimed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _untimed(item) for key, item in value.items() if not key.startswith(TIMES)}
    return [_untimed(item) for item in value] if isinstance(value, list) else value


def _table(data: bytes) -> bytes:
    return json.dumps(_untimed(list(csv.DictReader(io.StringIO(data.decode()))))).encode()


def _network(data: bytes) -> bytes:
    """Configuration and weights of a `.keras`, without its date."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = [_json(archive.read("config.json"))]
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights) as file:
        file.visititems(lambda name, item: parts.append(_array(name, item)))
    return b"".join(parts)


def _array(name: str, item: h5py.Group | h5py.Dataset) -> bytes:
    return name.encode() + (item[()].tobytes() if isinstance(item, h5py.Dataset) else b"")


def _state(data: bytes) -> bytes:
    with np.load(io.BytesIO(data)) as saved:
        arrays = {name: saved[name].tobytes() for name in sorted(saved.files)}
        history = _json(str(saved["history"]).encode())
    return b"".join((arrays | {"history": history}).values())


def _present(data: bytes) -> bytes:
    """Of a page that shows clocks, no more than that it is whole."""
    return data[-8:].strip()


READERS: dict[str, Callable[[bytes], bytes]] = {
    ".json": _json,
    ".npz": _state,
    ".keras": _network,
    "history.csv": _table,
    "report.html": _present,
}
