"""Other loaders' environments and formats: their Pythons, and their own copies of the images.

A copy is made once, outside every clock, in `DATA_DIR/peers`, and made anew when the storage that
it comes from changes.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from sentiflow.pipeline import InputError

from ..contestants.task import Contestant, Task
from .inputs import export_photos
from .modules import run_module
from .storages import plain_source

REPOSITORY = Path(__file__).resolve().parents[2]
ENVIRONMENTS = REPOSITORY / ".peers"  # made by `make peers`
FILES = "files"  # the form that needs no writer: class folders


def find_python(environment: str) -> str | None:
    """The interpreter of an environment of `make peers`; None where it is not installed.

    Without a name, the one that runs this.
    """
    if not environment:
        return sys.executable
    folder = ENVIRONMENTS / environment
    return str(folder / "bin" / "python") if (folder / ".ready").exists() else None


def variables() -> dict[str, str]:
    """The environment of a contestant's process, which finds `bench` whatever Python runs it."""
    paths = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def provide(entry: Contestant, task: Task, python: str) -> str:
    """The folder with the images of a task in the contestant's form; "" without a form.

    It is written if it is not there.

    Raises:
        InputError: it cannot be written.
    """
    if not entry.form:
        return ""
    name = f"{task.title}-{task.split}-{task.storage}-{entry.form}".replace(", ", "-")
    folder = Path(task.data_dir) / "peers" / name.replace(" ", "")
    stamp = _stamp(Path(task.data_dir) / task.dataset / plain_source(task.storage))
    mark = folder / "made_from.json"
    if not mark.exists() or mark.read_text(encoding="utf-8") != stamp:
        try:
            _write(entry.form, task, python, folder)
            mark.write_text(stamp, encoding="utf-8")
        except OSError as error:
            raise InputError(f"cannot write {folder}: {error.strerror}") from error
    return str(folder / "images")


def _stamp(source: Path) -> str:
    """Names, sizes and times of the files below a folder, in which any rebuild shows."""
    stats = [
        (str(path.relative_to(source)), path.stat())
        for path in sorted(source.rglob("*"))
        if path.is_file()
    ]
    return json.dumps([[name, stat.st_size, stat.st_mtime_ns] for name, stat in stats])


def _write(form: str, task: Task, python: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        _remove(old)
    if form == FILES:
        _export(task, folder / "images")
        return
    with tempfile.TemporaryDirectory(prefix="export-", dir=folder) as name:
        export = _export(task, Path(name) / "images")
        run_module(
            "bench.worker.writers",
            *(form, str(export), str(folder / "images")),
            task=f"the writer of {form}",
            python=python,
            variables=variables(),
        )


def _export(task: Task, folder: Path) -> Path:
    origin = {"split": task.split, "data_dir": task.data_dir, "storage": task.storage}
    return export_photos(task.dataset, folder=folder, **origin, **task.choice)


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink()
