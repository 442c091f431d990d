"""The network: a backbone of `keras.applications` and the head that makes probabilities of its feature map."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import inspect
import socket
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from keras import applications, layers

from model.settings import TrainSettings
from pipeline import InputError

# Class-wise maps per class in the reference system's head.
MAPS_PER_CLASS = 4

# Weight files that Keras reads.
WEIGHT_SUFFIXES = (".h5", ".keras")

# The layer that standardises features; below this variance a feature is a constant.
STANDARDISED = "standardised"
SMALLEST_VARIANCE = 1e-12

# Seconds without an answer after which a download of weights is given up.
DOWNLOAD_TIMEOUT = 30


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A constructor in `keras.applications`, and the value range it was trained on (a mode of `pipeline.Settings`)."""

    constructor: Callable[..., keras.Model]
    preprocess: Literal["caffe", "tf", "torch"]


BACKBONES = {
    "xception": Backbone(applications.Xception, "tf"),
    "vgg16": Backbone(applications.VGG16, "caffe"),
    "vgg19": Backbone(applications.VGG19, "caffe"),
    "resnet50": Backbone(applications.ResNet50, "caffe"),
    "resnet101": Backbone(applications.ResNet101, "caffe"),
    "resnet152": Backbone(applications.ResNet152, "caffe"),
    "resnet50v2": Backbone(applications.ResNet50V2, "tf"),
    "resnet101v2": Backbone(applications.ResNet101V2, "tf"),
    "resnet152v2": Backbone(applications.ResNet152V2, "tf"),
    "inceptionv3": Backbone(applications.InceptionV3, "tf"),
    "inceptionresnetv2": Backbone(applications.InceptionResNetV2, "tf"),
    "mobilenet": Backbone(applications.MobileNet, "tf"),
    "mobilenetv2": Backbone(applications.MobileNetV2, "tf"),
    "densenet121": Backbone(applications.DenseNet121, "torch"),
    "densenet169": Backbone(applications.DenseNet169, "torch"),
    "densenet201": Backbone(applications.DenseNet201, "torch"),
    "nasnetmobile": Backbone(applications.NASNetMobile, "tf"),
    "nasnetlarge": Backbone(applications.NASNetLarge, "tf"),
}


def find_backbone(name: str) -> Backbone:
    """The backbone of that lower-case name.

    Raises:
        InputError: there is none.
    """
    if name not in BACKBONES:
        raise InputError(f"backbone must be one of {', '.join(BACKBONES)}. Received: {name}")
    return BACKBONES[name]


def build(settings: TrainSettings, *, classes: int, image_size: int) -> keras.Model:
    """Makes the network of a run, with the weights it starts from.

    Args:
        settings: backbone, weights, head, dropout and fine_tune are used.
        classes: number of classes.
        image_size: side of the square images, in pixels.

    Returns:
        A model from float32 [batch, image_size, image_size, 3] to probabilities, float32 [batch, classes].

    Raises:
        InputError: a name or option is unknown, or the weights are not to be had.
    """
    images = keras.Input((image_size, image_size, 3), name="image")
    backbone = _build_backbone(settings, image_size)
    unfreeze(backbone, settings.fine_tune)
    # training=False: BatchNormalization uses its stored statistics, whatever is trained.
    features = backbone(images, training=False)
    if settings.standardise:
        # Without trained parameters, and never in training mode: what `standardise` puts there stays.
        features = layers.BatchNormalization(
            center=False, scale=False, epsilon=SMALLEST_VARIANCE, trainable=False, name=STANDARDISED
        )(features)
    return keras.Model(images, HEADS[settings.head](features, classes, settings.dropout), name="sentiflow")


def standardise(model: keras.Model, batches: Iterable[Any]) -> None:
    """Gives the network's features mean 0 and variance 1, each channel over all places of all images.

    Args:
        model: made by `build` with `standardise`.
        batches: images, each float32 [b, s, s, 3].
    """
    layer = model.get_layer(STANDARDISED)
    backbone = keras.Model(model.inputs, layer.input)
    count, total, squares = 0, np.float64(0), np.float64(0)
    for batch in batches:
        features = keras.ops.convert_to_numpy(keras.ops.cast(backbone.predict_on_batch(batch), "float32"))
        features = features.reshape(-1, features.shape[-1]).astype(np.float64)
        count += len(features)
        total, squares = total + features.sum(axis=0), squares + (features**2).sum(axis=0)
    mean = total / count
    layer.moving_mean.assign(mean.astype(np.float32))
    layer.moving_variance.assign(np.maximum(squares / count - mean**2, 0).astype(np.float32))


