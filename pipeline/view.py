"""The view: flip, zoom and rotation of a window as ONE affine sample per image, with tone and preprocessing fused in.

A bilinear gather in plain operations, compiled with XLA. The geometry is that of `keras_preprocessing` 1.1.2
(`apply_affine_transform`, order 1, fill mode "nearest"), whose pivot is h / 2 + 0.5: parity is with the generator
that the reference system ran, not with what a fresh design would choose.
"""

from __future__ import annotations

import math

import tensorflow as tf

from pipeline.draws import COLUMNS
from pipeline.settings import Settings

# Channel means and deviations of ImageNet as `keras.applications.imagenet_utils.preprocess_input` has them.
_CAFFE_MEANS_BGR = (103.939, 116.779, 123.68)
_TORCH_MEANS = (0.485, 0.456, 0.406)
_TORCH_DEVIATIONS = (0.229, 0.224, 0.225)


def sample_parameters(draws: tf.Tensor, settings: Settings) -> dict[str, tf.Tensor]:
    """Parameters of `view` from uniform draws; an augmentation that is off has no entry.

    Args:
        draws: float64 [b, 8] in [0, 1), columns as in `draws.COLUMNS`.
        settings: resolved settings.

    Returns:
        `angle` in degrees, counter-clockwise on the screen; `zoom` [b, 2] (vertical, horizontal; above 1 shrinks);
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


@tf.function(jit_compile=True)
def view(
    windows: tf.Tensor,
    *,
    preprocess: str | None,
    flip: tf.Tensor | None = None,
    angle: tf.Tensor | None = None,
    zoom: tf.Tensor | None = None,
    brightness: tf.Tensor | None = None,
    contrast: tf.Tensor | None = None,
) -> tf.Tensor:
    """What the model sees of a batch of windows. An argument that is None costs nothing.

    Args:
        windows: uint8 [b, s, s, 3], RGB.
        preprocess: "caffe", "tf" or "torch" as in `keras.applications`; "none" or None keeps pixels.
        flip: bool [b], mirror horizontally, after rotation and zoom.
        angle: float32 [b], degrees, as `theta` of `apply_affine_transform`.
        zoom: float32 [b, 2], as `zx` (vertical) and `zy` (horizontal) of `apply_affine_transform`.
        brightness: float32 [b], factor on pixel values.
        contrast: float32 [b], factor on the distance to the image's mean grey.

    Returns:
        float32 [b, s, s, 3], or uint8 (rounded to nearest, clipped) when there is no preprocessing.
    """
    plain = preprocess in (None, "none")
    if angle is None and zoom is None:
        pixels = windows if flip is None else tf.where(flip[:, None, None, None], windows[:, :, ::-1], windows)
        if plain and brightness is None and contrast is None:
            return pixels
        pixels = tf.cast(pixels, tf.float32)
    else:
        pixels = _affine(windows, flip=flip, angle=angle, zoom=zoom)
    pixels = _tone(pixels, brightness=brightness, contrast=contrast)
    if plain:
        return tf.cast(tf.clip_by_value(tf.round(pixels), 0.0, 255.0), tf.uint8)
    return normalise(pixels, preprocess)


def normalise(pixels: tf.Tensor, preprocess: str | None) -> tf.Tensor:
    """float32 [..., 3] RGB pixels in [0, 255] to the value range that a backbone was trained with."""
    if preprocess == "caffe":
        return pixels[..., ::-1] - tf.constant(_CAFFE_MEANS_BGR)
    if preprocess == "tf":
        return pixels / 127.5 - 1.0
    if preprocess == "torch":
        return (pixels / 255.0 - tf.constant(_TORCH_MEANS)) / tf.constant(_TORCH_DEVIATIONS)
    return pixels


def _affine(
    windows: tf.Tensor, *, flip: tf.Tensor | None, angle: tf.Tensor | None, zoom: tf.Tensor | None
) -> tf.Tensor:
    """Samples each window where the inverse of its map sends the output's pixels: float32 [b, s, s, 3]."""
    batch, size = tf.shape(windows)[0], windows.shape[1]
    pivot = size / 2 + 0.5
    rows = tf.range(size, dtype=tf.float32)[None, :, None] - pivot
    columns = tf.range(size, dtype=tf.float32)[None, None, :]
    if flip is not None:
        columns = tf.where(flip[:, None, None], size - 1.0 - columns, columns)
    columns -= pivot
    if zoom is not None:
        rows, columns = rows * zoom[:, 0, None, None], columns * zoom[:, 1, None, None]
    if angle is not None:
        radians = (angle * (math.pi / 180))[:, None, None]
        cosine, sine = tf.cos(radians), tf.sin(radians)
        rows, columns = cosine * rows - sine * columns, sine * rows + cosine * columns
    y = tf.clip_by_value(rows + pivot, 0.0, size - 1.0)
    x = tf.clip_by_value(columns + pivot, 0.0, size - 1.0)
    return _bilinear(windows, y, x, batch, size)


def _bilinear(windows: tf.Tensor, y: tf.Tensor, x: tf.Tensor, batch: tf.Tensor, size: int) -> tf.Tensor:
    # The upper and left taps stop one short of the border, so that their neighbours exist and the border's weight is
    # exactly 1. Converting before the gather is what the compiler turns into the fastest loop.
    last = max(size - 2.0, 0.0)
    top, left = tf.cast(tf.minimum(y, last), tf.int32), tf.cast(tf.minimum(x, last), tf.int32)
    down, right = (y - tf.cast(top, tf.float32))[..., None], (x - tf.cast(left, tf.float32))[..., None]
    index = top * size + left
    pixels = tf.reshape(tf.cast(windows, tf.float32), [batch, -1, 3])
    step_x, step_y = (1, size) if size > 1 else (0, 0)

    def tap(offset: int) -> tf.Tensor:
        return tf.gather(pixels, index + offset, batch_dims=1)

    upper = tap(0)
    upper += (tap(step_x) - upper) * right
    lower = tap(step_y)
    lower += (tap(step_y + step_x) - lower) * right
    return upper + (lower - upper) * down


def _tone(pixels: tf.Tensor, *, brightness: tf.Tensor | None, contrast: tf.Tensor | None) -> tf.Tensor:
    if brightness is not None:
        pixels = tf.clip_by_value(pixels * brightness[:, None, None, None], 0.0, 255.0)
    if contrast is not None:
        mean = tf.reduce_mean(pixels, axis=[1, 2, 3], keepdims=True)
        pixels = tf.clip_by_value(mean + (pixels - mean) * contrast[:, None, None, None], 0.0, 255.0)
    return pixels
