"""Figures of an evaluation, against values worked out by hand."""

import math

import numpy as np
import pytest

from sentiflow.model.scores import metrics

PROBABILITIES = np.array([[0.92, 0.08], [0.85, 0.15], [0.27, 0.73], [0.39, 0.61]], "float32")
LABELS = np.array([0, 1, 1, 0])


def test_figures_of_four_images():
    scores = metrics.score(PROBABILITIES, LABELS, ["negative", "positive"])
    assert scores.images == 4
    assert scores.accuracy == 0.5
    assert scores.loss == pytest.approx(-math.log(0.92 * 0.15 * 0.73 * 0.39) / 4, 1e-6)
    assert scores.confusion_matrix == [[1, 1], [1, 1]]
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
    error = metrics.calibration(PROBABILITIES, LABELS, bins=10).error
    assert error == pytest.approx((0.08 + 0.85 + 0.27 + 0.61) / 4, abs=1e-6)
    # One bin: |1/2 - mean confidence|.
    assert metrics.calibration(PROBABILITIES, LABELS, bins=1).error == pytest.approx(
        (0.92 + 0.85 + 0.73 + 0.61) / 4 - 0.5, abs=1e-6
    )


def test_certain_and_right_is_perfectly_calibrated():
    certain = np.eye(3, dtype="float32")
    assert metrics.calibration(certain, np.arange(3)).error == 0
    assert metrics.calibration(certain, np.array([1, 2, 0])).error == 1


def test_a_class_that_never_occurs_is_reported_without_a_warning():
    scores = metrics.score(np.array([[0.7, 0.2, 0.1]]), np.array([0]), ["a", "b", "c"])
    assert scores.per_class["c"]["support"] == 0
    assert scores.confusion_matrix == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]
    assert "1.0000" in metrics.report(np.array([[0.7, 0.2, 0.1]]), np.array([0]), ["a", "b", "c"])


def test_the_loss_of_a_certain_error_stays_finite():
    scores = metrics.score(np.array([[0.0, 1.0]]), np.array([0]), ["a", "b"])
    assert scores.loss == pytest.approx(-math.log(1e-7))
