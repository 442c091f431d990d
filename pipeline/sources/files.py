"""Windows of storage `original`, decoded from the source files in the mapped shards."""

from __future__ import annotations

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import tensorflow as tf

from .. import pixels
from ..records import Records
from ..settings import StreamSettings
from .mapping import mapped_file


class Files:
    """Source files; of each the window alone is resampled.

    Attributes:
        flips: False.
        is_on_device: False.
    """

    flips = False
    is_on_device = False

    def __init__(self, records: Records, settings: StreamSettings) -> None:
        """Maps the shards."""
        self._file = mapped_file(records)
        self._settings = settings

    def windows(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """See `Source.windows`."""
        size = self._settings.image_size
        # One after the other: it is batches that run side by side.
        return tf.map_fn(
            lambda image: pixels.decode_window(self._file(image[0]), image[1], self._settings),
            (images, draws[:, :2]),
            fn_output_signature=tf.TensorSpec((size, size, 3), tf.uint8),
            parallel_iterations=1,
        )
