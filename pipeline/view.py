"""The view: flip, zoom and rotation of a window as ONE affine sample per image, with tone and preprocessing fused in.

A bilinear gather in plain operations, compiled with XLA: on the host inside `tf.data`, which is
TensorFlow's whatever Keras runs on, and on the device inside the training step, in `keras.ops`. It
is one function, written against the few operations that both have. The geometry is that of
`keras_preprocessing` 1.1.2 (`apply_affine_transform`, order 1, fill mode "nearest"), whose pivot is
h / 2 + 0.5: parity is with the generator that the reference system ran, not with what a fresh
design would choose.
"""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

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


def _take(words: tf.Tensor, index: tf.Tensor, axis: int) -> tf.Tensor:
    """Pixels of `_host_taps` as float32 [..., 3]."""
    masked = tf.bitwise.bitwise_and(index, tf.shape(words)[0] - 1)
    return tf.cast(tf.gather(tf.bitcast(words, tf.uint8), masked, axis=axis)[..., :3], tf.float32)


# TensorFlow's operations under the names that `keras.ops` gives them.
_TENSORFLOW = SimpleNamespace(
    arange=tf.range,
    cast=tf.cast,
    cos=tf.cos,
    maximum=tf.maximum,
    mean=tf.reduce_mean,
    minimum=tf.minimum,
    reshape=tf.reshape,
    round=tf.round,
    shape=tf.shape,
    sin=tf.sin,
    take=_take,
    where=tf.where,
)


def sample_parameters(draws: tf.Tensor, settings: StreamSettings) -> dict[str, tf.Tensor]:
    """Parameters of `view` from uniform draws; an augmentation that is off has no entry.

    Args:
        draws: float64 [b, 8] in [0, 1), columns as in `draws.COLUMNS`.
        settings: of the stream.

    Returns:
        `angle` in degrees, counter-clockwise on the screen; `zoom` [b, 2] (vertical, horizontal;
        above 1 shrinks);
        `brightness` and `contrast` factors: float32 [b]. `flip`: bool [b].
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


@tf.function(autograph=False)
def view(windows: tf.Tensor, *, preprocess: str | None, **parameters: tf.Tensor) -> tf.Tensor:
    """`see`, compiled, for the host's graph."""
    if preprocess in (None, "none") and not parameters:
        return windows
    moves = {name: value for name, value in parameters.items() if name in ("flip", "angle", "zoom")}
    taps = _host_taps(windows, **moves) if moves.keys() & {"angle", "zoom"} else None
    return _see(windows, preprocess=preprocess, taps=taps, **parameters)


@tf.function(jit_compile=True, autograph=False)
def _see(windows: tf.Tensor, **parameters: Any) -> tf.Tensor:
    return see(windows, ops=_TENSORFLOW, **parameters)


