"""The short door to a stream: `pipeline.load`."""

from __future__ import annotations

from typing import Any

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import tensorflow as tf

from .dataset import open as open_dataset
from .settings import Settings


def load(
    dataset: str,
    *,
    split: str,
    data_dir: str = "data",
    training: bool = False,
    epochs: int = 1,
    epoch: int = 0,
    step: int = 0,
    shard: tuple[int, int] = (0, 1),
    viewed: bool = True,
    device: str | None = None,
    settings: Settings | None = None,
    **options: Any,
) -> tf.data.Dataset:
    """Batches of a prepared dataset: what is left of `epochs` epochs, as one stream.

    The stream is a function of its arguments alone: iterating it again gives the same batches, on
    any number of cores and from every tier. To continue a run that was interrupted, pass the
    `epoch` and the `step` in it that come next. `open(dataset, data_dir=data_dir).load(split, ...)`
    is the same.

    Args:
        dataset: "name/config", as built by `tfds build`.
        split: "train", "validation", "test", "all", or any split name of the TFDS dataset.
        data_dir: the folder given to `tfds build --data_dir`.
        training: shuffle (an exact permutation in each epoch), crop at random and augment.
        epochs: the epoch number at which the stream ends.
        epoch: the epoch number at which it begins.
        step: batches of that first epoch to leave out.
        shard: (index, count): the part of every epoch that this host reads; parts are disjoint and
            complete.
        viewed: False leaves the view, and with it most of the host's work, to `see_windows` inside
            of a model that an accelerator computes.
        device: such as "/GPU:0", to copy batches there ahead of time; None leaves them in host
            memory.
        settings: the input settings; None for the defaults.
        **options: fields of `Settings` to replace, such as `batch_size=64`.

    Returns:
        A dataset of known cardinality. Elements are (image, label): float32 [b, s, s, 3], or uint8
        without preprocessing, and int32 [b]. Not `viewed`, and in the tier `device`, the images are
        a dict that tells `see_windows` which windows to look at, and how: `windows`, uint8
        [b, s, s, 3], or where in `Dataset.device_pixels` they lie. Under
        `last_batch="pad"` a third element, float32 [b], is 1 for images and 0 for padding, which
        Keras takes as sample weights.

    Raises:
        InputError: no such dataset or split, or settings that the storage cannot serve. The message
            says what to do.
    """
    return open_dataset(dataset, data_dir=data_dir).load(
        split,
        training=training,
        epochs=epochs,
        epoch=epoch,
        step=step,
        shard=shard,
        viewed=viewed,
        device=device,
        settings=settings,
        **options,
    )
