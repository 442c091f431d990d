"""Figures of an evaluation, against values worked out by hand."""

import math

import numpy as np
import pytest

from sentiflow.model.scores import metrics
from sentiflow.model.scores.predictions import Predictions

PROBABILITIES = np.array([[0.92, 0.08], [0.85, 0.15], [0.27, 0.73], [0.39, 0.61]], "float32")
LABELS = np.array([0, 1, 1, 0])


def predictions(probabilities=PROBABILITIES, labels=LABELS):
    return Predictions.of([""] * len(labels), [(np.asarray(probabilities), np.asarray(labels))])


def test_figures_of_four_images():
    scores = metrics.score(predictions(), ["negative", "positive"])
    assert scores.images == 4
    assert scores.accuracy == 0.5
    assert scores.loss == pytest.approx(-math.log(0.92 * 0.15 * 0.73 * 0.39) / 4, 1e-6)
    assert scores.confusion_matrix.toarray().tolist() == [[1, 1], [1, 1]]
    assert scores.macro_f1 == 0.5
    assert scores.per_class["positive"] == {
        "precision": 0.5,
        "recall": 0.5,
        "f1-score": 0.5,
        "support": 2.0,
    }


def test_calibration_error_by_hand():
    # Ten bins, one image each: confidences .92, .85, .73, .61 with outcomes right, wrong, right,
    # wrong.
    error = metrics.calibration(predictions(), bins=10).error
    assert error == pytest.approx((0.08 + 0.85 + 0.27 + 0.61) / 4, abs=1e-6)
    # One bin: |1/2 - mean confidence|.
    assert metrics.calibration(predictions(), bins=1).error == pytest.approx(
        (0.92 + 0.85 + 0.73 + 0.61) / 4 - 0.5, abs=1e-6
    )


def test_certain_and_right_is_perfectly_calibrated():
    certain = np.eye(3, dtype="float32")
    assert metrics.calibration(predictions(certain, np.arange(3))).error == 0
    assert metrics.calibration(predictions(certain, [1, 2, 0])).error == 1


def test_a_class_that_never_occurs_is_reported_without_a_warning():
    one, names = predictions([[0.7, 0.2, 0.1]], [0]), ["a", "b", "c"]
    scores = metrics.score(one, names)
    assert scores.per_class["c"]["support"] == 0
    assert scores.confusion_matrix.toarray().tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert "1.0000" in metrics.report(one, names)


def test_the_loss_of_a_certain_error_stays_finite():
    scores = metrics.score(predictions([[0.0, 1.0]], [0]), ["a", "b"])
    assert scores.loss == pytest.approx(-math.log(1e-7))


def test_a_class_may_be_called_as_a_line_of_the_report():
    scores = metrics.score(predictions(), ["accuracy", "macro avg"])
    assert scores.per_class["accuracy"]["recall"] == 0.5
