"""Rows of `results.json`: one object a run of a set of experiments."""

from __future__ import annotations

import dataclasses
from typing import Any

PACKAGES = ("python", "keras", "tensorflow", "jax")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ResultRow:
    """A finished run of a set; the fields are the keys of an object in `results.json`.

    Attributes:
        experiment: number, or what stands for it.
        name: what tells it from the others.
        protocol: which images were trained and tested on, in words.
        published: accuracy that was published of the experiment, as a share, in percent, or in
            words; None: nothing was.
        dataset: "name/config".
        agreement: Twitter I: annotators that agree on a label; None elsewhere.
        fold: of the cross-validation, from 0; None without one.
        split: that was evaluated.
        images: of that split.
        dataset_images: of all splits.
        accuracy: of the split, in [0, 1].
        macro_f1: of the split, in [0, 1].
        loss: of the split, nats.
        best_epoch: the one with the lowest val_loss, from 1.
        seconds: of training.
        run: the run's folder, relative to the set's.
        environment: backend, precision, device, processor, cores, versions and commit by these
            names; of runs of 0.1.0, the first three.
    """

    experiment: int | str | None
    name: str
    protocol: str
    published: float | str | None = None
    dataset: str
    batch_size: int
    learning_rate: float
    epochs: int
    head: str
    recipe: str
    backbone: str
    weights: str
    seed: int
    agreement: int | None = None
    fold: int | None = None
    split: str
    images: int
    dataset_images: int
    accuracy: float
    macro_f1: float
    loss: float
    best_epoch: int
    seconds: float
    run: str
    environment: dict[str, Any]

    def __post_init__(self) -> None:
        if not 0 <= self.accuracy <= 1:
            raise ValueError(f"accuracy must be in [0, 1]. Received: {self.accuracy}")

    @classmethod
    def read(cls, values: dict[str, Any]) -> ResultRow:
        """The row that a JSON object makes; keys that are none of its fields are left out.

        Raises:
            TypeError: a key is missing.
            ValueError: the accuracy is no share.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in names})

    @property
    def dataset_name(self) -> str:
        """The dataset without its config."""
        return self.dataset.partition("/")[0]

    @property
    def network(self) -> str:
        """What was trained, in words."""
        return f"{self.backbone}, {self.weights} weights, {self.head} head, recipe {self.recipe}"

    @property
    def machine(self) -> str:
        """What trained it, in words; empty of runs of 0.1.0."""
        if "cpu" not in self.environment:
            return ""
        facts = self.environment
        versions = [f"{name} {facts[name]}" for name in PACKAGES if name in facts]
        hardware = f"{facts['device']}, {facts['cpu']}, {facts['cores']} cores"
        return f"{hardware}; {', '.join(versions)}; commit {facts['commit'] or 'none'}"

    @property
    def line(self) -> tuple[Any, ...]:
        """What the runs of one line of the table share; they differ in seed and fold."""
        return self.experiment, self.name, self.dataset, self.protocol


@dataclasses.dataclass(frozen=True)
class RunLabels:
    """What a run is in its set; see the fields of `ResultRow`."""

    experiment: int | str
    name: str
    protocol: str
    published: float | None
