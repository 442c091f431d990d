"""The view on the host: `view.see` on TensorFlow's operations, compiled, in two kernels."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import tensorflow as tf

from .view import Taps, coordinates, first_taps, see

# TensorFlow's operations under the names that `keras.ops` gives them.
_OPS = SimpleNamespace(
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
    take=tf.gather,
    where=tf.where,
)


@tf.function(autograph=False)
def view(windows: tf.Tensor, *, preprocess: str | None, **parameters: tf.Tensor) -> tf.Tensor:
    """`view.see` for the host's graph, with the same arguments.

    The sample is made by two kernels, one after the other. A single one would compute addresses
    pixel by pixel, check each against both ends of the table, and load bytes. The first kernel
    writes the addresses, and each pixel as one word into a table whose size is a power of two, so
    that an address needs no check but a mask: the second samples in vectors, at half the cost.
    """
    if preprocess in (None, "none") and not parameters:
        return windows
    moves = {name: value for name, value in parameters.items() if name in ("flip", "angle", "zoom")}
    words_and_first = (
        _words_and_first_taps(windows, **moves) if {"angle", "zoom"} & moves.keys() else None
    )
    return _see(windows, words_and_first, preprocess=preprocess, **parameters)


@tf.function(jit_compile=True, autograph=False)
def _words_and_first_taps(windows: tf.Tensor, **moves: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The first kernel.

    Returns:
        The pixels of the batch as words, uint32 [n] with n a power of two, and `Taps.first`.
    """
    pixels = tf.reshape(windows, [-1, 3])
    count = tf.shape(pixels)[0]
    # All bits below the highest one that is set: the next power of two, less one.
    highest = count - 1
    for shift in (1, 2, 4, 8, 16):
        highest = tf.bitwise.bitwise_or(highest, tf.bitwise.right_shift(highest, shift))
    words = tf.bitcast(tf.pad(pixels, [[0, highest + 1 - count], [0, 1]]), tf.uint32)
    absent = {"flip": None, "angle": None, "zoom": None}
    y, x = coordinates(windows.shape[1], _OPS, **{**absent, **moves})
    return words, first_taps(windows, y, x, _OPS)


@tf.function(jit_compile=True, autograph=False)
def _see(
    windows: tf.Tensor, words_and_first: tuple[tf.Tensor, tf.Tensor] | None, **parameters: Any
) -> tf.Tensor:
    """The second kernel, or the only one where nothing is sampled."""
    if words_and_first is None:
        return see(windows, ops=_OPS, **parameters)
    words, first = words_and_first

    def fetch(index: tf.Tensor) -> tf.Tensor:
        masked = tf.bitwise.bitwise_and(index, tf.shape(words)[0] - 1)
        return tf.cast(tf.gather(tf.bitcast(words, tf.uint8), masked)[..., :3], tf.float32)

    return see(windows, ops=_OPS, taps=Taps(first, fetch), **parameters)
