"""Image encoders of keras-hub as backbones: CLIP, SigLIP and DINOv2.

They give tokens; here, these are feature maps.

keras-hub is an extra: pip install '.[hub]' in the checkout.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
from keras import layers

from sentiflow.pipeline import InputError

Tokens = Literal["patches", "class"]

# Mean and deviation that CLIP's images are normalised with (`_transform` in
# github.com/openai/CLIP).
CLIP_MEANS = (0.48145466, 0.4578275, 0.40821073)
CLIP_DEVIATIONS = (0.26862954, 0.26130258, 0.27577711)


def require_hub() -> Any:
    """The package keras_hub. Once it is imported, Keras can load models that hold its layers.

    Raises:
        InputError: it is not installed.
    """
    if importlib.util.find_spec("keras_hub") is None:
        raise InputError("This backbone needs its package: run pip install keras-hub.")
    import keras_hub

    return keras_hub


def clip(
    *,
    input_shape: tuple[int, int, int],
    weights: str | None,
    tokens: Tokens = "patches",
    **architecture: int,
) -> keras.Model:
    """CLIP's image encoder.

    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision".

    Args:
        input_shape: (s, s, 3), pixels in [0, 255]; CLIP's own normalisation is a part of the
            network.
        weights: a preset of keras-hub, by name or as a folder; None for random ones.
        tokens: patches: the map of patch tokens. class: the class token alone, before the
            projection to the space of texts, as a map of 1 x 1; this is the image feature of the
            paper's linear probes.
        **architecture: as in `keras_hub.models.CLIPVisionEncoder`.

    Returns:
        A model from images to a feature map [b, h, w, channels].
    """
    encoder = require_hub().models.CLIPVisionEncoder(image_shape=input_shape, **architecture)
    _load(encoder, weights)
    scale = [1 / (255 * deviation) for deviation in CLIP_DEVIATIONS]
    offset = [
        -mean / deviation for mean, deviation in zip(CLIP_MEANS, CLIP_DEVIATIONS, strict=True)
    ]
    images = keras.Input(input_shape, name="images")
    sequence = encoder({"images": layers.Rescaling(scale, offset, name="normalised")(images)})
    return _as_map(images, sequence, encoder, tokens)


def siglip(
    *,
    input_shape: tuple[int, int, int],
    weights: str | None,
    tokens: Tokens = "patches",
    **architecture: int,
) -> keras.Model:
    """SigLIP's image encoder.

    Zhai et al., "Sigmoid Loss for Language Image Pre-Training", ICCV 2023.

    Args:
        input_shape: (s, s, 3), values in [-1, 1].
        weights: a preset of keras-hub, by name or as a folder; None for random ones.
        tokens: patches: the map of patch tokens. class: what the encoder's attention pools of
            these, the image embedding, as a map of 1 x 1; there is no class token.
        **architecture: as in `keras_hub.models.SigLIPVisionEncoder`.

    Returns:
        A model from images to a feature map [b, h, w, channels].
    """
    encoder = require_hub().models.SigLIPVisionEncoder(image_shape=input_shape, **architecture)
    _load(encoder, weights)
    images = keras.Input(input_shape, name="images")
    pooled = layers.Reshape((1, -1), name="pooled")(encoder.output)
    both = keras.Model(encoder.inputs, [encoder.post_layer_norm.output, pooled], name=encoder.name)
    sequence, pooled = both({"images": images})
    return _as_map(images, pooled if tokens == "class" else sequence, encoder, tokens)


def dinov2(
    *,
    input_shape: tuple[int, int, int],
    weights: str | None,
    tokens: Tokens = "patches",
    **architecture: int,
) -> keras.Model:
    """DINOv2 (Oquab et al., "DINOv2: Learning Robust Visual Features without Supervision").

    Args:
        input_shape: (s, s, 3), normalised by ImageNet's mean and deviation; any multiple of the
            patches, because position embeddings are interpolated.
        weights: a preset of keras-hub, by name or as a folder; None for random ones.
        tokens: patches: the map of patch tokens. class: the class token alone, as a map of 1 x 1.
        **architecture: as in `keras_hub.models.DINOV2Backbone`.

    Returns:
        A model from images to a feature map [b, h, w, channels].
    """
    encoder = require_hub().models.DINOV2Backbone(image_shape=input_shape, **architecture)
    _load(encoder, weights, image_shape=input_shape)
    images = keras.Input(input_shape, name="images")
    return _as_map(images, encoder({"images": images}), encoder, tokens)


def _as_map(
    images: keras.KerasTensor, sequence: keras.KerasTensor, encoder: Any, tokens: Tokens
) -> keras.Model:
    """A model from images to tokens as a map [b, h, w, channels]; patches are the last tokens."""
    size, patch = encoder.image_shape[0], encoder.patch_size
    if tokens not in ("patches", "class"):
        raise ValueError(f"tokens must be patches or class. Received: {tokens}")
    if size % patch:
        raise ValueError(
            f"--image_size must be a multiple of its patches' {patch} pixels. Received: {size}"
        )
    side = size // patch if tokens == "patches" else 1
    shown = sequence[:, -(side**2) :] if tokens == "patches" else sequence[:, :1]
    return keras.Model(images, layers.Reshape((side, side, encoder.hidden_dim), name="map")(shown))


def _load(encoder: Any, weights: str | None, **changes: Any) -> None:
    """Gives an encoder the weights of a preset.

    It may be of the encoder alone or of a model with texts as well.

    Raises:
        InputError: the preset is not to be had, or is another encoder's.
    """
    if weights is None:
        return
    local = Path(weights).is_dir()
    try:
        preset = require_hub().models.Backbone.from_preset(weights, **changes)
    except Exception as error:  # that of whichever library downloads or reads it
        remedy = (
            "Pass the folder of a preset with --weights FOLDER, or --weights none for random ones."
        )
        what = "cannot be read as a preset of keras-hub" if local else "cannot be downloaded"
        raise InputError(f"{weights} {what} ({error}). {remedy}") from error
    preset = getattr(preset, "vision_encoder", preset)
    if type(preset) is not type(encoder):
        raise InputError(
            f"The preset {weights} is not a {type(encoder).__name__}. "
            f"Received: {type(preset).__name__}"
        )
    for name in (
        "image_shape",
        "patch_size",
        "hidden_dim",
        "num_layers",
        "num_heads",
        "intermediate_dim",
    ):
        ours, theirs = getattr(encoder, name), getattr(preset, name)
        if np.any(np.not_equal(ours, theirs)):
            raise InputError(
                f"The preset {weights} has {name}={theirs}; --image_size, --backbone or "
                f"--backbone_options must match it. Received: {name}={ours}"
            )
    encoder.set_weights(preset.get_weights())
