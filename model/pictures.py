"""What a report shows of the dataset: photographs with activation maps, augmented views, and the dataset's card."""

from __future__ import annotations

import base64
import csv
import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import keras
import numpy as np
from PIL import Image

from sentiflow.pipeline import normalise

from . import explain, run

# How many, and how large: a whole report stays far below 3 MB.
RIGHT, WRONG, SHEET, VIEWS = 6, 6, 3, 4
SIDE, SHEET_SIDE = 240, 150  # pixels
QUALITY = 82


@dataclasses.dataclass(frozen=True)
class Predictions:
    """The rows of `predictions-SPLIT.csv`."""

    filenames: list[str]
    labels: np.ndarray  # int64 [n]
    probabilities: np.ndarray  # float64 [n, classes]

    @property
    def predicted(self) -> np.ndarray:
        """The class with the highest probability: int64 [n]."""
        return self.probabilities.argmax(axis=1)

    @property
    def confidence(self) -> np.ndarray:
        """The probability of that class: float64 [n]."""
        return self.probabilities.max(axis=1)


@dataclasses.dataclass(frozen=True)
class Photo:
    """One picture of the evaluated split: as the network saw it, and where it looked."""

    filename: str
    label: str
    predicted: str
    confidence: float
    picture: str  # data URI
    map: str  # data URI


def read_predictions(path: Path, class_names: list[str]) -> Predictions:
    """Reads what `model.evaluate` wrote."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    labels = np.array([class_names.index(row["label"]) for row in rows], np.int64)
    values = [[float(row[name]) for name in class_names] for row in rows]
    return Predictions(
        [row["filename"] for row in rows], labels, np.array(values).reshape(-1, len(class_names))
    )


def most_confident(predictions: Predictions) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the surest right answer of every class, and of the surest wrong answers, surest first."""
    order = np.argsort(-predictions.confidence, kind="stable")
    correct = predictions.predicted[order] == predictions.labels[order]
    right = order[correct]
    _, first = np.unique(predictions.labels[right], return_index=True)
    return right[np.sort(first)][:RIGHT], order[~correct][:WRONG]


def photos(
    record: run.Record,
    network: keras.Model,
    predictions: Predictions,
    chosen: np.ndarray,
    *,
    split: str,
) -> list[Photo]:
    """The chosen predictions' pictures.

    Raises:
        InputError: the dataset is not there, or does not hold the pictures.
        OSError: a shard cannot be read.
    """
    if not len(chosen):
        return []
    names = [predictions.filenames[i] for i in chosen]
    pixels = record.data.windows(split, names, record.inputs)
    overlays = _overlays(record, network, pixels, predictions.predicted[chosen])
    classes = record.dataset["class_names"]
    return [
        Photo(
            filename=name,
            label=classes[predictions.labels[i]],
            predicted=classes[predictions.predicted[i]],
            confidence=float(predictions.confidence[i]),
            picture=data_uri(picture, SIDE),
            map=data_uri(overlay, SIDE),
        )
        for name, i, picture, overlay in zip(names, chosen, pixels, overlays, strict=True)
    ]


def _overlays(
    record: run.Record, network: keras.Model, pixels: np.ndarray, predicted: np.ndarray
) -> list[np.ndarray]:
    """Every picture under the activation map of the class that was predicted of it."""
    images = normalise(pixels.astype(np.float32), record.inputs.preprocess)
    model = explain.class_maps(network)
    # TensorFlow is done with a few pictures before it has compiled anything; JAX would compile
    # every operation alone.
    alone = keras.backend.backend() == "tensorflow"
    _, maps = model([images], training=False) if alone else model.predict_on_batch(images)
    maps = keras.ops.convert_to_numpy(maps)
    return [
        explain.overlay(picture, maps[i, ..., predicted[i]]) for i, picture in enumerate(pixels)
    ]


def contact_sheet(record: run.Record) -> dict[str, list[str]]:
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


def card(record: run.Record) -> dict[str, Any]:
    """What there is to know about a dataset.

    Returns:
        `counts` (images by class, for every split), `bytes` on disk, `facts` (metadata.json), `bad`
        (the rows of quarantine.tsv).

    Raises:
        InputError: the dataset is not there.
        OSError: one of its files cannot be read.
    """
    place = Path(record.data.folder)
    classes = len(record.dataset["class_names"])
    splits = [name for name, images in record.dataset["splits"].items() if images and name != "all"]
    counts = {
        split: np.bincount(record.data.labels(split, record.inputs), minlength=classes).tolist()
        for split in splits
    }
    return {
        "counts": counts,
        "bytes": sum(file.stat().st_size for file in place.iterdir() if file.is_file()),
        "facts": json.loads((place / "metadata.json").read_text()),
        "bad": _quarantine(place / "quarantine.tsv"),
    }


def _quarantine(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, dialect="excel-tab"))


def data_uri(pixels: np.ndarray, side: int) -> str:
    """A picture, uint8 [h, w, 3], as a JPEG that fits into `side` x `side` pixels."""
    picture, buffer = Image.fromarray(pixels), io.BytesIO()
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    picture.save(buffer, "JPEG", quality=QUALITY, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
