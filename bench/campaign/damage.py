"""Changed lists, and changed files of a prepared dataset: refused by name, or harmless."""

from __future__ import annotations

import contextlib
import io
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sentiflow import pipeline
from sentiflow.builders.writing.errors import DatasetError
from sentiflow.pipeline import InputError, verify

from . import inputs
from .changes import change
from .inputs import STORAGES
from .mutants import WINDOWS, kind_of, serve
from .rows import Trial
from .strangers import invoke

LISTED = 12  # pictures that the lists name
# What people, spreadsheets and strangers put into lists.
PIECES = ('"', "'", ";", "\t", ",", "\0", "\r", "\n\n", "#", "\ufeff", "\u202e", "\x1b[31m")
PATHS = ("../secret.png", "/etc/passwd", "./0001.jpg", "a/../../b.png", "C:\\a.png", "~/a.png", "")
TIERS = ("none", "memory")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")  # what no terminal should be sent raw


def lists(seed: int, first: int, count: int) -> Iterator[Trial]:
    """Builds folders whose list was changed: of so many lists, from the first on."""
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        inputs.draw(photos, LISTED)
        inputs.picture(np.random.default_rng(0)).save(Path(folder) / "secret.png")
        sound = (photos / "list.csv").read_bytes()
        for number in range(first, first + count):
            rng = np.random.default_rng([seed, number, 1])
            name, text = _change_list(sound, rng)
            (photos / "list.csv").write_bytes(text)
            data_dir = Path(folder) / "data"
            outcome, fault = _build(photos, data_dir)
            shutil.rmtree(data_dir, ignore_errors=True)
            yield Trial("list", outcome, f"number {number}, {name}: {fault}" if fault else "")


def _change_list(text: bytes, rng: np.random.Generator) -> tuple[str, bytes]:
    """A list with other bytes, with a piece that means something, or with another path."""
    kind = rng.integers(3)
    if kind == 0:
        return change(text, rng)
    lines = text.decode().splitlines()
    row = rng.integers(len(lines))
    if kind == 1:
        piece = PIECES[rng.integers(len(PIECES))]
        at = rng.integers(len(lines[row]) + 1)
        lines[row] = lines[row][:at] + piece + lines[row][at:]
        return f"{piece!r} in line {row + 1}", "\n".join(lines).encode()
    path = PATHS[rng.integers(len(PATHS))]
    lines[row] = ",".join([path, *lines[row].split(",")[1:]])
    return f"path {path!r} in line {row + 1}", "\n".join(lines).encode()


def _build(photos: Path, data_dir: Path) -> tuple[str, str]:
    """Builds a folder; returns the outcome, and what was not as promised."""
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said):
            data = inputs.build("raw", photos, data_dir, on_bad_image="skip")
    except DatasetError as error:
        return "refused", _raw_controls(str(error))
    except Exception as error:  # of any kind: none but the one above is promised
        return "refused", f"ends in {kind_of(error)}"
    outside = [file for file in data.files("all") if not _is_inside(photos, file)]
    fault = f"holds {outside[0]}, which is not in the folder" if outside else ""
    return "built", fault or _raw_controls(said.getvalue())


def _is_inside(folder: Path, name: str) -> bool:
    path = (folder / name).resolve()
    return path.is_file() and folder.resolve() in path.parents


def _raw_controls(text: str) -> str:
    control = CONTROL.search(text)
    return f"sends {control.group()!r} to the terminal" if control else ""


class Sound(NamedTuple):
    """A dataset as it was built, and the windows of all of its pictures from a tier."""

    data: pipeline.Dataset
    tier: str
    pixels: dict[str, np.ndarray]


def shards(seed: int, first: int, count: int) -> Iterator[Trial]:
    """Changes one file of a dataset at a time, and has it verified and served."""
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder) / "photos"
        inputs.draw(photos, LISTED * 3)
        data_dir = Path(folder) / "sound"
        built = [inputs.build(storage, photos, data_dir, shards=2) for storage in STORAGES]
        sound = [Sound(data, tier, _all(data, tier)) for data in built for tier in TIERS]
        for number in range(first, first + count):
            rng = np.random.default_rng([seed, number, 2])
            data_dir = Path(folder) / f"changed-{number}"
            yield _damage(sound[number % len(sound)], data_dir, rng, number)
            shutil.rmtree(data_dir)


def _damage(sound: Sound, data_dir: Path, rng: np.random.Generator, number: int) -> Trial:
    """Copies a dataset into `data_dir`, changes one of the copy's files, and looks at it."""
    data = sound.data
    folder = data_dir / Path(data.folder).relative_to(data.data_dir)
    shutil.copytree(data.folder, folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    records = [path for path in files if ".tfrecord" in path.name]
    choice = records if rng.random() < 0.5 else files
    path = choice[rng.integers(len(choice))]
    name, changed = change(path.read_bytes(), rng)
    path.write_bytes(changed)
    outcome, fault = _look(sound, data_dir, path)
    where = f"number {number}, {data.name}, tier {sound.tier}, {path.name}, {name}: "
    return Trial(_kind(path), outcome, where + fault if fault else "")


def _kind(path: Path) -> str:
    if ".tfrecord" in path.name:
        return "shard"
    return "index" if path.suffix == ".npy" else "metadata"


def _look(sound: Sound, data_dir: Path, path: Path) -> tuple[str, str]:
    """The outcome of a changed file, and what was not as promised."""
    status, said = invoke(verify.main, "--data_dir", data_dir, "--dataset", sound.data.name)
    if status not in (0, 2):
        return "crash", f"verify: status {status}, {said}"
    wrong = "" if _names(path, said) else f"verify says: {said}"
    try:
        data = pipeline.open(sound.data.name, data_dir=str(data_dir))
        with data.naming_damage():
            same = _same(_all(data, sound.tier), sound.pixels)
    except InputError as error:
        return "refused by name", "" if _names(path, f"{said} {error}") else f"says: {error}"
    except Exception as error:  # of any kind: none but the one above is promised
        return "crash", f"reading ends in {kind_of(error)}"
    if status:
        return "found by verify", wrong
    if _kind(path) == "shard" or not same:
        return "unnoticed", "other pixels are served, and verify says nothing"
    return ("harmless" if data.class_names == sound.data.class_names else "other class names"), ""


def _names(path: Path, text: str) -> bool:
    """Whether a message names a file, or for one of the index or of the metadata the dataset."""
    return path.name in text or (".tfrecord" not in path.name and str(path.parents[1]) in text)


def _all(data: pipeline.Dataset, tier: Any) -> dict[str, np.ndarray]:
    """The windows of all pictures of a dataset by file name and label."""
    labels = dict(zip(data.files("all", WINDOWS), data.labels("all", WINDOWS), strict=True))
    return {
        f"{file} of {labels[file]}": window for file, window in serve(data, "all", tier).items()
    }


def _same(served: dict[str, np.ndarray], sound: dict[str, np.ndarray]) -> bool:
    return served.keys() == sound.keys() and all(
        np.array_equal(served[name], sound[name]) for name in sound
    )
