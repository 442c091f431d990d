"""A few images as a stream sees them, without the stream: for contact sheets and reports."""

from __future__ import annotations

import os
from typing import NamedTuple

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import numpy as np
import tensorflow as tf

from sentiflow import startup

from . import draws, pixels, sources
from .host_view import view
from .records import Records
from .settings import Settings, StreamSettings
from .sources import resized
from .view import sample_parameters


class Sheet(NamedTuple):
    """Images of a split, as they are stored and as streams see them.

    Attributes:
        positions: int64 [n], in the split.
        columns: the pictures of these images, each uint8 [h, w, 3], by the column's title.
    """

    positions: np.ndarray
    columns: dict[str, list[np.ndarray]]


def sheet(records: Records, images: int, *, views: int, settings: Settings) -> Sheet:
    """Up to `images` images that take turns among the classes.

    The columns: each as it is stored, as validation sees it, and as training sees it in each of
    `views` epochs.
    """
    positions = spread(records.label, min(images, len(records)))
    selected = records.take(positions)
    columns = {
        "stored": [np.array(image) for image in resized.images(selected, settings.evaluation())],
        "validation": list(windows(records, positions, settings.evaluation())),
    }
    for epoch in range(views):
        seen = windows(records, positions, settings.training(), epoch=epoch)
        columns[f"training, epoch {epoch}"] = list(seen)
    return Sheet(positions, columns)


def windows(
    records: Records, positions: np.ndarray, settings: StreamSettings, *, epoch: int = 0
) -> np.ndarray:
    """Images as an epoch of a stream sees them, before preprocessing: uint8 [n, s, s, 3].

    Args:
        records: of the split.
        positions: int64 [n], in the split.
        settings: of the stream; its tier must not be `device`.
        epoch: its draws are taken.
    """
    images = tf.constant(positions, tf.int64)
    uniforms = draws.uniforms(images, seed=settings.seed, epoch=tf.constant(epoch, tf.int64))
    source = sources.choose(records, records, settings)
    parameters = sample_parameters(uniforms, settings)
    if source.flips:
        del parameters["flip"]
    # Not compiled: that takes longer than to work on a few pictures.
    cut = source.windows(images, uniforms)
    return view.python_function(cut, preprocess="none", **parameters).numpy()


def read_image(path: str | os.PathLike[str], settings: Settings) -> np.ndarray:
    """A picture file as a stream with `training=False` gives it.

    Returns:
        float32 [s, s, 3], or uint8 without preprocessing.

    Raises:
        InputError: the file cannot be read or decoded.
    """
    startup.leave_accelerator_to_jax()
    window = pixels.read_file(path, settings)
    return view(window[None], preprocess=settings.preprocess)[0].numpy()


def spread(labels: np.ndarray, count: int) -> np.ndarray:
    """Positions of `count` images that take turns among the classes: int64 [count]."""
    order = np.argsort(labels, kind="stable")
    ranked = labels[order]
    turn = np.empty(len(labels), np.int64)
    # How many of its class come before an image.
    turn[order] = np.arange(len(labels)) - np.searchsorted(ranked, ranked)
    return np.lexsort((labels, turn))[:count]
