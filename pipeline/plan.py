"""Which images a step holds, as a stateless function of the step's number in the stream."""

from __future__ import annotations

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import tensorflow as tf

from . import draws
from .records import Records
from .settings import InputError, StreamSettings, steps

Planned = tuple[tf.Tensor, tuple[tf.Tensor, ...], tf.Tensor]


class Plan:
    """The plan of one host's stream.

    Attributes:
        steps: batches that the host draws from an epoch.

    Raises:
        InputError: no such shard, or too few images for a batch.
    """

    def __init__(
        self, records: Records, settings: StreamSettings, *, training: bool, shard: tuple[int, int]
    ) -> None:
        index, count = shard
        if not 0 <= index < count:
            rule = "shard must be (index, count) with 0 <= index < count"
            raise InputError(f"{rule}. Received: {shard}")
        self._settings = settings
        self._training = training
        self._shard = shard
        self._images = len(records)
        self._host_images = len(range(index, self._images, count))
        self._labels = tf.constant(records.label)
        # Under "keep" hosts may differ by a batch, so each counts the images of its own shard.
        keep = settings.last_batch == "keep"
        self.steps = steps(
            self._host_images if keep else self._images,
            batch_size=settings.batch_size,
            last_batch=settings.last_batch,
            hosts=1 if keep else count,
        )
        if not self.steps:
            raise InputError(
                f"{self._host_images} images do not fill a batch of {settings.batch_size}; "
                "lower batch_size or keep the last batch."
            )

    def numbers(self, *, epochs: int, epoch: int, step: int) -> range:
        """The steps from (epoch, step) to the end of the last epoch, counted from epoch 0.

        Raises:
            InputError: they lie outside of the stream.
        """
        if not 0 <= epoch <= epochs or not 0 <= step <= self.steps:
            rule = f"(epoch, step) must lie within {epochs} epochs of {self.steps} steps"
            raise InputError(f"{rule}. Received: {(epoch, step)}")
        return range(epoch * self.steps + step, epochs * self.steps)

    def __call__(self, number: tf.Tensor) -> Planned:
        """What the step of this number holds.

        Args:
            number: int64 scalar.

        Returns:
            The images' positions in the split, int64 [b]; the labels, int32 [b], and under
            `last_batch="pad"` the mask, float32 [b]; the draws, float64 [b, 8].
        """
        size = self._settings.batch_size
        index, count = self._shard
        epoch = number // self.steps
        # Among the host's images, counted from the begin of the epoch.
        host_positions = number % self.steps * size + tf.range(size, dtype=tf.int64)
        present = host_positions < self._host_images
        if self._settings.last_batch == "keep" and self._host_images % size:
            host_positions = tf.boolean_mask(host_positions, present)
        # Hosts take turns. Padding repeats the last image, of weight 0.
        positions = tf.minimum(host_positions, self._host_images - 1) * count + index
        images = positions
        if self._training:
            images = draws.order(
                positions, seed=self._settings.seed, epoch=epoch, images=self._images
            )
        targets: tuple[tf.Tensor, ...] = (tf.gather(self._labels, images),)
        if self._settings.last_batch == "pad":
            targets += (tf.cast(present, tf.float32),)
        return images, targets, draws.uniforms(positions, seed=self._settings.seed, epoch=epoch)
