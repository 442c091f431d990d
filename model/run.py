"""The run folder: what a training run writes, so that it can be resumed after any interruption and used afterwards.

    settings.json         settings, dataset, versions; written first
    checkpoint/           initial.weights.h5 (all weights, once; removed at the end), state.npz
    (what an epoch changed) history.csv           one row an epoch model.keras           the network
    after the last epoch best.keras            the network after the epoch with the lowest val_loss
    curves.png            accuracy and loss by epoch *-SPLIT.*             what `model.evaluate`
    writes: metrics, report, predictions, confusion matrix, calibration report.html           all of
    this to look at; written by `model.report` metrics.json          summary; written last, so that
    it marks a finished run

Every file appears under its name only when it is complete (written beside it, then renamed).
"""

from __future__ import annotations

import csv
import dataclasses
import importlib.metadata
import json
import os
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from sentiflow import pipeline
from sentiflow.pipeline import InputError

from . import backbones, hub
from .settings import TrainSettings

SETTINGS = "settings.json"
HISTORY = "history.csv"
METRICS = "metrics.json"
INITIAL = "checkpoint/initial.weights.h5"
STATE = "checkpoint/state.npz"
MODELS = {"final": "model.keras", "best": "best.keras"}

HISTORY_FIELDS = (
    "epoch",
    "loss",
    "accuracy",
    "val_loss",
    "val_accuracy",
    "learning_rate",
    "seconds",
    "images_per_second",
    "waiting_share",
)

# Settings that do not change what is computed: a resumed run may differ in them.
PLACES = ("data_dir", "steps_per_execution", "tensorboard")

# What NumPy raises when a checkpoint is cut, is none, or is another network's.
UNREADABLE = (ValueError, KeyError, OSError, EOFError)

Row = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Record:
    """What `settings.json` holds: all that a run was started with."""

    train: TrainSettings
    inputs: pipeline.Settings
    dataset: dict[
        str, Any
    ]  # pipeline.Description as a dict: name, class_names, splits, storage, image_size
    environment: dict[str, Any]  # backend, precision, device, versions

    @property
    def data(self) -> pipeline.Dataset:
        """The prepared dataset; `train.data_dir` tells where it is.

        Raises:
            InputError: it is not there.
        """
        return pipeline.open(self.train.dataset, data_dir=self.train.data_dir)


def write_atomically(path: Path, write: Callable[[Path], Any]) -> None:
    """Calls `write` with a temporary path of the same folder and suffixes, then gives the file its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # One name for each file: what a killed process left is overwritten by the next attempt.
    temporary = path.with_name(f".partial.{path.name}")
    write(temporary)
    os.replace(temporary, path)


def write_json(path: Path, value: object) -> None:
    """Writes indented JSON, atomically."""
    write_atomically(path, lambda target: target.write_text(json.dumps(value, indent=2) + "\n"))


def environment(precision: str, device: str) -> dict[str, Any]:
    """Where a run computes: backend, resolved precision, device and versions."""
    packages = ["sentiflow", "keras", "tensorflow", "tensorflow-datasets", "numpy"]
    if keras.backend.backend() == "jax":
        packages.append("jax")
    stated = {name: version(name) for name in packages}
    versions = {name: number for name, number in stated.items() if number}
    return {
        "backend": keras.backend.backend(),
        "precision": precision,
        "device": device,
        "platform": platform.platform(),
        "versions": {"python": platform.python_version()} | versions,
    }


def version(package: str) -> str | None:
    """The installed version; None of a source tree, or of a package that goes by another name (tensorflow-cpu)."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def exists(folder: Path) -> bool:
    """Whether a run was started in the folder."""
    return (folder / SETTINGS).exists()


def finished(folder: Path) -> bool:
    """Whether the folder's run came to its end."""
    return (folder / METRICS).exists()


def write_record(folder: Path, record: Record) -> None:
    """Writes `settings.json`."""
    write_json(folder / SETTINGS, dataclasses.asdict(record))