def gap_head(features: keras.KerasTensor, classes: int, dropout: float) -> keras.KerasTensor:
    """The reference system's head: k class-wise maps per class, global average pooling, one dense layer.

    Args:
        features: feature map, [batch, height, width, channels].
        classes: number of classes.
        dropout: fraction of the pooled features that training drops.

    Returns:
        Probabilities, float32 [batch, classes].
    """
    maps = layers.Conv2D(classes * MAPS_PER_CLASS, 1, activation="relu", padding="same", name="maps")(features)
    pooled = layers.GlobalAveragePooling2D(name="pooled")(maps)
    if dropout:
        pooled = layers.Dropout(dropout, name="dropout")(pooled)
    logits = layers.Dense(classes, name="logits")(pooled)
    return layers.Activation("softmax", dtype="float32", name="probabilities")(logits)


HEADS: dict[str, Callable[[keras.KerasTensor, int, float], keras.KerasTensor]] = {"gap": gap_head}


def unfreeze(backbone: keras.Model, count: int) -> None:
    """Freezes every layer of the backbone but the last `count`; BatchNormalization stays frozen among these too.

    That keeps training on a CPU reproducible as well: TensorFlow's gradients of its scales differ in their last bits
    from run to run, those of convolutions and biases do not.

    Raises:
        InputError: the backbone has fewer layers.
    """
    if count > len(backbone.layers):
        raise InputError(f"fine_tune must be at most the backbone's {len(backbone.layers)} layers. Received: {count}")
    first = len(backbone.layers) - count
    for index, layer in enumerate(backbone.layers):
        layer.trainable = index >= first and not isinstance(layer, layers.BatchNormalization)


def parse_options(options: tuple[str, ...], constructor: Callable[..., keras.Model]) -> dict[str, Any]:
    """Turns `key=value` texts into arguments of a backbone's constructor; values are Python literals or texts.

    Raises:
        InputError: a text has no `=`, or the constructor has no such argument that a user may set.
    """
    ours = {"include_top", "weights", "input_tensor", "input_shape", "pooling", "classes", "classifier_activation"}
    known = [name for name in inspect.signature(constructor).parameters if name not in ours | {"name"}]
    parsed = {}
    for option in options:
        key, separator, value = option.partition("=")
        if not separator:
            raise InputError(f"backbone_options must be key=value, e.g. alpha=0.25. Received: {option}")
        if key not in known:
            raise InputError(
                f"{constructor.__name__} has no option {key}; it has {', '.join(known) or 'none'}. Received: {option}"
            )
        parsed[key] = _literal(value)
    return parsed


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def _build_backbone(settings: TrainSettings, image_size: int) -> keras.Model:
    constructor = find_backbone(settings.backbone).constructor
    options = parse_options(settings.backbone_options, constructor)
    options.update(include_top=False, input_shape=(image_size, image_size, 3))
    if settings.weights == "imagenet":
        return _with_imagenet_weights(constructor, options)
    try:
        backbone = constructor(weights=None, **options)
    except (ValueError, TypeError) as error:
        raise InputError(f"{settings.backbone} cannot be built: {error}") from error
    if settings.weights != "none":
        _load_weights(backbone, settings)
    return backbone


def _with_imagenet_weights(constructor: Callable[..., keras.Model], options: dict[str, Any]) -> keras.Model:
    try:
        with _download_timeout():
            return constructor(weights="imagenet", **options)
    except (ValueError, TypeError) as error:
        raise InputError(f"{constructor.__name__} cannot be built with ImageNet weights: {error}") from error
    except Exception as error:  # Keras raises a plain Exception when a download fails
        raise InputError(
            f"The ImageNet weights of {constructor.__name__} are not in Keras' cache and cannot be downloaded "
            f"({error}). Pass a file with --weights FILE (Keras' ..._no_top.h5), or --weights none for random ones."
        ) from error


def _load_weights(backbone: keras.Model, settings: TrainSettings) -> None:
    path = Path(settings.weights)
    remedy = f"weights must be imagenet, none, or a {' or '.join(WEIGHT_SUFFIXES)} file. Received: {path}"
    if path.suffix not in WEIGHT_SUFFIXES:
        raise InputError(remedy)
    if not path.is_file():
        raise InputError(f"{path} is not a file; {remedy}")
    try:
        with warnings.catch_warnings():
            # Keras would only warn that some layers keep their random weights.
            warnings.filterwarnings("error", "Skipping", UserWarning)
            backbone.load_weights(path)
    except (ValueError, TypeError, KeyError, IndexError, OSError, UserWarning) as error:
        options = " ".join(settings.backbone_options)
        raise InputError(
            f"{path} does not hold the weights of {settings.backbone} {options} without its top: {error}"
        ) from error


@contextlib.contextmanager
def _download_timeout() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
