"""The network: a backbone and a head, the backbone frozen but for what is fine-tuned."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import layers

from sentiflow.pipeline import InputError

from ..settings import TrainSettings
from .backbones import make_backbone
from .heads import HEADS, auxiliary

# The layer whose output is the backbone's feature map, [batch, height, width, channels].
FEATURES = "features"

# The layer that standardises features; below this variance a feature is a constant.
STANDARDISED = "standardised"
SMALLEST_VARIANCE = 1e-12


def build(
    settings: TrainSettings, *, classes: int, image_size: int, backbone: keras.Model | None = None
) -> keras.Model:
    """Makes the network of a run, with the weights it starts from.

    Args:
        settings: backbone, weights, head, dropout and fine_tune are used.
        classes: number of classes.
        image_size: side of the square images, in pixels.
        backbone: a frozen one to share with other networks, instead of one of its own.

    Returns:
        A model from float32 [batch, image_size, image_size, 3] to probabilities, float32 [batch,
        classes].

    Raises:
        InputError: a name or option is unknown, or the weights are not to be had.
    """
    images = keras.Input((image_size, image_size, 3), name="image")
    if backbone is None:
        backbone = make_backbone(settings, image_size=image_size)
        unfreeze(backbone, settings.fine_tune)
    # training=False: BatchNormalization uses its stored statistics, whatever is trained.
    features = layers.Identity(name=FEATURES)(backbone(images, training=False))
    if settings.standardise:
        # Without trained parameters, and never in training mode: what `standardise` puts there
        # stays.
        features = layers.BatchNormalization(
            center=False, scale=False, epsilon=SMALLEST_VARIANCE, trainable=False, name=STANDARDISED
        )(features)
    return keras.Model(images, HEADS[settings.head](features, classes, settings), name="sentiflow")


def standardise(model: keras.Model, batches: Iterable[Any]) -> None:
    """Gives each channel of the features mean 0 and variance 1, over all cells of all images.

    Args:
        model: made by `build` with `standardise`.
        batches: images, each float32 [b, s, s, 3].
    """
    layer = model.get_layer(STANDARDISED)
    backbone = keras.Model(model.inputs, layer.input)
    count = 0
    total = np.float64(0)
    squares = np.float64(0)
    for batch in batches:
        features = keras.ops.convert_to_numpy(
            keras.ops.cast(backbone.predict_on_batch(batch), "float32")
        )
        features = features.reshape(-1, features.shape[-1]).astype(np.float64)
        count += len(features)
        total = total + features.sum(axis=0)
        squares = squares + (features**2).sum(axis=0)
    mean = total / count
    layer.moving_mean.assign(mean.astype(np.float32))
    layer.moving_variance.assign(np.maximum(squares / count - mean**2, 0).astype(np.float32))


def fine_tune(model: keras.Model, count: int) -> None:
    """Trains the backbone's last `count` layers from now on, and the head; compile it again."""
    unfreeze(backbone_of(model), count)


def backbone_of(model: keras.Model) -> keras.Model:
    """The backbone of a network, as `build` was given it or made it."""
    return next(layer for layer in model.layers if isinstance(layer, keras.Model))


def head_of(model: keras.Model) -> keras.Model:
    """The part of a network behind the backbone's features, with the network's own weights.

    Its outputs are those of the network and, behind them, its auxiliary branches, see
    `heads.auxiliary`.
    """
    return keras.Model(features_of(model).outputs, [*model.outputs, *auxiliary(model)], name="head")


def features_of(model: keras.Model) -> keras.Model:
    """The part of a network up to the backbone's features, with the network's own weights."""
    return keras.Model(model.inputs, model.get_layer(FEATURES).output, name="backbone")


@dataclasses.dataclass
class Shared:
    """A frozen backbone for several networks, each of which begins as it would with one of its own.

    Attributes:
        backbone: as `build` takes it.
        random_state: Python's random state after the backbone was made; what Keras initialises
            heads from.
        statistics: mean and variance of the features, float32 [channels] each, once they are known.
    """

    backbone: keras.Model
    random_state: object
    statistics: list[np.ndarray] | None = None

    @classmethod
    def make(cls, settings: TrainSettings, *, image_size: int, seed: int) -> Shared:
        """Makes the backbone as a network of that seed, in [0, 2**32), has it.

        Raises:
            InputError: a name or option is unknown, or the weights are not to be had.
        """
        keras.utils.set_random_seed(seed)
        backbone = make_backbone(settings, image_size=image_size)
        unfreeze(backbone, 0)
        return cls(backbone, random.getstate())

    def take(self) -> keras.Model:
        """The backbone; what is made next is initialised as if it had just been made."""
        random.setstate(self.random_state)  # type: ignore[arg-type]
        return self.backbone

    def standardise(self, model: keras.Model) -> bool:
        """Copies the features' statistics, if they are known, into a network that uses them."""
        if self.statistics is not None:
            model.get_layer(STANDARDISED).set_weights(self.statistics)
        return self.statistics is not None


def unfreeze(backbone: keras.Model, count: int) -> None:
    """Freezes every layer of the backbone but the last `count`.

    BatchNormalization stays frozen among these too. That keeps training on a CPU reproducible as
    well: TensorFlow's gradients of its scales differ in their last bits from run to run, those of
    convolutions and biases do not.

    Raises:
        InputError: the backbone has fewer layers.
    """
    # An encoder of keras-hub is a model among them.
    parts = [
        layer.layers if isinstance(layer, keras.Model) else [layer] for layer in backbone.layers
    ]
    flat = [layer for part in parts for layer in part]
    if count > len(flat):
        raise InputError(
            f"fine_tune must be at most the backbone's {len(flat)} layers. Received: {count}"
        )
    first = len(flat) - count
    for index, layer in enumerate(flat):
        layer.trainable = index >= first and not isinstance(layer, layers.BatchNormalization)