def read_record(folder: Path) -> Record:
    """Reads `settings.json`.

    Raises:
        InputError: the folder holds no run, or one of an incompatible version.
    """
    path = folder / SETTINGS
    if not path.is_file():
        raise InputError(
            f"{folder} holds no run: {SETTINGS} is missing. Name the --out folder of model.train."
        )
    try:
        stored = json.loads(path.read_text())
        train = stored["train"] | {"backbone_options": tuple(stored["train"]["backbone_options"])}
        inputs = pipeline.Settings(**stored["inputs"])
        return Record(TrainSettings(**train), inputs, stored["dataset"], stored["environment"])
    except (ValueError, TypeError, KeyError) as error:
        raise InputError(
            f"{path} is not the settings of a run of this version: {error!r}"
        ) from error


def held_out_split(record: Record) -> str:
    """The split that is evaluated after every epoch: `validation`, or `test` in a dataset that has no other."""
    for split in ("validation", "test"):
        if record.dataset["splits"].get(split):
            return split
    raise InputError(f"{record.dataset['name']} has neither a validation nor a test split.")


def final_split(record: Record) -> str:
    """The split that the finished network is evaluated on: `test`, or `validation` in a dataset without one."""
    return "test" if record.dataset["splits"].get("test") else "validation"


def require_same(old: Record, new: Record) -> None:
    """Checks that a run that was started as `old` may go on as `new`.

    Raises:
        InputError: something that shapes the result differs; the message names the first such
            field.
    """
    same_place = {name: getattr(old.train, name) for name in PLACES}
    pairs = [
        (
            dataclasses.asdict(old.train),
            dataclasses.asdict(dataclasses.replace(new.train, **same_place)),
        ),
        (dataclasses.asdict(old.inputs), dataclasses.asdict(new.inputs)),
        (old.dataset, new.dataset),
        ({"backend": old.environment["backend"]}, {"backend": new.environment["backend"]}),
    ]
    for before, after in pairs:
        for name, value in before.items():
            if after.get(name) != value:
                raise InputError(
                    f"The run was started with {name}={value} and cannot be resumed otherwise; leave the option out, "
                    f"or start another run with another --out. Received: {name}={after.get(name)}"
                )


def save_state(folder: Path, model: keras.Model, history: list[Row], *, averaged: int = 0) -> None:
    """Saves all that training changed, and the history that goes with it, as one file.

    The weights of the epoch with the lowest val_loss are kept in it as well, and, once there is
    something to average, the mean of the weights (Izmailov et al., "Averaging Weights Leads to
    Wider Optima and Better Generalization", UAI 2018). Their statistics of BatchNormalization,
    which are frozen here, need no renewal.

    Args:
        folder: run folder.
        model: a compiled one.
        history: rows of the epochs so far.
        averaged: how many of these, counted from the last, the mean is of; less than 1: there is no
            mean.
    """
    path = folder / STATE
    state: dict[str, Any] = {name: variable.numpy() for name, variable in _variables(model).items()}
    weights = {
        name.partition("/")[2]: value
        for name, value in state.items()
        if name.startswith("trainable/")
    }
    kept = {f"best/{number}": weight for number, weight in weights.items()}
    mean = (
        {f"average/{number}": weight for number, weight in weights.items()} if averaged > 0 else {}
    )
    if history and (best_epoch(history) != len(history) or averaged > 1):
        with np.load(path) as previous:
            if best_epoch(history) != len(history):
                kept = {name: previous[name] for name in previous.files if name.startswith("best/")}
            if averaged > 1:
                mean = {
                    name: previous[name] + (new - previous[name]) / averaged
                    for name, new in mean.items()
                }
    state |= kept | mean | {"history": np.array(json.dumps(history))}
    write_atomically(path, lambda target: np.savez(target, **state))
    write_history(folder, history)


def load_state(folder: Path, model: keras.Model) -> list[Row]:
    """Puts the saved state into a compiled model and returns the history of the epochs that led to it.

    Raises:
        InputError: the checkpoint does not fit the model or cannot be read.
    """
    try:
        with np.load(folder / STATE) as saved:
            for name, variable in _variables(model).items():
                variable.assign(saved[name])
    except UNREADABLE as error:
        raise InputError(
            f"{folder / STATE} cannot be used to resume: {error}. Start another run."
        ) from error
    history = read_history(folder)
    write_history(folder, history)
    return history


