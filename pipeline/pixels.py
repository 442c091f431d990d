"""From stored bytes to resized pixels: steps 1-3 of the reference system, all deterministic."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import numpy as np
import tensorflow as tf
from PIL import Image

from sentiflow import photo

from .settings import InputError, Settings, StreamSettings

# Names of the resampling filters in TensorFlow and in Pillow.
_FILTERS = {
    "lanczos": ("lanczos3", Image.Resampling.LANCZOS),
    "bicubic": ("keyscubic", Image.Resampling.BICUBIC),
    "bilinear": ("triangle", Image.Resampling.BILINEAR),
}


def corner(shape: tf.Tensor, draws: tf.Tensor, settings: StreamSettings) -> tf.Tensor:
    """Top left pixel of the window: in the centre, or drawn among all that are possible.

    Args:
        shape: int64 [..., 2], height and width of the resized image in pixels.
        draws: float64 [..., 2] in [0, 1).
        settings: of the stream.

    Returns:
        int64 [..., 2], in pixels.
    """
    size = settings.image_size
    sides = tf.cast(shape, tf.float64)
    if settings.crop == "random":
        return tf.cast(tf.floor(draws * (sides - size + 1.0)), tf.int64)
    # Both libraries round halves to even.
    return tf.maximum(tf.cast(tf.round(sides / 2.0), tf.int64) - round(size / 2), 0)


def cover_shape(shape: tf.Tensor, settings: StreamSettings) -> tf.Tensor:
    """Height and width after scaling to cover the square of `settings.cover` pixels.

    They are int64 [..., 2]. An image that already is the window is left as it is. The result is
    never smaller than the window.
    """
    size = settings.image_size
    sides = tf.cast(shape, tf.float64)
    ratio = tf.reduce_max(settings.cover / sides, axis=-1, keepdims=True)
    covered = tf.maximum(tf.cast(sides * ratio, tf.int64), size)
    return tf.where(
        tf.reduce_all(tf.equal(shape, size), axis=-1, keepdims=True),
        tf.cast(shape, tf.int64),
        covered,
    )


def decode(data: tf.Tensor, storage: str, settings: StreamSettings) -> tf.Tensor:
    """Decodes a stored image and, if the storage is `original`, resizes it: uint8 [h, w, 3].

    Files come out bit-identical to Pillow, as the builders made sure. Resized values are within 1
    level of Pillow's in 99.99 % of cases, and within 2 always.
    """
    pixels = photo.decode_with_tensorflow(data)
    if storage != "original":
        return pixels
    shape = cover_shape(tf.shape(pixels, tf.int64)[:2], settings)
    return _resize(pixels, shape, tf.zeros([2], tf.int64), shape, settings)


def decode_window(data: tf.Tensor, draws: tf.Tensor, settings: StreamSettings) -> tf.Tensor:
    """The window of a source file: what is outside of it is not resampled.

    Args:
        data: string scalar.
        draws: float64 [2] in [0, 1), as for `corner`.
        settings: of the stream.

    Returns:
        uint8 [s, s, 3].
    """
    size = settings.image_size
    whole = photo.decode_with_tensorflow(data)
    shape = cover_shape(tf.shape(whole, tf.int64)[:2], settings)
    pixels = _resize(
        whole, shape, corner(shape, draws, settings), tf.constant([size, size], tf.int64), settings
    )
    return tf.ensure_shape(pixels, (size, size, 3))


def as_tensor(data: np.ndarray) -> tf.Tensor:
    """The same memory as a tensor; TensorFlow would copy a plain NumPy argument."""
    return tf.experimental.dlpack.from_dlpack(data.__dlpack__())


def as_string(data: tf.Tensor) -> tf.Tensor:
    """uint8 [n] as a string of n bytes.

    The graph has no such cast, but a serialised tensor is a string, and ends with the bytes.
    """
    count = tf.size(data)
    return tf.strings.substr(tf.io.serialize_tensor(data), -count, count)


def read_file(path: str | os.PathLike[str], settings: Settings) -> np.ndarray:
    """A picture file after steps 1-3, the crop at the centre: uint8 [s, s, 3].

    What the builders read, with their checks and limits (see `sentiflow/photo.py`).

    Raises:
        InputError: the file cannot be read or decoded.
    """
    centred = dataclasses.replace(settings.evaluation(), crop="center")
    size = centred.image_size

    def scaled(width: int, height: int) -> tuple[int, int]:
        shape = cover_shape(tf.constant([height, width], tf.int64), centred)
        return int(shape[1]), int(shape[0])

    try:
        with photo.opened(path, scaled) as image:
            picture = image.picture
            target = scaled(*picture.size)
            if target != picture.size:
                picture = picture.resize(target, _FILTERS[settings.interpolation][1])
            shape = tf.constant([picture.height, picture.width], tf.int64)
            top, left = (int(side) for side in corner(shape, tf.zeros([2], tf.float64), centred))
            return np.asarray(picture.crop((left, top, left + size, top + size)))
    except photo.BadImage as reason:
        raise InputError(f"{os.fspath(path)}: {reason}.") from None


def _resize(
    pixels: tf.Tensor,
    shape: tf.Tensor,
    corner: tf.Tensor,
    size: tf.Tensor,
    settings: StreamSettings,
) -> tf.Tensor:
    """Scales to `shape` and cuts the box of `size` at `corner`, computing no more than that box."""
    return tf.cond(
        tf.reduce_all(tf.equal(shape, tf.shape(pixels, tf.int64)[:2])),
        lambda: tf.slice(pixels, tf.concat([corner, [0]], 0), tf.concat([size, [3]], 0)),
        lambda: _resample(pixels, shape, corner, size, settings),
    )


def _resample(
    pixels: tf.Tensor,
    shape: tf.Tensor,
    corner: tf.Tensor,
    size: tf.Tensor,
    settings: StreamSettings,
) -> tf.Tensor:
    """As `_resize`, like Pillow first across and then down, each rounded to whole levels.

    Where the filter overshoots 0 or 255, at edges of drawings above all, it matters that it is cut
    off in between. Each row is an image of its own, then each column of values: along the other
    axis there is nothing to compute.
    """
    rows = tf.shape(pixels, tf.int64)[0]
    scale = tf.cast(shape / tf.shape(pixels, tf.int64)[:2], tf.float32)
    begin = -tf.cast(corner, tf.float32)
    across = _filter(pixels[:, None], [1, size[1]], [1.0, scale[1]], [0.0, begin[1]], settings)
    columns = tf.reshape(across, [1, rows, 1, 3 * size[1]])
    down = _filter(columns, [size[0], 1], [scale[0], 1.0], [begin[0], 0.0], settings)
    return tf.cast(tf.reshape(down, [size[0], size[1], 3]), tf.uint8)


def _filter(
    images: tf.Tensor, size: Any, scale: Any, begin: Any, settings: StreamSettings
) -> tf.Tensor:
    """Images, [n, h, w, c], scaled and cut to `size` from `begin` on: whole float32 levels."""
    scaled = tf.raw_ops.ScaleAndTranslate(
        images=images,
        size=tf.cast(size, tf.int32),
        scale=scale,
        translation=begin,
        kernel_type=_FILTERS[settings.interpolation][0],
        antialias=True,
    )
    return tf.clip_by_value(tf.round(scaled), 0.0, 255.0)