def see(
    windows: Any,
    *,
    ops: Any,
    preprocess: str | None,
    taps: tuple[Any, Any] | None = None,
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
        taps: what `ops.take` takes pixels from, and `_first_taps`, if they have been computed
            already.
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
    """float32 [..., 3] RGB pixels in [0, 255] to the value range that a backbone was trained with."""
    if preprocess == "caffe":
        return pixels[..., ::-1] - np.array(_CAFFE_MEANS_BGR, np.float32)
    if preprocess == "tf":
        return pixels / 127.5 - 1.0
    if preprocess == "torch":
        return (pixels / 255.0 - np.array(_TORCH_MEANS, np.float32)) / np.array(
            _TORCH_DEVIATIONS, np.float32
        )
    return pixels


def _affine(
    windows: Any, ops: Any, taps: tuple[Any, Any] | None, *, flip: Any, angle: Any, zoom: Any
) -> Any:
    """Samples each window where the inverse of its map sends the output's pixels: float32 [b, s, s, 3]."""
    size = windows.shape[1]
    y, x = _coordinates(size, ops, flip=flip, angle=angle, zoom=zoom)
    if taps is None:
        taps = ops.reshape(ops.cast(windows, "float32"), [-1, 3]), _first_taps(windows, y, x, ops)
    pixels, first = taps
    # Fractions are distances from the tap that is read, so that they fit it however often y and x
    # are rounded anew.
    place = first - _starts(windows, ops)
    down = (y - ops.cast(place // size, "float32"))[..., None]
    right = (x - ops.cast(place % size, "float32"))[..., None]
    step_x, step_y = (1, size) if size > 1 else (0, 0)
    upper = ops.take(pixels, first, axis=0)
    upper += (ops.take(pixels, first + step_x, axis=0) - upper) * right
    lower = ops.take(pixels, first + step_y, axis=0)
    lower += (ops.take(pixels, first + (step_y + step_x), axis=0) - lower) * right
    return upper + (lower - upper) * down


def _coordinates(size: int, ops: Any, *, flip: Any, angle: Any, zoom: Any) -> tuple[Any, Any]:
    """Where in its window each pixel of the output is sampled: y and x, float32 [b, s, s], in [0, s - 1]."""
    pivot = size / 2 + 0.5
    rows = np.arange(size, dtype=np.float32)[None, :, None] - pivot
    columns = np.arange(size, dtype=np.float32)[None, None, :]
    if flip is not None:
        columns = ops.where(flip[:, None, None], size - 1.0 - columns, columns)
    columns -= pivot
    if zoom is not None:
        rows, columns = rows * zoom[:, 0, None, None], columns * zoom[:, 1, None, None]
    if angle is not None:
        radians = (angle * (math.pi / 180))[:, None, None]
        cosine, sine = ops.cos(radians), ops.sin(radians)
        rows, columns = cosine * rows - sine * columns, sine * rows + cosine * columns
    return _clip(rows + pivot, ops, size - 1.0), _clip(columns + pivot, ops, size - 1.0)


def _first_taps(windows: Any, y: Any, x: Any, ops: Any) -> Any:
    """The upper left of the four pixels between which each point lies, counted through the batch: int32 [b, s, s].

    It stops one short of the lower and right border, so that its neighbours exist and the border's
    weight is exactly 1.
    """
    size = windows.shape[1]
    last = max(size - 2.0, 0.0)
    top, left = ops.cast(ops.minimum(y, last), "int32"), ops.cast(ops.minimum(x, last), "int32")
    return _starts(windows, ops) + top * size + left


def _starts(windows: Any, ops: Any) -> Any:
    """First pixel of each window: int32 [b, 1, 1]."""
    return ops.arange(ops.shape(windows)[0])[:, None, None] * windows.shape[1] ** 2


@tf.function(jit_compile=True, autograph=False)
def _host_taps(windows: tf.Tensor, **moves: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """`taps` of `see` as the host's compiler makes the best of them: in a kernel before the one that samples.

    In one kernel it would compute addresses pixel by pixel, check each against both ends of the
    table, and load bytes. Here a pixel is one word, the address is read from memory, and a table of
    a power of two needs no check but a
    mask: the sampling is done in vectors, at half the cost.
    """
    pixels = tf.reshape(windows, [-1, 3])
    count = tf.shape(pixels)[0]
    highest = count - 1
    for shift in (1, 2, 4, 8, 16):
        highest = tf.bitwise.bitwise_or(highest, tf.bitwise.right_shift(highest, shift))
    words = tf.bitcast(tf.pad(pixels, [[0, highest + 1 - count], [0, 1]]), tf.uint32)
    y, x = _coordinates(
        windows.shape[1], _TENSORFLOW, **{"flip": None, "angle": None, "zoom": None, **moves}
    )
    return words, _first_taps(windows, y, x, _TENSORFLOW)


def _clip(values: Any, ops: Any, highest: float) -> Any:
    return ops.minimum(ops.maximum(values, 0.0), highest)