def read_history(folder: Path) -> list[Row]:
    """The history of the epochs that led to the saved state.

    Raises:
        InputError: the checkpoint cannot be read.
    """
    try:
        with np.load(folder / STATE) as saved:
            return json.loads(str(saved["history"]))
    except UNREADABLE as error:
        raise InputError(
            f"{folder / STATE} cannot be used to resume: {error}. Start another run."
        ) from error


def save_initial(folder: Path, model: keras.Model) -> None:
    """Saves the weights that the run begins with."""
    write_atomically(folder / INITIAL, _without_optimizer(model).save_weights)


def load_initial(folder: Path, model: keras.Model) -> None:
    """Puts the weights that the run began with into a model.

    Raises:
        InputError: the file is missing or does not fit the model.
    """
    try:
        _without_optimizer(model).load_weights(folder / INITIAL)
    except (ValueError, KeyError, OSError) as error:
        raise InputError(
            f"{folder / INITIAL} cannot be used to resume: {error}. Start another run."
        ) from error


def load_best(folder: Path, model: keras.Model) -> None:
    """Puts the weights of the epoch with the lowest val_loss into a model."""
    load_initial(folder, model)  # what was not trained yet in that epoch
    _load_weights(folder, model, "best")


def load_average(folder: Path, model: keras.Model) -> None:
    """Puts the mean of the weights after the last epochs into a model that holds those of the last."""
    _load_weights(folder, model, "average")


def _load_weights(folder: Path, model: keras.Model, kind: str) -> None:
    with np.load(folder / STATE) as saved:
        for name in saved.files:
            if name.startswith(f"{kind}/"):
                model.weights[int(name.partition("/")[2])].assign(saved[name])


def _without_optimizer(model: keras.Model) -> keras.Model:
    # Keras files an optimiser's state with a model's weights, and every stage of a training has
    # another optimiser.
    return keras.Model(model.inputs, model.outputs)


def best_epoch(history: list[Row]) -> int:
    """Number, from 1, of the epoch with the lowest val_loss; the first of equals."""
    return 1 + int(np.argmin([row["val_loss"] for row in history]))


def write_history(folder: Path, history: list[Row]) -> None:
    """Writes `history.csv`."""

    def write(target: Path) -> None:
        with target.open("w", newline="") as file:
            writer = csv.DictWriter(file, HISTORY_FIELDS)
            writer.writeheader()
            writer.writerows(history)

    write_atomically(folder / HISTORY, write)


def history_rows(folder: Path) -> list[Row]:
    """Reads `history.csv`.

    Raises:
        InputError: it is missing or empty.
    """
    try:
        with (folder / HISTORY).open(newline="") as file:
            rows = [
                {name: float(value) for name, value in row.items()} for row in csv.DictReader(file)
            ]
    except FileNotFoundError:
        rows = []
    if not rows:
        raise InputError(f"{folder / HISTORY} holds no epoch. Train or resume the run first.")
    return rows


def load(
    folder: str | Path, *, model: Literal["final", "best"] = "final"
) -> tuple[Record, keras.Model]:
    """Loads a finished run.

    Args:
        folder: run folder.
        model: the network after the last epoch, or after the one with the lowest val_loss.

    Returns:
        What the run was started with, and the network: float32 [batch, s, s, 3] to probabilities
        [batch, classes].

    Raises:
        InputError: the folder holds no finished run.
    """
    folder = Path(folder)
    record = read_record(folder)
    path = folder / MODELS[model]
    if not path.is_file():
        raise InputError(
            f"{folder} holds an unfinished run: {path.name} is missing. Run model.train with --resume."
        )
    if backbones.find_backbone(record.train.backbone).preset:
        hub.require_hub()
    return record, keras.saving.load_model(path, compile=False)


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    """What training changes: trained weights, optimiser, and the state of random layers such as Dropout.

    A weight goes by its number among all of the model's, which stays the same when more of them are
    trained.
    """
    weights = {variable.path for variable in model.non_trainable_weights}
    seeds = [variable for variable in model.non_trainable_variables if variable.path not in weights]
    trained = {id(variable) for variable in model.trainable_variables}
    return {
        **{
            f"trainable/{i}": variable
            for i, variable in enumerate(model.weights)
            if id(variable) in trained
        },
        **{f"optimizer/{i}": variable for i, variable in enumerate(model.optimizer.variables)},
        **{f"seed/{i}": variable for i, variable in enumerate(seeds)},
    }
