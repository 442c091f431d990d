"""The run folder: what a training run writes, so that it can be resumed and used afterwards.

    settings.json   settings, dataset, versions; written once the run can be resumed
    checkpoint/     initial.npz: all weights, once; removed at the end
                    state.npz: what training changed, after the last epoch
    history.csv     one row an epoch
    model.keras     the network after the last epoch
    best.keras      the network after the epoch with the lowest val_loss
    curves.png      accuracy and loss by epoch
    *-SPLIT.*       what `model.evaluate` writes: scores, predictions, confusion matrix, calibration
    report.html     all of this to look at; written by `model.report`
    metrics.json    summary; written last, so that it marks a finished run

Every file appears under its name only when it is complete (written beside it, then renamed).
"""

from __future__ import annotations

import dataclasses
import errno
import json
import os
from pathlib import Path
from typing import Any

import keras

from sentiflow import machine, pipeline
from sentiflow.files import write_json
from sentiflow.options import InputError, brief

from ..settings import TrainSettings

SETTINGS = "settings.json"
METRICS = "metrics.json"
MODELS = {"final": "model.keras", "best": "best.keras"}

# Settings that do not change what is computed: a resumed run may differ in them.
RESUMABLE = ("data_dir", "steps_per_execution", "tensorboard")


@dataclasses.dataclass(frozen=True)
class Environment:
    """Where a run computes.

    Attributes:
        backend: of Keras, "tensorflow" or "jax".
        precision: "float32", "bfloat16" or "float16"; what `auto` came to.
        device: "CPU", "GPU" or "TPU".
        platform: operating system and processor.
        versions: of Python and of packages, by name.
        cpu: name of the processor.
        cores: processor cores that the process may use; 0 in runs of 0.1.0.
        commit: of this software, see `machine.commit`.
    """

    backend: str
    precision: str
    device: str
    platform: str = ""
    versions: dict[str, str] = dataclasses.field(default_factory=dict)
    cpu: str = ""
    cores: int = 0
    commit: str | None = None

    @classmethod
    def current(cls, *, precision: str, device: str) -> Environment:
        """That of this process."""
        packages = ["sentiflow", "keras", "tensorflow", "tensorflow-datasets", "numpy"]
        if keras.backend.backend() == "jax":
            packages.append("jax")
        software = machine.software(packages)
        system = software.pop("platform")
        return cls(
            backend=keras.backend.backend(),
            precision=precision,
            device=device,
            platform=system or "",
            versions={name: number for name, number in software.items() if number},
            cpu=machine.cpu_model(),
            cores=machine.cores(),
            commit=machine.commit(),
        )


@dataclasses.dataclass(frozen=True)
class Record:
    """What `settings.json` holds: all that a run was started with."""

    train: TrainSettings
    inputs: pipeline.Settings
    dataset: pipeline.Description
    environment: Environment

    @classmethod
    def read(cls, stored: dict[str, Any]) -> Record:
        """The record that JSON values make.

        Raises:
            KeyError: something is missing.
            TypeError: there is more than this version knows.
            ValueError: a value is not one of its kind.
        """
        return cls(
            TrainSettings.read(stored["train"]),
            pipeline.Settings(**stored["inputs"]),
            pipeline.Description(**stored["dataset"]),
            Environment(**stored["environment"]),
        )

    @property
    def data(self) -> pipeline.Dataset:
        """The prepared dataset; `train.data_dir` tells where it is.

        Raises:
            InputError: it is not there.
        """
        return pipeline.open(self.train.dataset, data_dir=self.train.data_dir)

    @property
    def held_out_split(self) -> str:
        """The split that is evaluated after every epoch: `validation`, or else `test`.

        Raises:
            InputError: the dataset has neither.
        """
        for split in ("validation", "test"):
            if self.dataset.splits.get(split):
                return split
        raise InputError(f"{self.dataset.name} has neither a validation nor a test split.")

    @property
    def final_split(self) -> str:
        """The split that the finished network is evaluated on: `test`, or else `validation`."""
        return "test" if self.dataset.splits.get("test") else "validation"

    @property
    def network_seed(self) -> int:
        """What the network's first weights are drawn from, in [0, 2**32)."""
        return self.inputs.seed % 2**32


def is_run(folder: Path) -> bool:
    """Whether a run was started in the folder."""
    return (folder / SETTINGS).exists()


def is_finished(folder: Path) -> bool:
    """Whether the folder's run came to its end."""
    return (folder / METRICS).exists()


def require_run(folder: Path) -> None:
    """Refuses to write on where the run is gone, as its disk may be.

    Raises:
        FileNotFoundError: no run was started in the folder.
    """
    if not is_run(folder):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder / SETTINGS))


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
        return Record.read(json.loads(path.read_text()))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path} is not the settings of a run of this version: {error!r}"
        ) from error


def require_same(old: Record, new: Record) -> None:
    """Checks that a run that was started as `old` may go on as `new`.

    Raises:
        InputError: something that shapes the result differs; the message names the first such
            field.
    """
    resumable = {name: getattr(old.train, name) for name in RESUMABLE}
    pairs: list[tuple[Any, Any]] = [
        (old.train, dataclasses.replace(new.train, **resumable)),
        (old.inputs, new.inputs),
        (old.dataset, new.dataset),
        (old.environment, dataclasses.replace(old.environment, backend=new.environment.backend)),
    ]
    for before, after in pairs:
        for field in dataclasses.fields(before):
            started = getattr(before, field.name)
            received = getattr(after, field.name)
            if received != started:
                raise InputError(
                    f"The run was started with {field.name}={brief(started)} and cannot be resumed "
                    "otherwise; leave the option out, or start another run with another --out. "
                    f"Received: {field.name}={brief(received)}"
                )
