"""The reference system's nine experiments, and the ways in which their datasets are divided."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal

from rich.console import Console

from sentiflow import pipeline
from sentiflow.pipeline import InputError
from sentiflow.terminal import printable

FOLDS = 5
AGREEMENTS: tuple[Literal[5, 4, 3], ...] = (5, 4, 3)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One of the reference system's, and the accuracy that was published of it."""

    number: int
    dataset: str
    batch_size: int
    learning_rate: float
    epochs: int
    published: float | None = None

    @property
    def name(self) -> str:
        """Its settings that differ from other experiments'."""
        return (
            f"batch {self.batch_size}, learning rate {self.learning_rate:g}, {self.epochs} epochs"
        )


EXPERIMENTS = (
    Experiment(1, "emotionroi", 32, 0.001, 20, 0.54),
    Experiment(2, "emotionroi", 64, 0.001, 20),
    Experiment(3, "emotionroi", 16, 0.001, 20),
    Experiment(4, "emotionroi", 32, 0.001, 40),
    Experiment(5, "emotionroi", 32, 0.0001, 20),
    Experiment(6, "emotionroi", 32, 0.0001, 60),
    Experiment(7, "twitter1", 32, 0.0001, 20),
    Experiment(8, "twitter1", 32, 0.0001, 40, 0.81),
    Experiment(9, "twitter1", 32, 0.001, 60),
)


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Which images are trained and tested on."""

    name: str
    dataset: str  # TFDS dataset / config
    choice: dict[str, Any] = dataclasses.field(default_factory=dict)  # fields of pipeline.Settings


def protocols(dataset: str, config: str, data_dir: str, *, folds: bool) -> list[Protocol]:
    """The ways in which a dataset can be divided, as it was prepared.

    Args:
        dataset: emotionroi, twitter1, or another.
        config: storage, such as raw256; `CONFIG_official`, `CONFIG_folders` and `CONFIG_stratified`
            are taken as well.
        data_dir: the folder given to `tfds build --data_dir`.
        folds: Twitter I: also 5-fold cross-validation at each agreement level that was built.

    Raises:
        InputError: none was prepared.
    """
    prepared: list[Protocol] = []
    missing: list[InputError] = []
    for name in (config, *(f"{config}_{split}" for split in ("official", "folders", "stratified"))):
        try:
            splits = pipeline.open(f"{dataset}/{name}", data_dir=data_dir).describe().splits
        except InputError as error:
            missing.append(error)
            continue
        title = _title(dataset, has_validation=bool(splits.get("validation")))
        prepared.append(Protocol(title, f"{dataset}/{name}"))
    if not prepared:
        raise missing[0]
    if dataset != "twitter1":
        return prepared
    return [
        protocol
        for division in prepared
        for protocol in _of_twitter(division.dataset, data_dir, folds=folds)
    ]


def _title(dataset: str, *, has_validation: bool) -> str:
    if dataset != "emotionroi":
        return "as prepared"
    return "80/15/5" if has_validation else "official"


def _of_twitter(dataset: str, data_dir: str, *, folds: bool) -> Iterator[Protocol]:
    yield Protocol("first 20 %, agreement 5", dataset, {"agreement": 5, "fold": None})
    for agreement in AGREEMENTS if folds else ():
        inputs = pipeline.Settings(agreement=agreement)
        try:
            pipeline.open(dataset, data_dir=data_dir).describe(inputs)
        except InputError:  # it was built without the list
            continue
        for fold in range(FOLDS):
            choice = {"agreement": agreement, "fold": fold}
            yield Protocol(f"{FOLDS}-fold, agreement {agreement}", dataset, choice)


def choose(only: str) -> list[Experiment]:
    """The experiments that a comma-separated list of numbers names.

    Raises:
        InputError: there is no such number.
    """
    by_number = {str(experiment.number): experiment for experiment in EXPERIMENTS}
    numbers = [number.strip() for number in only.split(",")]
    if not by_number.keys() >= set(numbers):
        raise InputError(
            f"only must be numbers of {', '.join(by_number)}, such as 1,8. Received: {only}"
        )
    return [by_number[number] for number in dict.fromkeys(numbers)]


def available(config: str, data_dir: str, console: Console) -> list[Experiment]:
    """The experiments whose dataset is prepared; says how to prepare the others.

    Raises:
        InputError: none is.
    """
    errors: dict[str, InputError] = {}
    for dataset in dict.fromkeys(experiment.dataset for experiment in EXPERIMENTS):
        try:
            protocols(dataset, config, data_dir, folds=False)
        except InputError as error:
            errors[dataset] = error
    reasons = " ".join(map(str, errors.values()))
    left_out = [str(one.number) for one in EXPERIMENTS if one.dataset in errors]
    if len(left_out) == len(EXPERIMENTS):
        raise InputError(reasons)
    if left_out:
        line = f"Left out: {', '.join(left_out)}. {reasons}"
        console.out(printable(line), highlight=False)
    return [experiment for experiment in EXPERIMENTS if experiment.dataset not in errors]
