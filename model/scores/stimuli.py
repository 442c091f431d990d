"""How well activation maps find what people pointed at: EmotionROI's stimuli maps."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np

from sentiflow import pipeline

from ..networks import heads
from ..training.record import Record
from . import maps
from .split import evaluation_batches

# Standard deviation of the baseline's Gaussian, as a share of the picture's side.
CENTRE_WIDTH = 0.25

LEVELS = 256  # grey levels that a threshold is chosen from


@dataclasses.dataclass(frozen=True)
class Agreement:
    """How well maps agree with the true ones, all in [0, 1]; see `score`."""

    mae: float
    precision: float
    recall: float
    f1: float


@dataclasses.dataclass(frozen=True)
class StimuliScores:
    """What `stimuli-SPLIT.json` holds: means over the pictures of a split.

    Attributes:
        images: number of pictures scored.
        class_map: of the activation map of the predicted class.
        centre: of a Gaussian in the middle of every picture, which any map should beat.
        sentiment_map: of that of `wscnet`, in its networks.
    """

    images: int
    class_map: Agreement
    centre: Agreement
    sentiment_map: Agreement | None = None

    def as_json(self) -> dict[str, Any]:
        """The file's JSON object, which lacks what there is not."""
        values = dataclasses.asdict(self)
        return {name: value for name, value in values.items() if value is not None}


def score(prediction: np.ndarray, truth: np.ndarray) -> Agreement:
    """Compares two maps of the same picture.

    The mean absolute error is that of the values. For precision, recall and F1, each map is divided
    into cells that count and cells that do not, by its own threshold after Otsu; they are those
    of the cells that count. These four are the measures of Yang et al. (see `heads.wscnet`); the
    threshold is ours, so figures are comparable with each other but not with theirs.

    Args:
        prediction: float [s, s] in [0, 1].
        truth: float [s, s] in [0, 1].

    Returns:
        The four, of which the last three are 0 if no cell is found rightly.
    """
    predicted_mask = prediction > otsu(prediction)
    true_mask = truth > otsu(truth)
    hits = int(np.sum(predicted_mask & true_mask))
    predicted = int(np.sum(predicted_mask))
    true = int(np.sum(true_mask))
    return Agreement(
        mae=float(np.mean(np.abs(prediction - truth))),
        precision=hits / max(predicted, 1),
        recall=hits / max(true, 1),
        f1=2 * hits / max(predicted + true, 1),
    )


def otsu(values: np.ndarray) -> float:
    """The threshold with the most variance between the values above and below it.

    It is the lowest of equals.

    Otsu: "A Threshold Selection Method from Gray-Level Histograms", IEEE Transactions on Systems,
    Man, and Cybernetics, 1979.

    Args:
        values: float in [0, 1], of any shape.
    """
    levels = np.arange(LEVELS)
    counts = np.bincount(np.round(values.ravel() * (LEVELS - 1)).astype(int), minlength=LEVELS)
    below = np.cumsum(counts)
    sums = np.cumsum(counts * levels)
    sides = below * (below[-1] - below)
    variance = np.where(
        sides > 0, (sums[-1] * below / below[-1] - sums) ** 2 / np.maximum(sides, 1), 0
    )
    # Halfway to the next level, so that rounding does not matter.
    return float((np.argmax(variance) + 0.5) / (LEVELS - 1))


def score_split(record: Record, network: keras.Model, *, split: str) -> StimuliScores:
    """Scores a network's maps against the stimuli maps of a split; figures are means.

    A prediction is brought to [0, 1] as `maps.heat` does, a stimuli map by dividing it by its
    highest value. Pictures whose stimuli map is missing, or black within the window that the model
    sees, are left out.

    Args:
        record: the run's settings.
        network: float32 [batch, s, s, 3] to probabilities [batch, classes].
        split: split of the run's dataset.

    Raises:
        InputError: there are no stimuli maps.
    """
    inputs = dataclasses.replace(record.inputs, crop="center")
    truths = record.data.stimuli_maps(record.data.files(split, inputs), inputs)
    model = _with_maps(network)
    centre = _centre(inputs.evaluation().image_size)
    scores: dict[str, list[Agreement]] = {}
    for images, _ in evaluation_batches(record, split=split).as_numpy_iterator():
        for outputs in zip(*model.predict_on_batch(images), strict=True):
            truth = next(truths)
            if truth is None or not truth.any():
                continue
            predictions = {
                name: maps.heat(values, inputs.evaluation().image_size)
                for name, values in _scored_maps(*outputs).items()
            }
            for name, prediction in (predictions | {"centre": centre}).items():
                scores.setdefault(name, []).append(score(prediction, truth / truth.max()))
    if not scores:
        raise pipeline.InputError(
            f"No picture of {record.train.dataset}, split {split}, has a stimuli map."
        )
    images = len(scores["centre"])
    return StimuliScores(images, **{name: _mean(rows) for name, rows in scores.items()})


def summary(scores: StimuliScores) -> str:
    """The scores as lines of text."""
    titles = {
        "class_map": "map of the predicted class",
        "sentiment_map": "sentiment map",
        "centre": "centre (baseline)",
    }
    values = scores.as_json()
    lines = [f"Stimuli maps of {scores.images} images:"]
    for name, title in titles.items():
        if name in values:
            figures = "  ".join(f"{measure} {value:.4f}" for measure, value in values[name].items())
            lines.append(f"  {title:<26}  {figures}")
    return "\n".join(lines)


def _with_maps(network: keras.Model) -> keras.Model:
    """Images to probabilities, class maps, and the sentiment map if there is one."""
    outputs = list(maps.class_maps(network).outputs)
    outputs += [layer.output for layer in network.layers if layer.name == heads.SENTIMENT_MAP]
    return keras.Model(network.inputs, outputs)


def _scored_maps(
    probabilities: np.ndarray, class_maps: np.ndarray, *sentiment: np.ndarray
) -> dict[str, np.ndarray]:
    """The maps of one picture that are scored, each [h, w]."""
    scored = {"class_map": class_maps[..., probabilities.argmax()]}
    if sentiment:
        scored["sentiment_map"] = sentiment[0][..., 0]
    return scored


def _centre(size: int) -> np.ndarray:
    distances = (np.arange(size) + 0.5) / size - 0.5
    squares = distances[:, None] ** 2 + distances**2
    return np.exp(-squares / (2 * CENTRE_WIDTH**2)).astype(np.float32)


def _mean(scores: list[Agreement]) -> Agreement:
    means = np.mean([dataclasses.astuple(score) for score in scores], axis=0)
    return Agreement(*map(float, means))
