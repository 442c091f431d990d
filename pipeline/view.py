"""The view: flip, zoom, rotation, tone and preprocessing, as ONE affine sample of a window.

A bilinear gather in plain operations, compiled with XLA: on the host inside `tf.data`, which is
TensorFlow's whatever Keras runs on, and on the device inside the training step, in `keras.ops`. It
is one function, written against the few operations that both have. The geometry is that of
`keras_preprocessing` 1.1.2 (`apply_affine_transform`, order 1, fill mode "nearest"), whose pivot is
h / 2 + 0.5: parity is with the generator that the reference system ran, not with what a fresh
design would choose.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import numpy as np
import tensorflow as tf

from .draws import COLUMNS
from .settings import StreamSettings

# Channel means and deviations of ImageNet as `keras.applications.imagenet_utils.preprocess_input`
# has them.
_CAFFE_MEANS_BGR = (103.939, 116.779, 123.68)
_TORCH_MEANS = (0.485, 0.456, 0.406)
_TORCH_DEVIATIONS = (0.229, 0.224, 0.225)


class Taps(NamedTuple):
    """How the pixels around the points of a sample are had.

    Attributes:
        first: int32 [b, s, s], the upper left of the four pixels between which each point lies,
            counted through the whole batch.
        fetch: from such numbers to pixels, float32 [..., 3].
    """

    first: Any
    fetch: Callable[[Any], Any]


def sample_parameters(draws: tf.Tensor, settings: StreamSettings) -> dict[str, tf.Tensor]:
    """Parameters of `view` from uniform draws; an augmentation that is off has no entry.

    Args:
        draws: float64 [b, 8] in [0, 1), columns as in `draws.COLUMNS`.
        settings: of the stream.

    Returns:
        `angle` in degrees, counter-clockwise on the screen; `zoom` [b, 2] (vertical, horizontal;
        above 1 shrinks); `brightness` and `contrast` factors: float32 [b]. `flip`: bool [b].
    """
    column = dict(zip(COLUMNS, tf.unstack(draws, len(COLUMNS), axis=1), strict=True))

    def symmetric(name: str, reach: float) -> tf.Tensor:
        return tf.cast((2.0 * column[name] - 1.0) * reach, tf.float32)

    parameters: dict[str, tf.Tensor] = {}
    if settings.flip:
        parameters["flip"] = column["flip"] < 0.5
    if settings.rotation:
        parameters["angle"] = symmetric("angle", settings.rotation)
    if settings.zoom:
        factors = [symmetric("zoom_y", settings.zoom), symmetric("zoom_x", settings.zoom)]
        parameters["zoom"] = 1.0 + tf.stack(factors, axis=1)
    for name in ("brightness", "contrast"):
        if getattr(settings, name):
            parameters[name] = 1.0 + symmetric(name, getattr(settings, name))
    return parameters


def see(
    windows: Any,
    *,
    ops: Any,
    preprocess: str | None,
    taps: Taps | None = None,
    flip: Any = None,
    angle: Any = None,
    zoom: Any = None,
    brightness: Any = None,
    contrast: Any = None,
) -> Any:
    """What the model sees of a batch of windows. An argument that is None costs nothing.

    Args:
        windows: uint8 [b, s, s, 3], RGB.
        ops: `keras.ops`, or what has the same operations for other tensors.
        preprocess: "caffe", "tf" or "torch" as in `keras.applications`; "none" or None keeps
            pixels.
        taps: of the sample that rotation and zoom make, if they have been computed already.
        flip: bool [b], mirror horizontally, after rotation and zoom.
        angle: float32 [b], degrees, as `theta` of `apply_affine_transform`.
        zoom: float32 [b, 2], as `zx` (vertical) and `zy` (horizontal) of `apply_affine_transform`.
        brightness: float32 [b], factor on pixel values.
        contrast: float32 [b], factor on the distance to the window's mean grey, before brightness.

    Returns:
        float32 [b, s, s, 3], or uint8 (rounded to nearest, clipped) when there is no preprocessing.
    """
    plain = preprocess in (None, "none")
    if angle is None and zoom is None:
        pixels = windows if flip is None else mirror(windows, flip, ops)
        if plain and brightness is None and contrast is None:
            return pixels
        pixels = ops.cast(pixels, "float32")
    else:
        pixels = _affine(windows, ops, taps, flip=flip, angle=angle, zoom=zoom)
    if contrast is not None:
        # The mean of the window, not of what is sampled from it.
        mean = ops.mean(ops.cast(windows, "float32"), axis=[1, 2, 3], keepdims=True)
        pixels = _clip(mean + (pixels - mean) * contrast[:, None, None, None], ops, 255.0)
    if brightness is not None:
        pixels = _clip(pixels * brightness[:, None, None, None], ops, 255.0)
    if plain:
        return ops.cast(_clip(ops.round(pixels), ops, 255.0), "uint8")
    return normalise(pixels, preprocess)


def mirror(windows: Any, flip: Any, ops: Any = tf) -> Any:
    """Mirrors the windows [b, s, s, 3] that `flip`, bool [b], names."""
    return ops.where(flip[:, None, None, None], windows[:, :, ::-1], windows)


def normalise(pixels: Any, preprocess: str | None) -> Any:
    """RGB pixels in [0, 255], float32 [..., 3], in the range that a backbone was trained with."""
    if preprocess == "caffe":
        return pixels[..., ::-1] - np.array(_CAFFE_MEANS_BGR, np.float32)
    if preprocess == "tf":
        return pixels / 127.5 - 1.0
    if preprocess == "torch":
        means = np.array(_TORCH_MEANS, np.float32)
        return (pixels / 255.0 - means) / np.array(_TORCH_DEVIATIONS, np.float32)
    return pixels


def _affine(windows: Any, ops: Any, taps: Taps | None, *, flip: Any, angle: Any, zoom: Any) -> Any:
    """Samples each window where the inverse of its map sends the output's pixels.

    Returns:
        float32 [b, s, s, 3].
    """
    size = windows.shape[1]
    y, x = coordinates(size, ops, flip=flip, angle=angle, zoom=zoom)
    if taps is None:
        pixels = ops.reshape(ops.cast(windows, "float32"), [-1, 3])
        first = first_taps(windows, y, x, ops)
        taps = Taps(first, lambda index: ops.take(pixels, index, axis=0))
    first, fetch = taps
    # Fractions are distances from the tap that is read, so that they fit it however often y and x
    # are rounded anew.
    in_window = first - _starts(windows, ops)
    down = (y - ops.cast(in_window // size, "float32"))[..., None]
    right = (x - ops.cast(in_window % size, "float32"))[..., None]
    # A window of one pixel has no neighbours; their weight is zero.
    step_x, step_y = (1, size) if size > 1 else (0, 0)
    # Two of the four taps are mixed along each row, then the two rows.
    upper = fetch(first)
    upper += (fetch(first + step_x) - upper) * right
    lower = fetch(first + step_y)
    lower += (fetch(first + (step_y + step_x)) - lower) * right
    return upper + (lower - upper) * down


def coordinates(size: int, ops: Any, *, flip: Any, angle: Any, zoom: Any) -> tuple[Any, Any]:
    """Where in its window each pixel of the output is sampled.

    Mirrored, scaled, then turned about the pivot: the inverse of what happens to the picture, in
    reverse order. Points outside of the window are moved to its border, which is fill mode
    "nearest".

    Returns:
        y and x, float32 [b, s, s], in [0, s - 1].
    """
    pivot = size / 2 + 0.5
    rows = np.arange(size, dtype=np.float32)[None, :, None] - pivot
    columns = np.arange(size, dtype=np.float32)[None, None, :]
    if flip is not None:
        columns = ops.where(flip[:, None, None], size - 1.0 - columns, columns)
    columns -= pivot
    if zoom is not None:
        rows = rows * zoom[:, 0, None, None]
        columns = columns * zoom[:, 1, None, None]
    if angle is not None:
        radians = (angle * (math.pi / 180))[:, None, None]
        cosine = ops.cos(radians)
        sine = ops.sin(radians)
        rows, columns = cosine * rows - sine * columns, sine * rows + cosine * columns
    return _clip(rows + pivot, ops, size - 1.0), _clip(columns + pivot, ops, size - 1.0)


def first_taps(windows: Any, y: Any, x: Any, ops: Any) -> Any:
    """The upper left of the four pixels around each point, counted through the batch.

    It is int32 [b, s, s], and stops one short of the lower and right border, so that its neighbours
    exist and the border's weight is exactly 1.
    """
    size = windows.shape[1]
    last = max(size - 2.0, 0.0)
    top = ops.cast(ops.minimum(y, last), "int32")
    left = ops.cast(ops.minimum(x, last), "int32")
    return _starts(windows, ops) + top * size + left


def _starts(windows: Any, ops: Any) -> Any:
    """First pixel of each window: int32 [b, 1, 1]."""
    return ops.arange(ops.shape(windows)[0])[:, None, None] * windows.shape[1] ** 2


def _clip(values: Any, ops: Any, highest: float) -> Any:
    return ops.minimum(ops.maximum(values, 0.0), highest)
