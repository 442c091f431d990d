"""Measures of a classifier, from its probabilities for every image."""

from __future__ import annotations

import dataclasses

import numpy as np
from sklearn.metrics import classification_report, confusion_matrix

# Bins of the calibration error in Guo et al. (2017), section 5.
CALIBRATION_BINS = 15


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


def calibration(
    probabilities: np.ndarray, labels: np.ndarray, *, bins: int = CALIBRATION_BINS
) -> Calibration:
    """Sorts images into the bins (0, 1/bins], ..., (1 - 1/bins, 1] of confidence.

    Args:
        probabilities: float [n, classes].
        labels: int [n].
        bins: number of bins.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    correct = (probabilities.argmax(axis=1) == labels).astype(np.float64)
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


@dataclasses.dataclass(frozen=True)
class Scores:
    """All figures of an evaluation, every image counted once.

    Attributes:
        images: their number.
        accuracy: share of them that is classified rightly.
        loss: mean cross-entropy, nats.
        macro_f1: mean of the classes' F1.
        expected_calibration_error: see `Calibration.error`.
        per_class: precision, recall, f1-score and support by class name.
        confusion_matrix: images, rows being the true classes.
    """

    images: int
    accuracy: float
    loss: float
    macro_f1: float
    expected_calibration_error: float
    per_class: dict[str, dict[str, float]]
    confusion_matrix: list[list[int]]

    @property
    def figures(self) -> Figures:
        """The four figures that sum it up."""
        return Figures(self.accuracy, self.loss, self.macro_f1, self.expected_calibration_error)


def score(probabilities: np.ndarray, labels: np.ndarray, class_names: list[str]) -> Scores:
    """Scores a classifier.

    Args:
        probabilities: float [n, classes], n at least 1.
        labels: int [n].
        class_names: names of the classes.
    """
    predicted = probabilities.argmax(axis=1)
    indices = range(len(class_names))
    report = classification_report(
        labels,
        predicted,
        labels=indices,
        target_names=class_names,
        output_dict=True,
        zero_division=0,
    )
    of_truth = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    return Scores(
        images=len(labels),
        accuracy=float(np.mean(predicted == labels)),
        # Keras bounds probabilities by the same epsilon.
        loss=float(-np.mean(np.log(np.clip(of_truth, 1e-7, 1.0)))),
        macro_f1=float(report["macro avg"]["f1-score"]),
        expected_calibration_error=calibration(probabilities, labels).error,
        per_class={
            name: {key: float(value) for key, value in report[name].items()} for name in class_names
        },
        confusion_matrix=confusion_matrix(labels, predicted, labels=indices).tolist(),
    )


def report(probabilities: np.ndarray, labels: np.ndarray, class_names: list[str]) -> str:
    """scikit-learn's classification report as text."""
    return classification_report(
        labels,
        probabilities.argmax(axis=1),
        labels=range(len(class_names)),
        target_names=class_names,
        digits=4,
        zero_division=0,
    )
