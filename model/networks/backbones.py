"""Backbones of `keras.applications` and keras-hub, by name, with their first weights."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import socket
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import keras
from keras import applications

from sentiflow.options import InputError, parse_pairs

from ..settings import TrainSettings
from . import hub

# Weight files that Keras reads.
WEIGHT_SUFFIXES = (".h5", ".keras")

# Seconds without an answer after which a download of weights is given up.
DOWNLOAD_TIMEOUT = 30


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A constructor, and the value range that it was trained on, a mode of `pipeline.Settings`.

    Attributes:
        constructor: in `keras.applications`, or in `model.hub` with the architecture bound.
        preprocess: none: pixels; what they are to become is a part of the network.
        preset: name of the pretrained weights in keras-hub; None for `keras.applications`.
        image_size: the only one, in pixels, that these weights fit; None: any.
    """

    constructor: Callable[..., keras.Model]
    preprocess: Literal["caffe", "tf", "torch", "none"]
    preset: str | None = None
    image_size: int | None = None


def _hub(family: str, preset: str, image_size: int | None, *architecture: int) -> Backbone:
    constructor, preprocess = {
        "clip": (hub.clip, "none"),
        "siglip": (hub.siglip, "tf"),
        "dinov2": (hub.dinov2, "torch"),
    }[family]
    names = ("patch_size", "hidden_dim", "num_layers", "num_heads", "intermediate_dim")
    options: dict[str, Any] = dict(zip(names, architecture, strict=True))
    return Backbone(functools.partial(constructor, **options), preprocess, preset, image_size)  # type: ignore[arg-type]


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
    "efficientnetv2b0": Backbone(applications.EfficientNetV2B0, "none"),
    "efficientnetv2b1": Backbone(applications.EfficientNetV2B1, "none"),
    "efficientnetv2b2": Backbone(applications.EfficientNetV2B2, "none"),
    "efficientnetv2b3": Backbone(applications.EfficientNetV2B3, "none"),
    "efficientnetv2s": Backbone(applications.EfficientNetV2S, "none"),
    "efficientnetv2m": Backbone(applications.EfficientNetV2M, "none"),
    "efficientnetv2l": Backbone(applications.EfficientNetV2L, "none"),
    "convnexttiny": Backbone(applications.ConvNeXtTiny, "none"),
    "convnextsmall": Backbone(applications.ConvNeXtSmall, "none"),
    "convnextbase": Backbone(applications.ConvNeXtBase, "none"),
    "convnextlarge": Backbone(applications.ConvNeXtLarge, "none"),
    "convnextxlarge": Backbone(applications.ConvNeXtXLarge, "none"),
} | {
    preset: _hub(family, preset, *numbers)
    for family, preset, *numbers in (
        # image size of the weights; side of a patch, channels, blocks, attention heads, channels
        # inside a block
        ("clip", "clip_vit_base_patch16", 224, 16, 768, 12, 12, 3072),
        ("clip", "clip_vit_base_patch32", 224, 32, 768, 12, 12, 3072),
        ("clip", "clip_vit_large_patch14", 224, 14, 1024, 24, 16, 4096),
        ("siglip", "siglip_base_patch16_224", 224, 16, 768, 12, 12, 3072),
        ("siglip", "siglip_base_patch16_256", 256, 16, 768, 12, 12, 3072),
        ("siglip", "siglip2_base_patch16_224", 224, 16, 768, 12, 12, 3072),
        ("siglip", "siglip2_base_patch16_256", 256, 16, 768, 12, 12, 3072),
        ("dinov2", "dinov2_small", None, 14, 384, 12, 6, 1536),
        ("dinov2", "dinov2_base", None, 14, 768, 12, 12, 3072),
        ("dinov2", "dinov2_large", None, 14, 1024, 24, 16, 4096),
    )
}


def find_backbone(name: str) -> Backbone:
    """The backbone of that lower-case name.

    Raises:
        InputError: there is none.
    """
    if name not in BACKBONES:
        raise InputError(f"backbone must be one of {', '.join(BACKBONES)}. Received: {name}")
    return BACKBONES[name]


