"""Files from strangers: none runs code, leaves its folder, or gets the memory that it asks for."""

from __future__ import annotations

import csv
import io
import json
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import h5py
import keras
import numpy as np
from click.testing import CliRunner
from rich.console import Console

from sentiflow.model import predict, report
from sentiflow.model import train as train_command
from sentiflow.pipeline import verify

from . import inputs
from .changes import change
from .rows import Trial

MUCH = 10**12  # values that a header announces
DEEP = 100_000  # brackets in each other
MARKER = "ran.txt"  # what code of a stranger would write, beside its run
SCRIPT = "<script>alert(1)</script>"
MARKUP = (SCRIPT, "&amp;'\"><blink>", "$\\frac{1$ | a_b")  # names of classes
TESTED = "0012.png"  # of the test split
FILE = '"><img src=x onerror=alert(1)>.png'

Case = Callable[[Path], str]  # makes and tries a hostile copy of a run; returns what was wrong


def strangers(run: str) -> Iterator[Trial]:
    """Tries every case of `CASES` on a copy of a finished run."""
    inputs.register_backbone()
    for subject, case in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "inside" / "run"
            shutil.copytree(run, copy)
            before = _outside(Path(folder), copy)
            try:
                fault = case(copy)
            except Exception as error:  # of any kind: no case may end this way
                fault = f"ends in {type(error).__name__}: {' '.join(str(error).split())[:200]}"
            written = _outside(Path(folder), copy) - before
            if written:
                fault = f"{fault} wrote {', '.join(sorted(written))}".strip()
            yield Trial(subject, "fault" if fault else "held", fault)


def _outside(folder: Path, run: Path) -> set[str]:
    """What lies beside the run: nothing may come to be there."""
    return {str(path) for path in folder.rglob("*") if run not in (path, *path.parents)}


def invoke(command: click.Command, *arguments: object) -> tuple[int | None, str]:
    """Runs a command in this process: its status, None for a traceback, and what it said of it."""
    result = CliRunner().invoke(command, list(map(str, arguments)))
    if isinstance(result.exception, SystemExit | None):
        return result.exit_code, result.stderr
    return None, f"{type(result.exception).__name__}: {result.exception}"


def refused(command: click.Command, *arguments: object) -> str:
    """What is wrong if a command does not refuse what it is given in one line with status 2."""
    status, said = invoke(command, *arguments)
    if status is None:
        return f"ends in {' '.join(said.split())[:200]}"
    if status != 2 or said.count("\n") != 1:
        return f"status {status}: {said[:200]!r}"
    return ""


def predicts(run: Path) -> str:
    """What is wrong if `predict` does not refuse the run."""
    return refused(predict.main, "--run", run, _photo(run))


def resumes(run: Path) -> str:
    """What is wrong if `train --resume` does not refuse the run."""
    (run / "metrics.json").unlink(missing_ok=True)
    return refused(train_command.main, "--out", run, "--resume")


def _photo(run: Path) -> Path:
    path = run / "photo.png"
    inputs.picture(np.random.default_rng(0)).save(path)
    return path


def rewrite(path: Path, **members: bytes) -> None:
    """Replaces members of a zip file, or adds them."""
    with zipfile.ZipFile(path) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()} | members
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in contents.items():
            archive.writestr(name, data)


def _lambda(run: Path) -> str:
    """A network with a Lambda layer, whose code would run when it is loaded or used."""
    marker = run.parent / MARKER
    code = f"lambda images: (__import__('pathlib').Path({str(marker)!r}).touch(), images)[1]"
    layer = keras.layers.Lambda(eval(code), output_shape=(3,))
    keras.Sequential([keras.Input((3,)), layer]).save(run / "model.keras")
    marker.unlink(missing_ok=True)
    return predicts(run)


def _function(run: Path) -> str:
    """A network one of whose activations is a function of another module."""
    path = run / "model.keras"
    with zipfile.ZipFile(path) as archive:
        config = archive.read("config.json").decode()
    other = {"module": "os", "class_name": "function", "config": "system"}
    named = json.dumps(other | {"registered_name": "function"})
    rewrite(path, **{"config.json": config.replace('"softmax"', named).encode()})
    return predicts(run)


def _pickle() -> bytes:
    """A file of NumPy that holds an object."""
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"any": "object"}], object), allow_pickle=True)
    return buffer.getvalue()


def _announcing() -> bytes:
    """A file of NumPy whose header announces more than there is."""
    buffer = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (MUCH,)}
    np.lib.format.write_array_header_1_0(buffer, header)
    return buffer.getvalue()


def _replace_state(data: bytes) -> Case:
    """A checkpoint of which every array was replaced."""

    def case(run: Path) -> str:
        path = run / "checkpoint" / "state.npz"
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
        rewrite(path, **dict.fromkeys(names, data))
        return resumes(run)

    return case


def _large_weights(run: Path) -> str:
    """A network whose file of weights announces more than there is."""
    path = run / "model.keras"
    with zipfile.ZipFile(path) as archive:
        weights = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(weights, "r+") as file:
        names: list[str] = []
        file.visititems(lambda name, item: names.append(name) if _is_array(item) else None)
        for name in names:
            del file[name]
            file.create_dataset(name, (MUCH,), "f4", chunks=(2**20,))
    rewrite(path, **{"model.weights.h5": weights.getvalue()})
    return predicts(run)


