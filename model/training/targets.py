"""What a network is trained towards: labels, or smoothed, weighted and mixed vectors.

A target vector t of a label has the loss -sum over c of t_c log p_c. Smoothing and mixing change
the vector, a class's weight is a factor on it, so that one loss serves all of them, and the plain
cross-entropy for labels as they are.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from sklearn.utils.class_weight import compute_class_weight

from sentiflow.options import InputError, brief

from ..settings import TrainSettings


class CrossEntropy(keras.losses.Loss):
    """Cross-entropy of probabilities to labels [b] or target vectors [b, classes], nats."""

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of every image: float32 [b]."""
        if len(y_true.shape) == len(y_pred.shape):
            return keras.ops.categorical_crossentropy(y_true, y_pred)
        return keras.ops.sparse_categorical_crossentropy(y_true, y_pred)


def hits(y_true: Any, y_pred: Any) -> Any:
    """1 where the most probable class is the label or the vector's largest, else 0: float32 [b]."""
    if len(y_true.shape) == len(y_pred.shape):
        return keras.metrics.categorical_accuracy(y_true, y_pred)
    return keras.metrics.sparse_categorical_accuracy(y_true, y_pred)


def are_plain(settings: TrainSettings) -> bool:
    """Whether training is towards the labels as they are."""
    return not settings.label_smoothing and not settings.mixup and settings.class_weights == "none"


@dataclasses.dataclass(frozen=True)
class Table:
    """The target vector of every label, before mixing, without a row for each.

    Attributes:
        on: what stands at the label's own place: float32 [classes], by label.
        off: what stands at all others: float32 [classes], by label.
    """

    on: np.ndarray
    off: np.ndarray

    def vectors(self, labels: Any, *, ops: Any) -> Any:
        """The target vectors of labels.

        Args:
            labels: int [b].
            ops: `keras.ops` or `tf`.

        Returns:
            float32 [b, classes].
        """
        take = ops.gather if ops is tf else ops.take
        on, off = (take(values, labels)[:, None] for values in (self.on, self.off))
        classes = np.arange(len(self.on), dtype=np.int32)
        return ops.where(ops.equal(ops.cast(labels, "int32")[:, None], classes), on, off)


def table(settings: TrainSettings, labels: np.ndarray, class_names: list[str]) -> Table:
    """The target vector of every label, before mixing.

    Label smoothing as in Szegedy et al., "Rethinking the Inception Architecture for Computer
    Vision", CVPR 2016,
    section 7: (1 - e) on the label and e / classes on every class. Balanced weights as
    scikit-learn's: images / (classes * images of the class), whose mean over the images is 1.

    Args:
        settings: label_smoothing and class_weights are used.
        labels: int [n], of all training images.
        class_names: names of the classes.

    Raises:
        InputError: a class to balance has no image.
    """
    classes = len(class_names)
    share = settings.label_smoothing
    weights = np.ones(classes)
    if settings.class_weights == "balanced":
        counts = np.bincount(labels, minlength=classes)
        missing = [name for name, count in zip(class_names, counts, strict=True) if not count]
        if missing:
            raise InputError(
                "class_weights must be none where a class has no training image. "
                f"Received: {brief(missing)}"
            )
        weights = compute_class_weight("balanced", classes=np.arange(classes), y=labels)
    on, off = (1 - share) + share / classes, share / classes
    return Table((on * weights).astype(np.float32), (off * weights).astype(np.float32))


def attach(
    batches: tf.data.Dataset, table: Table, *, mixup: float, seed: int, step: int
) -> tf.data.Dataset:
    """Gives batches their target vectors, and mixes them.

    Mixup: Zhang et al., "mixup: Beyond Empirical Risk Minimization", ICLR 2018. Every image is
    mixed with the one before it in the shuffled batch, in shares L and 1 - L, L from Beta(alpha,
    alpha); a stateless function of the seed and the step. On the tier `device` the share is added
    to what the accelerator is told, and `OnDevice` mixes.

    Args:
        batches: of `pipeline.load`: (images, labels) or (images, labels, mask).
        table: of the labels.
        mixup: alpha; 0: never.
        seed: of the run.
        step: number of the first batch in the run.

    Returns:
        The same batches with target vectors, float32 [b, classes], for labels.
    """

    def one(number: tf.Tensor, element: tuple[Any, ...]) -> tuple[Any, ...]:
        images, labels, *mask = element
        vectors = table.vectors(labels, ops=tf)
        if mixup:
            share = _shares(
                tf.shape(labels), mixup, tf.stack([tf.constant(seed, tf.int64), number])
            )
            vectors = mix(vectors, share, ops=tf)
            images = (
                images | {"share": share}
                if isinstance(images, dict)
                else mix(images, share, ops=tf)
            )
        return images, vectors, *mask

    numbers = tf.data.Dataset.range(step, np.iinfo(np.int64).max)
    return tf.data.Dataset.zip((numbers, batches)).map(one, tf.data.AUTOTUNE).prefetch(2)


def mix(values: Any, share: Any, *, ops: Any) -> Any:
    """Mixes neighbours: share * value + (1 - share) * the value before it.

    Before the first stands the last.

    Args:
        values: [b, ...].
        share: float32 [b].
        ops: `keras.ops` or `tf`.

    Returns:
        float32 [b, ...].
    """
    values = ops.cast(values, "float32")
    share = ops.reshape(share, [-1] + [1] * (len(values.shape) - 1))
    return share * values + (1 - share) * ops.roll(values, shift=1, axis=0)


def _shares(shape: tf.Tensor, alpha: float, seed: tf.Tensor) -> tf.Tensor:
    """Beta(alpha, alpha) as the share of one of two Gamma(alpha) in their sum: float32 [b]."""
    pair = tf.random.stateless_gamma(
        tf.concat([[2], shape], 0), seed, alpha=tf.constant(alpha, tf.float64), dtype=tf.float64
    )
    first, second = tf.unstack(pair, axis=0)
    total = first + second
    return tf.cast(tf.where(total > 0, first / total, 0.5), tf.float32)