def make_backbone(settings: TrainSettings, *, image_size: int) -> keras.Model:
    """The backbone of a run, with the weights it starts from, as a model that gives a feature map.

    Args:
        settings: backbone, backbone_options and weights are used.
        image_size: side of the square images, in pixels.

    Raises:
        InputError: a name or option is unknown, or the weights are not to be had.
    """
    backbone = find_backbone(settings.backbone)
    options = parse_options(settings.backbone_options, backbone.constructor)
    options["input_shape"] = (image_size, image_size, 3)
    if backbone.preset:
        return _from_hub(backbone, options, settings)
    options["include_top"] = False
    if settings.weights in ("imagenet", "pretrained"):
        return _with_imagenet_weights(backbone.constructor, options)
    model = _construct(settings, backbone.constructor, weights=None, **options)
    if settings.weights != "none":
        _load_weights(model, settings)
    return model


def _construct(
    settings: TrainSettings, constructor: Callable[..., keras.Model], **options: Any
) -> keras.Model:
    try:
        return constructor(**options)
    except InputError:
        raise
    except (ValueError, TypeError) as error:
        raise InputError(f"{settings.backbone} cannot be built: {error}") from error


def _from_hub(backbone: Backbone, options: dict[str, Any], settings: TrainSettings) -> keras.Model:
    weights = {"none": None, "pretrained": backbone.preset}.get(settings.weights, settings.weights)
    if weights not in (None, backbone.preset) and not Path(weights).is_dir():
        rule = (
            f"weights of {settings.backbone} must be pretrained, none, or the folder of a "
            "keras-hub preset"
        )
        raise InputError(f"{rule}. Received: {weights}")
    size = options["input_shape"][0]
    fits = backbone.image_size
    if weights == backbone.preset and fits not in (None, size):
        raise InputError(
            f"The weights of {settings.backbone} need --image_size {fits}. Received: {size}"
        )
    return _construct(settings, backbone.constructor, weights=weights, **options)


def parse_options(
    options: tuple[str, ...], constructor: Callable[..., keras.Model]
) -> dict[str, Any]:
    """Turns `key=value` texts into arguments of a backbone's constructor.

    Raises:
        InputError: a text has no `=`, or the constructor has no such argument that a user may set.
    """
    ours = {
        "include_top",
        "weights",
        "input_tensor",
        "input_shape",
        "pooling",
        "classes",
        "classifier_activation",
    }
    ours |= {"include_preprocessing", "architecture", "name"}
    known = [name for name in inspect.signature(constructor).parameters if name not in ours]
    known += getattr(constructor, "keywords", {})  # what `_hub` has bound
    return parse_pairs(
        options,
        option="backbone_options",
        example="alpha=0.25",
        owner="the backbone",
        known=known,
    )


def _with_imagenet_weights(
    constructor: Callable[..., keras.Model], options: dict[str, Any]
) -> keras.Model:
    try:
        with _download_timeout():
            return constructor(weights="imagenet", **options)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{constructor.__name__} cannot be built with ImageNet weights: {error}"
        ) from error
    except Exception as error:  # Keras raises a plain Exception when a download fails
        raise InputError(
            f"The ImageNet weights of {constructor.__name__} are not in Keras' cache and cannot be "
            f"downloaded ({error}). Pass a file with --weights FILE (Keras' ..._no_top.h5), or "
            "--weights none for random ones."
        ) from error


def _load_weights(backbone: keras.Model, settings: TrainSettings) -> None:
    path = Path(settings.weights)
    suffixes = " or ".join(WEIGHT_SUFFIXES)
    remedy = f"weights must be imagenet, none, or a {suffixes} file. Received: {path}"
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
            f"{path} does not hold the weights of {settings.backbone} {options} without its top: "
            f"{error}"
        ) from error


@contextlib.contextmanager
def _download_timeout() -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(DOWNLOAD_TIMEOUT)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
