"""Random numbers as stateless functions of (seed, epoch, position).

There is nothing to save, and nothing depends on threads. The order of an epoch is a pseudo-random
permutation that is evaluated where it is needed, without a shuffle buffer. The draws of a position
do not depend on the batch size or on the host that computes them.
"""

from __future__ import annotations

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import tensorflow as tf

# What each column of `uniforms` decides.
COLUMNS = ("top", "left", "flip", "angle", "zoom_y", "zoom_x", "brightness", "contrast")

_GOLDEN = 0x9E3779B97F4A7C15


def order(positions: tf.Tensor, *, seed: int, epoch: tf.Tensor, images: int) -> tf.Tensor:
    """Which image stands at each position of an epoch; over all positions an exact permutation.

    Args:
        positions: int64 [b], in [0, images).
        seed: of the run.
        epoch: int64 scalar.
        images: images in an epoch.

    Returns:
        int64 [b].
    """
    key = _key(seed, epoch)
    halves = tf.bitwise.right_shift(tf.stack([key, _mix(key)]), tf.constant(33, tf.uint64))
    return tf.random.experimental.index_shuffle(
        positions, seed=tf.cast(halves, tf.int32), max_index=tf.constant(images - 1, tf.int64)
    )


def uniforms(positions: tf.Tensor, *, seed: int, epoch: tf.Tensor) -> tf.Tensor:
    """Independent U[0, 1) numbers for each position of an epoch, one for each of `COLUMNS`.

    SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA
    2014, figure 17), keyed by chaining its output function over seed, epoch and position.

    Args:
        positions: int64 [b].
        seed: of the run.
        epoch: int64 scalar.

    Returns:
        float64 [b, 8], multiples of 2**-53.
    """
    states = _mix(_key(seed, epoch) + tf.cast(positions, tf.uint64))[:, None]
    counters = tf.constant([(_GOLDEN * (k + 1)) % 2**64 for k in range(len(COLUMNS))], tf.uint64)
    bits = tf.bitwise.right_shift(_mix(states + counters), tf.constant(11, tf.uint64))
    return tf.cast(tf.cast(bits, tf.int64), tf.float64) * 2.0**-53


def _key(seed: int, epoch: tf.Tensor) -> tf.Tensor:
    with tf.init_scope():  # once, not for every batch
        first = _mix(tf.constant(seed, tf.uint64))
    return _mix(first + tf.cast(epoch, tf.uint64))


def _mix(z: tf.Tensor) -> tf.Tensor:
    z += tf.constant(_GOLDEN, tf.uint64)
    z = tf.bitwise.bitwise_xor(z, tf.bitwise.right_shift(z, tf.constant(30, tf.uint64)))
    z *= tf.constant(0xBF58476D1CE4E5B9, tf.uint64)
    z = tf.bitwise.bitwise_xor(z, tf.bitwise.right_shift(z, tf.constant(27, tf.uint64)))
    z *= tf.constant(0x94D049BB133111EB, tf.uint64)
    return tf.bitwise.bitwise_xor(z, tf.bitwise.right_shift(z, tf.constant(31, tf.uint64)))
