"""The weights of a run: its checkpoint, and the networks of a finished one."""

from __future__ import annotations

import dataclasses
import json
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from sentiflow.files import write_atomically
from sentiflow.pipeline import InputError

from ..networks import backbones, hub
from .history import EpochRow, best_epoch, write_history
from .record import MODELS, Record, read_record

INITIAL = "checkpoint/initial.npz"
FORMER_INITIAL = "checkpoint/initial.weights.h5"  # the same, of runs that 0.1.0 began
STATE = "checkpoint/state.npz"

# What NumPy raises when a checkpoint is cut, is none, is another network's, or announces more than
# there is memory for.
UNREADABLE = (ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, MemoryError)

Arrays = dict[str, np.ndarray]


def save_state(
    folder: Path, model: keras.Model, history: Sequence[EpochRow], *, averaged: int = 0
) -> None:
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
    state = {name: variable.numpy() for name, variable in _variables(model).items()}
    weights = {
        name.partition("/")[2]: value
        for name, value in state.items()
        if name.startswith("trainable/")
    }
    best = _best_weights(path, history, weights)
    mean = _mean_weights(path, weights, averaged) if averaged > 0 else {}
    rows = np.array(json.dumps([dataclasses.asdict(row) for row in history]))
    arrays: dict[str, Any] = state | best | mean | {"history": rows}
    write_atomically(path, lambda target: np.savez(target, **arrays))
    write_history(folder, history)


def _best_weights(path: Path, history: Sequence[EpochRow], weights: Arrays) -> Arrays:
    """The weights of the best epoch: those of the last, or those that the file has already."""
    if not history or best_epoch(history) == len(history):
        return {f"best/{number}": weight for number, weight in weights.items()}
    with np.load(path) as previous:
        return {name: previous[name] for name in previous.files if name.startswith("best/")}


def _mean_weights(path: Path, weights: Arrays, averaged: int) -> Arrays:
    """The mean of so many epochs' weights, of which the file holds the mean of all but the last."""
    latest = {f"average/{number}": weight for number, weight in weights.items()}
    if averaged == 1:
        return latest
    with np.load(path) as previous:
        return {
            name: previous[name] + (weight - previous[name]) / averaged
            for name, weight in latest.items()
        }


def load_state(folder: Path, model: keras.Model) -> list[EpochRow]:
    """Puts the saved state into a compiled model; returns the epochs that led to it.

    Raises:
        InputError: the checkpoint does not fit the model or cannot be read.
    """
    try:
        with np.load(folder / STATE) as saved:
            for name, variable in _variables(model).items():
                variable.assign(saved[name])
    except UNREADABLE as error:
        raise _unusable(folder / STATE, error) from error
    history = saved_history(folder)
    write_history(folder, history)
    return history


def saved_history(folder: Path) -> list[EpochRow]:
    """The history of the epochs that led to the saved state.

    Raises:
        InputError: the checkpoint cannot be read.
    """
    try:
        with np.load(folder / STATE) as saved:
            return [EpochRow.read(row) for row in json.loads(str(saved["history"]))]
    except UNREADABLE as error:
        raise _unusable(folder / STATE, error) from error


def has_state(folder: Path) -> bool:
    """Whether the folder holds a checkpoint to resume from."""
    return (folder / STATE).exists()


def save_initial(folder: Path, model: keras.Model) -> None:
    """Saves the weights that the run begins with.

    HDF5, which Keras would write, ends the process where a disk is full.
    """
    weights: dict[str, Any] = {str(i): weight.numpy() for i, weight in enumerate(model.weights)}
    write_atomically(folder / INITIAL, lambda target: np.savez(target, **weights))


def load_initial(folder: Path, model: keras.Model) -> None:
    """Puts the weights that the run began with into a model.

    Raises:
        InputError: the file is missing or does not fit the model.
    """
    former = folder / FORMER_INITIAL
    try:
        if former.exists():
            # Keras files an optimiser's state with a model's weights: a model without one.
            keras.Model(model.inputs, model.outputs).load_weights(former)
            return
        with np.load(folder / INITIAL) as saved:
            for number, weight in enumerate(model.weights):
                weight.assign(saved[str(number)])
    except UNREADABLE as error:
        raise _unusable(folder / INITIAL, error) from error


def remove_initial(folder: Path) -> None:
    """Removes the weights that the run began with, which a finished run has no use for."""
    for name in (INITIAL, FORMER_INITIAL):
        (folder / name).unlink(missing_ok=True)


def load_best(folder: Path, model: keras.Model) -> None:
    """Puts the weights of the epoch with the lowest val_loss into a model."""
    load_initial(folder, model)  # what was not trained yet in that epoch
    _load_weights(folder, model, "best")


def load_average(folder: Path, model: keras.Model) -> None:
    """Puts the mean weights of the last epochs into a model that holds those of the last."""
    _load_weights(folder, model, "average")


def _load_weights(folder: Path, model: keras.Model, kind: str) -> None:
    with np.load(folder / STATE) as saved:
        for name in saved.files:
            if name.startswith(f"{kind}/"):
                model.weights[int(name.partition("/")[2])].assign(saved[name])


def _unusable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path} cannot be used to resume: {error}. Start another run.")


def _variables(model: keras.Model) -> dict[str, keras.Variable]:
    """What training changes: trained weights, optimiser, and the state of layers such as Dropout.

    A weight goes by its number among all of the model's, which stays the same when more of them are
    trained.
    """
    paths = {variable.path for variable in model.non_trainable_weights}
    seeds = [variable for variable in model.non_trainable_variables if variable.path not in paths]
    trained = {id(variable) for variable in model.trainable_variables}
    numbered = enumerate(model.weights)
    return {
        **{f"trainable/{i}": weight for i, weight in numbered if id(weight) in trained},
        **{f"optimizer/{i}": variable for i, variable in enumerate(model.optimizer.variables)},
        **{f"seed/{i}": variable for i, variable in enumerate(seeds)},
    }


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
        InputError: the folder holds no finished run, or its network cannot be read.
    """
    folder = Path(folder)
    record = read_record(folder)
    path = folder / MODELS[model]
    if not path.is_file():
        raise InputError(
            f"{folder} holds an unfinished run: {path.name} is missing. "
            "Run model.train with --resume."
        )
    if backbones.find_backbone(record.train.backbone).preset:
        hub.require_hub()
    return record, _load_network(path)


def _load_network(path: Path) -> keras.Model:
    """Reads a saved network; none of its own code is run.

    Raises:
        InputError: it cannot be read, or it holds code.
    """
    try:
        with warnings.catch_warnings():
            # Of parts that a file lacks, Keras only warns.
            warnings.filterwarnings("error", "Skipping", UserWarning)
            return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # of many types, if the file is damaged or made to harm
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{path} is not a network of this software: {reason}") from error
