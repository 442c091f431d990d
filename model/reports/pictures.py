"""Pictures of a report: photographs with activation maps, and augmented views."""

from __future__ import annotations

import base64
import dataclasses
import io

import keras
import numpy as np
from PIL import Image

from sentiflow.pipeline import normalise

from ..scores import maps
from ..scores.predictions import Predictions
from ..training.record import Record

# How many, and how large: a whole report stays far below 3 MB.
RIGHT = 6  # photographs that were classified rightly
WRONG = 6  # photographs that were not
SHEET = 3  # training images
VIEWS = 4  # epochs of these
SIDE = 240  # pixels
SHEET_SIDE = 150  # pixels
QUALITY = 82


@dataclasses.dataclass(frozen=True)
class Photo:
    """One picture of the evaluated split: as the network saw it, and where it looked."""

    filename: str
    label: str
    predicted: str
    confidence: float
    picture: str  # data URI
    map: str  # data URI


def most_confident(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """Positions of every class's surest right answer, and of the surest wrong ones, in order."""
    order = np.argsort(-predictions.confidence, kind="stable")
    correct = predictions.correct[order]
    right = order[correct]
    _, first = np.unique(predictions.labels[right], return_index=True)
    return right[np.sort(first)][:RIGHT], order[~correct][:WRONG]


def photos(
    record: Record,
    network: keras.Model,
    predictions: Predictions,
    positions: np.ndarray,
    *,
    split: str,
) -> list[Photo]:
    """The pictures of some predictions.

    Args:
        record: the run's settings.
        network: float32 [batch, s, s, 3] to probabilities [batch, classes].
        predictions: of the whole split.
        positions: int [n], of those among them that are wanted.
        split: that was predicted.

    Raises:
        InputError: the dataset is not there, or does not hold the pictures.
        OSError: a shard cannot be read.
    """
    if not len(positions):
        return []
    names = [predictions.filenames[i] for i in positions]
    pixels = record.data.windows(split, names, record.inputs)
    overlays = _overlays(record, network, pixels, predictions.predicted[positions])
    classes = record.dataset.class_names
    return [
        Photo(
            filename=name,
            label=classes[predictions.labels[i]],
            predicted=classes[predictions.predicted[i]],
            confidence=float(predictions.confidence[i]),
            picture=data_uri(picture, SIDE),
            map=data_uri(overlay, SIDE),
        )
        for name, i, picture, overlay in zip(names, positions, pixels, overlays, strict=True)
    ]


def _overlays(
    record: Record, network: keras.Model, pixels: np.ndarray, predicted: np.ndarray
) -> list[np.ndarray]:
    """Every picture under the activation map of the class that was predicted of it."""
    images = normalise(pixels.astype(np.float32), record.inputs.preprocess)
    model = maps.class_maps(network)
    # TensorFlow is done with a few pictures before it has compiled anything; JAX would compile
    # every operation alone.
    alone = keras.backend.backend() == "tensorflow"
    outputs = model([images], training=False) if alone else model.predict_on_batch(images)
    class_maps = keras.ops.convert_to_numpy(outputs[1])
    return [
        maps.overlay(picture, class_maps[i, ..., predicted[i]]) for i, picture in enumerate(pixels)
    ]


def contact_sheet(record: Record) -> dict[str, list[str]]:
    """Training images as `pipeline.preview` shows them, as data URIs by the title of their column.

    Raises:
        InputError: the dataset is not there.
        OSError: a shard cannot be read.
    """
    sheet = record.data.sheet("train", images=SHEET, views=VIEWS, settings=record.inputs)
    titles = ["stored", "evaluation", *(f"epoch {number}" for number in range(1, VIEWS + 1))]
    return {
        title: [data_uri(picture, SHEET_SIDE) for picture in column]
        for title, column in zip(titles, sheet.columns.values(), strict=True)
    }


def data_uri(pixels: np.ndarray, side: int) -> str:
    """A picture, uint8 [h, w, 3], as a JPEG that fits into `side` x `side` pixels."""
    picture = Image.fromarray(pixels)
    buffer = io.BytesIO()
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    picture.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
