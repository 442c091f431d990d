"""Heads: what makes probabilities of a backbone's feature map."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops

from sentiflow.pipeline import InputError

from ..settings import TrainSettings

# The layer that gives one map a class, float32 [batch, height, width, classes], in heads that have
# such maps.
CLASS_MAPS = "class_maps"

# The layer that gives the sentiment map of `wscnet`, float32 [batch, height, width, 1].
SENTIMENT_MAP = "sentiment_map"

# The layer that gives logits of a head's auxiliary branch, [batch, classes].
AUXILIARY = "auxiliary_logits"


def gap(features: keras.KerasTensor, classes: int, settings: TrainSettings) -> keras.KerasTensor:
    """The reference system's head: k maps a class, global average pooling, one dense layer.

    Args:
        features: feature map, [batch, height, width, channels].
        classes: number of classes.
        settings: `maps_per_class` and `dropout` are used.

    Returns:
        Probabilities, float32 [batch, classes].
    """
    channels = classes * settings.maps_per_class
    maps = layers.Conv2D(channels, 1, activation="relu", padding="same", name="maps")(features)
    pooled = layers.GlobalAveragePooling2D(name="pooled")(maps)
    return _classify(pooled, classes, settings)


def linear(features: keras.KerasTensor, classes: int, settings: TrainSettings) -> keras.KerasTensor:
    """Logistic regression on the averaged features; arguments and result as of `gap`."""
    pooled = layers.GlobalAveragePooling2D(name="pooled")(features)
    return _classify(pooled, classes, settings)


def wscnet(features: keras.KerasTensor, classes: int, settings: TrainSettings) -> keras.KerasTensor:
    """Weakly supervised coupled network.

    One branch finds where the sentiment is, the other classifies with it.

    Detection: k maps a class, pooled over their cells and averaged over k, are the logits v. The
    sentiment map is the sum over the classes of v times the class's mean map. Classification: the
    features, and beside them the features times the sentiment map, pooled, and one dense layer.
    Both branches are trained, see `auxiliary`.

    Yang, She, Lai, Rosin, Yang: "Weakly Supervised Coupled Networks for Visual Sentiment Analysis",
        CVPR 2018.

    Args:
        features: feature map, [batch, height, width, channels].
        classes: number of classes.
        settings: `maps_per_class`, `pooling` (of both branches) and `dropout` are used.

    Returns:
        Probabilities of the classification branch, float32 [batch, classes].
    """
    pool = {"average": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}[
        settings.of_head.pooling
    ]
    maps, class_maps = _class_wise_maps(features, classes, settings)
    pooled = layers.Reshape((classes, settings.maps_per_class))(pool(name="pooled_maps")(maps))
    logits = layers.Activation("linear", dtype="float32", name=AUXILIARY)(ops.mean(pooled, axis=-1))
    weighted = layers.Multiply(dtype="float32")(
        [class_maps, layers.Reshape((1, 1, classes), dtype="float32")(logits)]
    )
    sentiment = ops.sum(weighted, axis=-1, keepdims=True)
    sentiment = layers.Activation("linear", dtype="float32", name=SENTIMENT_MAP)(sentiment)
    coupled = layers.Concatenate(name="coupled")(
        [features, layers.Multiply()([features, sentiment])]
    )
    return _classify(pool(name="pooled")(coupled), classes, settings)


def wildcat(
    features: keras.KerasTensor, classes: int, settings: TrainSettings
) -> keras.KerasTensor:
    """Class-wise pooling of k maps a class, then spatial pooling of the extreme values.

    The k maps of a class become their mean. A class's logit is the mean of the kmax highest values
    of its map, plus alpha times the mean of the kmin lowest.

    Durand, Mordan, Thome, Cord: "WILDCAT: Weakly Supervised Learning of Deep ConvNets for Image
    Classification, Pointwise Localization and Segmentation", CVPR 2017.

    Args:
        features: feature map, [batch, height, width, channels].
        classes: number of classes.
        settings: `maps_per_class`, `kmax`, `kmin`, `alpha` and `dropout` (of
            whole feature channels, as dropping pooled ones does in the other heads) are used.

    Returns:
        Probabilities, float32 [batch, classes].

    Raises:
        InputError: the map has fewer cells than `kmax` or `kmin`.
    """
    if settings.dropout:
        features = layers.SpatialDropout2D(settings.dropout, name="dropout")(features)
    _, class_maps = _class_wise_maps(features, classes, settings)
    height, width = features.shape[1:3]
    options = settings.of_head
    highest = _count("kmax", options.kmax, height * width)
    lowest = _count("kmin", options.kmin, height * width)
    values = layers.Permute((2, 1), dtype="float32")(
        layers.Reshape((height * width, classes), dtype="float32")(class_maps)
    )
    logits = ops.mean(ops.top_k(values, highest)[0], axis=-1)
    if lowest:
        logits = logits - options.alpha * ops.mean(ops.top_k(-values, lowest)[0], axis=-1)
    return layers.Activation("softmax", dtype="float32", name="probabilities")(logits)


HEADS: dict[str, Callable[[keras.KerasTensor, int, TrainSettings], keras.KerasTensor]] = {
    "gap": gap,
    "linear": linear,
    "wscnet": wscnet,
    "wildcat": wildcat,
}


def auxiliary(network: keras.Model) -> list[keras.KerasTensor]:
    """Probabilities of auxiliary branches, which training holds against the labels as well.

    Each is float32 [batch, classes], and comes beside the network's own.

    The loss is the mean of all their cross-entropies: half and half for `wscnet`, whose detection
    branch is the one here. The other heads have none.
    """
    logits = [layer.output for layer in network.layers if layer.name == AUXILIARY]
    return [layers.Softmax(dtype="float32")(tensor) for tensor in logits]


class Branches(keras.Model):
    """A network as it is trained: every branch against the same labels.

    Its loss is the mean of what the compiled loss says of the network's probabilities and of each
    auxiliary branch's; its metrics are those of the network's probabilities alone. It has no
    weights but the network's; to save, save the network.

    Args:
        network: images, or whatever it takes, to probabilities; or to the probabilities of all
            branches.
    """

    def __init__(self, network: keras.Model, **options: Any) -> None:
        # The network alone computes in less.
        super().__init__(dtype="float32", **options)
        # Before `branches`: the weights are in the network's order, as in its optimiser.
        self.network = network
        further = [] if len(network.outputs) > 1 else auxiliary(network)
        self.branches = keras.Model(network.inputs, [*network.outputs, *further])

    def call(self, inputs: Any, training: bool | None = None) -> list[Any]:
        """Probabilities of every branch, each float32 [batch, classes]; the network's own first."""
        # Keras unpacks a list of one.
        return keras.tree.flatten(self.branches(inputs, training=training))

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """Mean of the losses of the branches."""
        losses = [
            super(Branches, self).compute_loss(x, y, branch, sample_weight, training)
            for branch in y_pred
        ]
        return ops.mean(ops.stack(losses))

    def compute_metrics(
        self, x: Any, y: Any, y_pred: list[Any], sample_weight: Any = None
    ) -> dict[str, Any]:
        """Metrics of the network's own probabilities."""
        return super().compute_metrics(x, y, y_pred[0], sample_weight)


