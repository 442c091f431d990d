"""Windows of storage `original`, decoded from the source files in the shards."""

from __future__ import annotations

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import numpy as np
import tensorflow as tf

from .. import pixels, python
from ..records import Records
from ..settings import StreamSettings


class Files:
    """Source files; of each the window alone is resampled.

    Attributes:
        flips: False.
        is_on_device: False.
    """

    flips = False
    is_on_device = False

    def __init__(self, records: Records, settings: StreamSettings) -> None:
        """Takes the records of the split."""
        self._records = records
        self._settings = settings

    def windows(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """See `Source.windows`."""
        size = self._settings.image_size
        cut = python.call(self._cut, (images, draws[:, :2]), tf.uint8)
        return tf.ensure_shape(cut, (images.shape[0], size, size, 3))

    def _cut(self, images: np.ndarray, draws: np.ndarray) -> np.ndarray:
        # One after the other: it is batches that run side by side.
        size = self._settings.image_size
        windows = np.empty((len(images), size, size, 3), np.uint8)
        for window, image, draw in zip(windows, images, draws, strict=True):
            window[:] = pixels.read_window(self._records.value(int(image)), draw, self._settings)
        return windows
