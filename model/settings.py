"""What a training run is: one frozen dataclass, from which the command's options are made."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from sentiflow.options import InputError, check, option

# The reference system's optimiser: SGD with Nesterov momentum 0.9, and lr_t = lr / (1 + 0.0005 t).
MOMENTUM = 0.9
DECAY = 0.0005

# Class-wise maps per class in the reference system's head.
MAPS_PER_CLASS = 4


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Everything about a run that is not its input stage; the defaults are the reference system's experiment 1.

    Raises:
        InputError: a value is outside its range.
    """

    dataset: str = option("emotionroi/raw256", "TFDS dataset / storage config.")
    data_dir: str = option("data", "Folder that `tfds build --data_dir` wrote to.")
    backbone: str = option(
        "resnet101", "Lower-case name in keras.applications, or an image encoder of keras-hub."
    )
    backbone_options: tuple[str, ...] = option(
        (), "key=value for its constructor, e.g. alpha=0.25; repeatable."
    )
    weights: str = option(
        "imagenet",
        "imagenet, pretrained, none, a file (.h5, .weights.h5, .keras), or a keras-hub preset's folder.",
    )
    recipe: Literal["reference", "best"] = option(
        "reference", "Preset of options; those that are given override it."
    )
    head: Literal["gap", "linear", "wscnet", "wildcat"] = option(
        "gap", "What makes probabilities of the backbone's feature map."
    )
    maps_per_class: int = option(
        MAPS_PER_CLASS, "Maps that gap, wscnet and wildcat make for every class.", at_least=1
    )
    wscnet_pooling: Literal["average", "max"] = option(
        "average", "How wscnet pools its maps and its features."
    )
    wildcat_kmax: float = option(
        0.2, "Highest places of a map that wildcat averages: their number, or a fraction."
    )
    wildcat_kmin: float = option(
        0.2, "Lowest places of a map that wildcat averages: number, fraction, or 0."
    )
    wildcat_alpha: float = option(
        0.7, "Weight of the lowest places in wildcat.", at_least=0, at_most=1
    )
    standardise: bool = option(
        False, "Give every feature mean 0 and variance 1 over the training images first."
    )
    dropout: float = option(
        0.0, "Fraction of the pooled features that training drops.", at_least=0, below=1
    )
    fine_tune: int = option(
        0,
        "Train the last N layers of the backbone as well, BatchNormalization excepted.",
        at_least=0,
        unit="layers",
    )
    fine_tune_after: int = option(
        0, "Train the head alone for the first E epochs.", at_least=0, unit="epochs"
    )
    fine_tune_rate: float = option(
        0.0, "Learning rate after these; 0: a tenth of learning_rate.", at_least=0
    )
    epochs: int = option(20, "Passes over the training split.", at_least=1)
    learning_rate: float = option(
        0.001, "Learning rate of the first update, or the highest under a warm-up.", above=0
    )
    optimizer: Literal["sgd", "adamw"] = option("sgd", "SGD with Nesterov momentum 0.9, or AdamW.")
    weight_decay: float = option(
        0.0, "Share of a weight times the learning rate that an update takes off it.", at_least=0
    )
    schedule: Literal["inverse_time", "cosine"] = option(
        "inverse_time", "How the learning rate falls."
    )
    decay: float = option(
        DECAY,
        "d in lr_t = lr / (1 + d * t), t the number of updates made; for inverse_time.",
        at_least=0,
    )
    warmup: float = option(
        0.0,
        "Epochs in which the learning rate rises from 0; for cosine.",
        at_least=0,
        unit="epochs",
    )
    label_smoothing: float = option(
        0.0, "Share of a label that is spread evenly over all classes.", at_least=0, below=1
    )
    class_weights: Literal["none", "balanced"] = option(
        "none", "balanced: every class counts the same in the loss."
    )
    mixup: float = option(
        0.0,
        "alpha: mix pairs of images and labels in shares from Beta(alpha, alpha); 0: never.",
        at_least=0,
    )
    average_weights: int = option(
        0,
        "The final network has the mean of the weights after the last N epochs.",
        at_least=0,
        unit="epochs",
    )
    views: int = option(
        1,
        "Views of an image, crops and mirror images, whose probabilities an evaluation averages.",
        at_least=1,
    )
    early_stopping: int = option(
        0, "Stop after N epochs without a lower val_loss; 0: never.", at_least=0, unit="epochs"
    )
    precision: Literal["auto", "float32", "bfloat16", "float16"] = option(
        "auto", "auto: bfloat16 where the hardware has it, else float32."
    )
    steps_per_execution: int = option(
        1, "Updates in one call of the accelerator; metrics are read between calls.", at_least=1
    )
    tensorboard: bool = option(False, "Write TensorBoard logs into the run folder.")

    @classmethod
    def read(cls, values: dict[str, Any]) -> TrainSettings:
        """The settings that JSON values by field make.

        Raises:
            KeyError: a list is missing.
            TypeError: a value is no field's.
            InputError: a value is outside its range.
        """
        return cls(**(values | {"backbone_options": tuple(values["backbone_options"])}))

    def __post_init__(self) -> None:
        check(self)
        self._require_lengths()
        self._require_fitting()

    def _require_lengths(self) -> None:
        """Refuses parts of a training that are longer than the whole, and shares that are none."""
        shortest = min(self.fine_tune_after or self.epochs, self.epochs - self.fine_tune_after)
        last = self.epochs - self.fine_tune_after
        rules = {
            "wildcat_kmax": (
                _is_share(self.wildcat_kmax) and self.wildcat_kmax > 0,
                "in (0, 1), or a whole number",
            ),
            "wildcat_kmin": (_is_share(self.wildcat_kmin), "in [0, 1), or a whole number"),
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


def _is_share(value: float) -> bool:
    """Whether a value is a fraction, or a number of things."""
    return 0 <= value < 1 or (value >= 1 and float(value).is_integer())
