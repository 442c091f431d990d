"""What a training run is: one frozen dataclass, from which the command's options are made."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from pipeline import InputError

# The reference system's optimiser: SGD with Nesterov momentum 0.9, and lr_t = lr / (1 + 0.0005 t).
MOMENTUM = 0.9
DECAY = 0.0005

# Class-wise maps per class in the reference system's head.
MAPS_PER_CLASS = 4


def _option(default: Any, text: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": text})


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainSettings:
    """Everything about a run that is not its input stage; the defaults are the reference system's experiment 1.

    Raises:
        InputError: a value is outside its range.
    """

    dataset: str = _option("emotionroi/raw256", "TFDS dataset / storage config.")
    data_dir: str = _option("data", "Folder that `tfds build --data_dir` wrote to.")
    backbone: str = _option("resnet101", "Lower-case name in keras.applications, or an image encoder of keras-hub.")
    backbone_options: tuple[str, ...] = _option((), "key=value for its constructor, e.g. alpha=0.25; repeatable.")
    weights: str = _option(
        "imagenet", "imagenet, pretrained, none, a file (.h5, .weights.h5, .keras), or a keras-hub preset's folder."
    )
    recipe: Literal["reference", "best"] = _option("reference", "Preset of options; those that are given override it.")
    head: Literal["gap", "linear", "wscnet", "wildcat"] = _option(
        "gap", "What makes probabilities of the backbone's feature map."
    )
    maps_per_class: int = _option(MAPS_PER_CLASS, "Maps that gap, wscnet and wildcat make for every class.")
    wscnet_pooling: Literal["average", "max"] = _option("average", "How wscnet pools its maps and its features.")
    wildcat_kmax: float = _option(0.2, "Highest places of a map that wildcat averages: their number, or a fraction.")
    wildcat_kmin: float = _option(0.2, "Lowest places of a map that wildcat averages: number, fraction, or 0.")
    wildcat_alpha: float = _option(0.7, "Weight of the lowest places in wildcat.")
    standardise: bool = _option(False, "Give every feature mean 0 and variance 1 over the training images first.")
    dropout: float = _option(0.0, "Fraction of the pooled features that training drops.")
    fine_tune: int = _option(0, "Train the last N layers of the backbone as well, BatchNormalization excepted.")
    fine_tune_after: int = _option(0, "Train the head alone for the first E epochs.")
    fine_tune_rate: float = _option(0.0, "Learning rate after these; 0: a tenth of learning_rate.")
    epochs: int = _option(20, "Passes over the training split.")
    learning_rate: float = _option(0.001, "Learning rate of the first update, or the highest under a warm-up.")
    optimizer: Literal["sgd", "adamw"] = _option("sgd", "SGD with Nesterov momentum 0.9, or AdamW.")
    weight_decay: float = _option(0.0, "Share of a weight times the learning rate that an update takes off it.")
    schedule: Literal["inverse_time", "cosine"] = _option("inverse_time", "How the learning rate falls.")
    decay: float = _option(DECAY, "d in lr_t = lr / (1 + d * t), t the number of updates made; for inverse_time.")
    warmup: float = _option(0.0, "Epochs in which the learning rate rises from 0; for cosine.")
    label_smoothing: float = _option(0.0, "Share of a label that is spread evenly over all classes.")
    class_weights: Literal["none", "balanced"] = _option("none", "balanced: every class counts the same in the loss.")
    mixup: float = _option(0.0, "alpha: mix pairs of images and labels in shares from Beta(alpha, alpha); 0: never.")
    average_weights: int = _option(0, "The final network has the mean of the weights after the last N epochs.")
    views: int = _option(1, "Views of an image, crops and mirror images, whose probabilities an evaluation averages.")
    early_stopping: int = _option(0, "Stop after N epochs without a lower val_loss; 0: never.")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = _option(
        "auto", "auto: bfloat16 where the hardware has it, else float32."
    )
    steps_per_execution: int = _option(1, "Updates in one call of the accelerator; metrics are read between calls.")
    tensorboard: bool = _option(False, "Write TensorBoard logs into the run folder.")

    def __post_init__(self) -> None:
        shortest = min(self.fine_tune_after or self.epochs, self.epochs - self.fine_tune_after)
        last = self.epochs - self.fine_tune_after
        rules = {
            "epochs": (self.epochs >= 1, "at least 1"),
            "learning_rate": (self.learning_rate > 0, "above 0"),
            "weight_decay": (self.weight_decay >= 0, "0 or more"),
            "decay": (self.decay >= 0, "0 or more"),
            "label_smoothing": (0 <= self.label_smoothing < 1, "in [0, 1)"),
            "mixup": (self.mixup >= 0, "0 or more"),
            "views": (self.views >= 1, "at least 1"),
            "dropout": (0 <= self.dropout < 1, "in [0, 1)"),
            "maps_per_class": (self.maps_per_class >= 1, "at least 1"),
            "wildcat_kmax": (_is_share(self.wildcat_kmax) and self.wildcat_kmax > 0, "in (0, 1), or a whole number"),
            "wildcat_kmin": (_is_share(self.wildcat_kmin), "in [0, 1), or a whole number"),
            "wildcat_alpha": (0 <= self.wildcat_alpha <= 1, "in [0, 1]"),
            "fine_tune": (self.fine_tune >= 0, "0 or more layers"),
            "fine_tune_after": (0 <= self.fine_tune_after < self.epochs, f"in [0, {self.epochs}), the epochs"),
            "fine_tune_rate": (self.fine_tune_rate >= 0, "0 or more"),
            "warmup": (0 <= self.warmup < shortest, f"in [0, {shortest}), the epochs that it begins"),
            "average_weights": (0 <= self.average_weights <= last, f"in [0, {last}], the last epochs of one kind"),
            "steps_per_execution": (self.steps_per_execution >= 1, "at least 1"),
            "early_stopping": (self.early_stopping >= 0, "0 or more epochs"),
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                raise InputError(f"{name} must be {rule}. Received: {getattr(self, name)}")
        self._require_fitting()

    def _require_fitting(self) -> None:
        """Refuses an option that would do nothing, or not what it says, beside the others."""
        rules = {
            "warmup": (not self.warmup or self.schedule == "cosine", "needs schedule=cosine"),
            "fine_tune_after": (not self.fine_tune_after or self.fine_tune > 0, "needs fine_tune, the layers to train"),
            "fine_tune_rate": (not self.fine_tune_rate or self.fine_tune_after > 0, "needs fine_tune_after"),
            "average_weights": (not self.average_weights or not self.early_stopping, "excludes early_stopping"),
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                raise InputError(f"{name} {rule}. Received: {name}={getattr(self, name)}")


def _is_share(value: float) -> bool:
    """Whether a value is a fraction, or a number of things."""
    return 0 <= value < 1 or (value >= 1 and float(value).is_integer())