def _is_array(item: Any) -> bool:
    return isinstance(item, h5py.Dataset)


def _leaving(run: Path) -> str:
    """A network whose archive has members that lead out of its folder."""
    members = {"../../out.txt": b"x", "assets/../../../out.txt": b"x"}
    rewrite(run / "model.keras", **members)
    status, said = invoke(predict.main, "--run", run, _photo(run))
    return "" if status in (0, 2) else f"status {status}: {said}"


def _settings(text: str) -> Case:
    """A run whose settings are some other text."""

    def case(run: Path) -> str:
        (run / "settings.json").write_text(text)
        return predicts(run)

    return case


def _dataset(name: str) -> Case:
    """A run whose dataset is named by a path."""

    def case(run: Path) -> str:
        path = run / "settings.json"
        settings = json.loads(path.read_text())
        settings["train"]["dataset"] = settings["dataset"]["name"] = name
        path.write_text(json.dumps(settings))
        return resumes(run)

    return case


def _index(data: bytes) -> Case:
    """A dataset with columns of the index replaced: its shards are read instead."""

    def case(run: Path) -> str:
        inputs.draw(run / "photos", 30)
        built = inputs.build("raw", run / "photos", run / "data")
        for path in Path(built.folder, "index").glob("*.npy"):
            path.write_bytes(data)
        status, said = invoke(verify.main, "--data_dir", run / "data")
        return "" if status in (0, 2) else f"status {status}: {said}"

    return case


def _markup(run: Path) -> str:
    """A dataset whose names are markup: its report shows them, and holds no element of theirs."""
    photos = run / "photos"
    inputs.draw(photos, 30, MARKUP)
    shutil.move(photos / TESTED, photos / FILE)
    _, *lines = csv.reader((photos / "list.csv").read_text().splitlines())
    inputs.write_list(
        photos, [[FILE if name == TESTED else name, *cells] for name, *cells in lines]
    )
    inputs.train(inputs.build("raw", photos, run / "data"), run / "marked", Console(quiet=True))
    status, said = invoke(report.main, "--run", run / "marked")
    page = (run / "marked" / "report.html").read_text()
    raw = [piece for piece in (SCRIPT, "<blink>", "<img src=x") if piece in page]
    missing = [piece for piece in ("&lt;script&gt;", "&lt;img src=x") if piece not in page]
    wrong = f"status {status}: {said}, raw {raw}, missing {missing}"
    return wrong if status or raw or missing else ""


CASES: dict[str, Case] = {
    "network with code of its own": _lambda,
    "network that names a function of another module": _function,
    "network that announces 4 TB of weights": _large_weights,
    "network whose archive leads out of its folder": _leaving,
    "checkpoint with a pickled object": _replace_state(_pickle()),
    "checkpoint that announces 4 TB": _replace_state(_announcing()),
    "index with a pickled object": _index(_pickle()),
    "index that announces 4 TB": _index(_announcing()),
    "settings that are nested 100,000 times": _settings("[" * DEEP + "]" * DEEP),
    "settings that are a number": _settings("1"),
    "settings that are empty": _settings("{}"),
    "dataset named by a path that leads out": _dataset("../../etc/raw48"),
    "dataset named by an absolute path": _dataset("/etc/raw48"),
    "classes and files named by markup": _markup,
}


def changed(seed: int, first: int, count: int, run: str) -> Iterator[Trial]:
    """Changes one file of a run at a time, and has it predict, report and resume."""
    inputs.register_backbone()
    for number in range(first, first + count):
        rng = np.random.default_rng([seed, number, 3])
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "run"
            shutil.copytree(run, copy)
            files = sorted(path for path in copy.rglob("*") if path.suffix in READ)
            path = files[rng.integers(len(files))]
            name, data = change(path.read_bytes(), rng)
            path.write_bytes(data)
            faults = [fault for act in ACTS if (fault := act(copy))]
        where = f"number {number}, {path.name}, {name}: "
        outcome = "fault" if faults else "held"
        yield Trial(f"{path.suffix} of a run", outcome, where + "; ".join(faults) if faults else "")


READ = (".keras", ".npz", ".json", ".csv")


def _held(command: click.Command, *arguments: object) -> str:
    """What is wrong if a command neither succeeds nor refuses in one line with status 2."""
    status, said = invoke(command, *arguments)
    if status is None:
        name = getattr(command.callback, "__module__", "").rpartition(".")[2]
        return f"{name} ends in {' '.join(said.split())[:200]}"
    if status not in (0, 2) or (status and said.count("\n") != 1):
        return f"status {status}: {said[:200]!r}"
    return ""


ACTS: tuple[Case, ...] = (
    lambda run: _held(predict.main, "--run", run, _photo(run)),
    lambda run: _held(report.main, "--run", run),
    lambda run: _held(train_command.main, "--out", run, "--resume"),
)
