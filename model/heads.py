"""Heads: what makes probabilities of a backbone's feature map."""

from __future__ import annotations

from collections.abc import Callable

import keras
from keras import layers

from model.settings import TrainSettings

# Class-wise maps per class in the reference system's head.
MAPS_PER_CLASS = 4


def gap(features: keras.KerasTensor, classes: int, settings: TrainSettings) -> keras.KerasTensor:
    """The reference system's head: k class-wise maps per class, global average pooling, one dense layer.

    Args:
        features: feature map, [batch, height, width, channels].
        classes: number of classes.
        settings: `dropout` is used.

    Returns:
        Probabilities, float32 [batch, classes].
    """
    maps = layers.Conv2D(classes * MAPS_PER_CLASS, 1, activation="relu", padding="same", name="maps")(features)
    pooled = layers.GlobalAveragePooling2D(name="pooled")(maps)
    if settings.dropout:
        pooled = layers.Dropout(settings.dropout, name="dropout")(pooled)
    logits = layers.Dense(classes, name="logits")(pooled)
    return layers.Activation("softmax", dtype="float32", name="probabilities")(logits)


HEADS: dict[str, Callable[[keras.KerasTensor, int, TrainSettings], keras.KerasTensor]] = {"gap": gap}
