"""What tests read of run folders, and how they interrupt a run."""

import csv
import dataclasses

import keras
import numpy as np
from rich.console import Console

from sentiflow.model.training import checkpoint
from sentiflow.model.training.history import HISTORY
from sentiflow.model.training.record import MODELS

QUIET = Console(quiet=True)


def history(out):
    """The rows of `history.csv`, numbers by column."""
    with (out / HISTORY).open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def weights(path):
    """The weights of a saved network."""
    return keras.saving.load_model(path, compile=False).get_weights()


def assert_same_models(folder, expected):
    """Both networks of two runs have the same weights, bit for bit."""
    for name in MODELS.values():
        for ours, theirs in zip(weights(folder / name), weights(expected / name), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def interrupt_after(monkeypatch, *, epoch):
    """Interrupts the next run once the state after that epoch is saved."""
    save = checkpoint.save_state

    def interrupted(folder, model, history, **options):
        save(folder, model, history, **options)
        if len(history) == epoch:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save_state", interrupted)


def keep_states(monkeypatch):
    """The weights of a model each time that its state is saved, from now on: lists of arrays."""
    save, states = checkpoint.save_state, []

    def saved(folder, model, history, **options):
        states.append([weight.numpy() for weight in model.weights])
        save(folder, model, history, **options)

    monkeypatch.setattr(checkpoint, "save_state", saved)
    return states


def command(settings, inputs, *more):
    """The options of `model.train` that settings stand for."""
    pairs = dataclasses.asdict(settings) | {
        "batch_size": inputs.batch_size,
        "image_size": inputs.image_size,
    }
    options = []
    for name, value in pairs.items():
        values = value if isinstance(value, tuple) else (value,)
        # Flags are off.
        options += [f"--{name}={item}" for item in values if not isinstance(item, bool)]
    return [*options, *map(str, more)]
