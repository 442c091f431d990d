"""Measures of a classifier, from what it says of every image."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from sklearn.metrics import classification_report, precision_recall_fscore_support

from . import confusion
from .predictions import Predictions

# Bins of the calibration error in Guo et al. (2017), section 5.
CALIBRATION_BINS = 15

OF_CLASS = ("precision", "recall", "f1-score", "support")


@dataclasses.dataclass(frozen=True)
class Calibration:
    """Images sorted into equal-width bins of confidence, the probability of the predicted class."""

    images: np.ndarray  # int64 [bins]
    confidence: np.ndarray  # float64 [bins], mean; 0 where a bin is empty
    accuracy: np.ndarray  # float64 [bins], mean; 0 where a bin is empty

    @property
    def error(self) -> float:
        """Expected calibration error: mean |accuracy - confidence| over all images, by bin.

        Guo, Pleiss, Sun, Weinberger: "On Calibration of Modern Neural Networks", ICML 2017,
            equation 3.
        """
        return float(
            np.sum(self.images * np.abs(self.accuracy - self.confidence)) / np.sum(self.images)
        )


def calibration(predictions: Predictions, *, bins: int = CALIBRATION_BINS) -> Calibration:
    """Sorts images into the bins (0, 1/bins], ..., (1 - 1/bins, 1] of confidence.

    Args:
        predictions: of the images.
        bins: number of bins.
    """
    confidence = predictions.confidence.astype(np.float64)
    correct = predictions.correct.astype(np.float64)
    bin_of = np.clip(np.ceil(confidence * bins).astype(int) - 1, 0, bins - 1)
    images = np.bincount(bin_of, minlength=bins)
    divisor = np.maximum(images, 1)
    means = [
        np.bincount(bin_of, weights=values, minlength=bins) / divisor
        for values in (confidence, correct)
    ]
    return Calibration(images, *means)


@dataclasses.dataclass(frozen=True)
class Figures:
    """The four figures that sum an evaluation up; see `Scores`."""

    accuracy: float
    loss: float
    macro_f1: float
    expected_calibration_error: float


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """All figures of an evaluation, every image counted once.

    Attributes:
        images: their number.
        accuracy: share of them that is classified rightly.
        loss: mean cross-entropy, nats.
        macro_f1: mean of the classes' F1.
        expected_calibration_error: see `Calibration.error`.
        per_class: precision, recall, f1-score and support by class name.
        confusion_matrix: images, rows being the true classes; see `confusion.count`.
    """

    images: int
    accuracy: float
    loss: float
    macro_f1: float
    expected_calibration_error: float
    per_class: dict[str, dict[str, float]]
    confusion_matrix: csr_array

    @property
    def figures(self) -> Figures:
        """The four figures that sum it up."""
        return Figures(self.accuracy, self.loss, self.macro_f1, self.expected_calibration_error)

    def as_json(self) -> dict[str, Any]:
        """A JSON object: the fields, the matrix as `confusion.as_json` has it."""
        values = dict(vars(self))
        return values | confusion.as_json(values.pop("confusion_matrix"))

    @classmethod
    def read(cls, values: dict[str, Any]) -> Scores:
        """The scores that a JSON object makes; keys of something else are left out."""
        names = [field.name for field in dataclasses.fields(cls)][:-1]
        matrix = confusion.from_json(values, len(values["per_class"]))
        return cls(**{name: values[name] for name in names}, confusion_matrix=matrix)


def score(predictions: Predictions, class_names: list[str]) -> Scores:
    """Scores a classifier.

    Args:
        predictions: of at least one image.
        class_names: names of the classes.
    """
    labels, predicted = predictions.labels, predictions.predicted
    classes = len(class_names)
    columns = precision_recall_fscore_support(
        labels, predicted, labels=range(classes), zero_division=0
    )
    rows = zip(*(column.tolist() for column in columns), strict=True)
    of_label = predictions.of_label.astype(np.float64)
    return Scores(
        images=len(labels),
        accuracy=float(np.mean(predictions.correct)),
        # Keras bounds probabilities by the same epsilon.
        loss=float(-np.mean(np.log(np.clip(of_label, 1e-7, 1.0)))),
        macro_f1=float(np.mean(columns[2])),
        expected_calibration_error=calibration(predictions).error,
        per_class={
            name: dict(zip(OF_CLASS, map(float, row), strict=True))
            for name, row in zip(class_names, rows, strict=True)
        },
        confusion_matrix=confusion.count(labels, predicted, classes),
    )


def report(predictions: Predictions, class_names: list[str]) -> str:
    """scikit-learn's classification report as text."""
    return classification_report(
        predictions.labels,
        predictions.predicted,
        labels=range(len(class_names)),
        target_names=class_names,
        digits=4,
        zero_division=0,
    )
