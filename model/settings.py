"""What a training run is: one frozen dataclass, from which the command's options are made."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from sentiflow.options import InputError, check, option, parse_pairs

from .networks.head_options import FORMER_OPTIONS, current_options, options_class

# The reference system's optimiser: SGD with Nesterov momentum 0.9, and lr_t = lr / (1 + 0.0005 t).
MOMENTUM = 0.9
DECAY = 0.0005

# Class-wise maps per class in the reference system's head.
MAPS_PER_CLASS = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Everything about a run that is not its input stage; the defaults are experiment 1.

    Raises:
        InputError: a value is outside its range.
    """

    dataset: str = option("emotionroi/raw256", "TFDS dataset / storage config.", group="data")
    data_dir: str = option("data", "Folder that `tfds build --data_dir` wrote to.", group="data")
    backbone: str = option(
        "resnet101",
        "Lower-case name in keras.applications, or an image encoder of keras-hub.",
        group="network",
    )
    backbone_options: tuple[str, ...] = option(
        (), "key=value for its constructor, e.g. alpha=0.25; repeatable.", group="network"
    )
    weights: str = option(
        "imagenet",
        "imagenet, pretrained, none, a file (.h5, .weights.h5, .keras), or a keras-hub preset's "
        "folder.",
        group="network",
    )
    recipe: Literal["reference", "best"] = option(
        "reference", "Preset of options; those that are given override it.", group="training"
    )
    head: Literal["gap", "linear", "wscnet", "wildcat"] = option(
        "gap", "What makes probabilities of the backbone's feature map.", group="network"
    )
    maps_per_class: int = option(
        MAPS_PER_CLASS,
        "Maps that gap, wscnet and wildcat make for every class.",
        at_least=1,
        group="network",
    )
    head_options: tuple[str, ...] = option(
        (), "key=value for the head, e.g. kmax=0.1 for wildcat; repeatable.", group="network"
    )
    standardise: bool = option(
        False,
        "Give every feature mean 0 and variance 1 over the training images first.",
        group="network",
    )
    dropout: float = option(
        0.0,
        "Fraction of the pooled features that training drops.",
        at_least=0,
        below=1,
        group="network",
    )
    fine_tune: int = option(
        0,
        "Train the last N layers of the backbone as well, BatchNormalization excepted.",
        at_least=0,
        unit="layers",
        group="training",
    )
    fine_tune_after: int = option(
        0,
        "Train the head alone for the first E epochs.",
        at_least=0,
        unit="epochs",
        group="training",
    )
    fine_tune_rate: float = option(
        0.0, "Learning rate after these; 0: a tenth of learning_rate.", at_least=0, group="training"
    )
    epochs: int = option(20, "Passes over the training split.", at_least=1, group="training")
    learning_rate: float = option(
        0.001,
        "Learning rate of the first update, or the highest under a warm-up.",
        above=0,
        group="training",
    )
    optimizer: Literal["sgd", "adamw"] = option(
        "sgd", "SGD with Nesterov momentum 0.9, or AdamW.", group="training"
    )
    weight_decay: float = option(
        0.0,
        "Share of a weight times the learning rate that an update takes off it.",
        at_least=0,
        group="training",
    )
    schedule: Literal["inverse_time", "cosine"] = option(
        "inverse_time", "How the learning rate falls.", group="training"
    )
    decay: float = option(
        DECAY,
        "d in lr_t = lr / (1 + d * t), t the number of updates made; for inverse_time.",
        at_least=0,
        group="training",
    )
    warmup: float = option(
        0.0,
        "Epochs in which the learning rate rises from 0; for cosine.",
        at_least=0,
        unit="epochs",
        group="training",
    )
    label_smoothing: float = option(
        0.0,
        "Share of a label that is spread evenly over all classes.",
        at_least=0,
        below=1,
        group="training",
    )
    class_weights: Literal["none", "balanced"] = option(
        "none", "balanced: every class counts the same in the loss.", group="training"
    )
    mixup: float = option(
        0.0,
        "alpha: mix pairs of images and labels in shares from Beta(alpha, alpha); 0: never.",
        at_least=0,
        group="training",
    )
    average_weights: int = option(
        0,
        "The final network has the mean of the weights after the last N epochs.",
        at_least=0,
        unit="epochs",
        group="training",
    )
    views: int = option(
        1,
        "Views of an image, crops and mirror images, whose probabilities an evaluation averages.",
        at_least=1,
        group="evaluation",
    )
    early_stopping: int = option(
        0,
        "Stop after N epochs without a lower val_loss; 0: never.",
        at_least=0,
        unit="epochs",
        group="training",
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = option(
        "auto", "auto: bfloat16 where the hardware has it, else float32.", group="computation"
    )
    steps_per_execution: int = option(
        1,
        "Updates in one call of the accelerator; metrics are read between calls.",
        at_least=1,
        group="computation",
    )
    tensorboard: bool = option(False, "Write TensorBoard logs into the run folder.", group="output")

    @classmethod
    def read(cls, values: dict[str, Any]) -> TrainSettings:
        """The settings that JSON values by field make; options of heads may be those of 0.1.0.

        Raises:
            KeyError: a list is missing.
            TypeError: a value is no field's.
            InputError: a value is outside its range.
        """
        values = {"head_options": ()} | values
        former = {name: values.pop(name) for name in FORMER_OPTIONS if name in values}
        texts = [*values["head_options"], *current_options(values["head"], former)]
        return cls(
            **values
            | {"head_options": tuple(texts), "backbone_options": tuple(values["backbone_options"])}
        )

    @property
    def of_head(self) -> Any:
        """The options of the head alone, an object of its `options_class`.

        Raises:
            InputError: it has no such option, or a value is outside its range.
        """
        kind = options_class(self.head)
        values = parse_pairs(
            self.head_options,
            option="head_options",
            example="kmax=0.1",
            owner=f"the head {self.head}",
            known=[field.name for field in dataclasses.fields(kind)],
        )
        return kind(**values)

    def __post_init__(self) -> None:
        check(self)
        self.of_head  # noqa: B018  # refuses what the head does not have
        self._require_lengths()
        self._require_fitting()

    def _require_lengths(self) -> None:
        """Refuses parts of a training that are longer than the whole, and shares that are none."""
        shortest = min(self.fine_tune_after or self.epochs, self.epochs - self.fine_tune_after)
        last = self.epochs - self.fine_tune_after
        rules = {
            "fine_tune_after": (
                self.fine_tune_after < self.epochs,
                f"in [0, {self.epochs}), the epochs",
            ),
            "warmup": (self.warmup < shortest, f"in [0, {shortest}), the epochs that it begins"),
            "average_weights": (
                self.average_weights <= last,
                f"in [0, {last}], the last epochs of one kind",
            ),
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                raise InputError(f"{name} must be {rule}. Received: {getattr(self, name)}")

    def _require_fitting(self) -> None:
        """Refuses an option that would do nothing, or not what it says, beside the others."""
        rules = {
            "warmup": (not self.warmup or self.schedule == "cosine", "needs schedule=cosine"),
            "fine_tune_after": (
                not self.fine_tune_after or self.fine_tune > 0,
                "needs fine_tune, the layers to train",
            ),
            "fine_tune_rate": (
                not self.fine_tune_rate or self.fine_tune_after > 0,
                "needs fine_tune_after",
            ),
            "average_weights": (
                not self.average_weights or not self.early_stopping,
                "excludes early_stopping",
            ),
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                raise InputError(f"{name} {rule}. Received: {name}={getattr(self, name)}")