def _classify(
    pooled: keras.KerasTensor, classes: int, settings: TrainSettings
) -> keras.KerasTensor:
    if settings.dropout:
        pooled = layers.Dropout(settings.dropout, name="dropout")(pooled)
    logits = layers.Dense(classes, name="logits")(pooled)
    return layers.Activation("softmax", dtype="float32", name="probabilities")(logits)


def _class_wise_maps(
    features: keras.KerasTensor, classes: int, settings: TrainSettings
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Maps [b, h, w, classes * k], channel c * k + i being map i of c; and each class's mean."""
    height, width = features.shape[1:3]
    maps = layers.Conv2D(classes * settings.maps_per_class, 1, name="maps")(features)
    by_class = layers.Reshape((height, width, classes, settings.maps_per_class), dtype="float32")(
        maps
    )
    return maps, layers.Activation("linear", dtype="float32", name=CLASS_MAPS)(
        ops.mean(by_class, axis=-1)
    )


def _count(name: str, option: float, cells: int) -> int:
    """How many of a map's cells an option means: a fraction of them, at least one, or a number.

    Raises:
        InputError: there are fewer.
    """
    count = max(round(option * cells), 1) if 0 < option < 1 else int(option)
    if count > cells:
        raise InputError(
            f"The feature map has {cells} places; set {name} to at most that, or to a fraction "
            f"below 1, or raise image_size. Received: {option:g}"
        )
    return count
