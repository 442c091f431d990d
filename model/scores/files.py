"""A trained network on picture files of any kind."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path

import keras
import numpy as np

from sentiflow import pipeline
from sentiflow.photo import suffixes
from sentiflow.pipeline import InputError

from ..training.record import Record


def find_images(paths: Iterable[Path]) -> Iterator[Path]:
    """Files as given, folders as the picture files below them, in order of name.

    In a folder the suffix tells; a file that is named is tried whatever its suffix.
    """
    for path in paths:
        if path.is_dir():
            yield from sorted(
                item
                for item in path.rglob("*")
                if item.suffix.lower() in suffixes() and item.is_file()
            )
        else:
            yield _composed_alike(path)


def _composed_alike(path: Path) -> Path:
    """The path; where there is none, that of the same letters, composed in another way.

    Names from macOS are decomposed (Unicode's NFD), as few are elsewhere.
    """
    if path.exists() or not path.parent.is_dir():
        return path
    name = _composed(path.name)
    alike = (item for item in path.parent.iterdir() if _composed(item.name) == name)
    return next(alike, path)


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def predict(
    record: Record, network: keras.Model, files: Iterable[Path]
) -> Iterator[tuple[Path, np.ndarray | str]]:
    """Predicts pictures in batches, so that memory stays bounded.

    Yields:
        In order of the files: (file, probabilities float32 [classes]), or (file, reason) where it
            cannot be read.
    """
    for file, outcome in predict_outputs(record, network, files):
        yield file, outcome if isinstance(outcome, str) else outcome[0]


def predict_outputs(
    record: Record, model: keras.Model, files: Iterable[Path]
) -> Iterator[tuple[Path, tuple[np.ndarray, ...] | str]]:
    """As `predict`, for a model of one or several outputs: what each says of the picture."""
    files = iter(files)
    while batch := list(itertools.islice(files, record.inputs.batch_size)):
        pictures: list[np.ndarray | str] = [_read(file, record.inputs) for file in batch]
        images = [picture for picture in pictures if not isinstance(picture, str)]
        outputs = model.predict_on_batch(np.stack(images)) if images else []
        rows = zip(*(outputs if isinstance(outputs, list) else [outputs]), strict=True)
        for file, picture in zip(batch, pictures, strict=True):
            yield file, picture if isinstance(picture, str) else next(rows)


def _read(file: Path, settings: pipeline.Settings) -> np.ndarray | str:
    try:
        return pipeline.read_image(file, settings)
    except InputError as error:
        return str(error)
