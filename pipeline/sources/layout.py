"""Where resized images lie in one run of bytes, and windows that are cut from it.

Windows of a whole batch are cut by one compiled gather of pixel rows: nothing is copied twice, and
Python takes no part.
"""

from __future__ import annotations

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import numpy as np
import tensorflow as tf
from tensorflow.compiler.tf2xla.python import xla
from tensorflow.compiler.xla import xla_data_pb2

from ..pixels import corner
from ..settings import StreamSettings
from ..view import mirror, sample_parameters

# One gather index per pixel row; a row is one contiguous run of bytes.
_ROWS = xla_data_pb2.GatherDimensionNumbers(
    offset_dims=[2], start_index_map=[0], index_vector_dim=2
)


class Layout:
    """Where the resized pixels of n images lie.

    Attributes:
        start: int64 [n], first byte of each image.
        shape: int64 [n, 2], height and width in pixels.
    """

    def __init__(self, start: np.ndarray, shape: np.ndarray) -> None:
        self.start = tf.constant(start, tf.int64)
        self.shape = tf.constant(shape, tf.int64)

    def choose(
        self, images: tf.Tensor, draws: tf.Tensor, settings: StreamSettings
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Chooses one window of each image.

        Args:
            images: int64 [b], positions.
            draws: float64 [b, 8]; the first two columns choose random windows.
            settings: of the stream.

        Returns:
            The first byte of each window, and the width in pixels of the image that it lies in:
            both int64 [b].
        """
        shape = tf.gather(self.shape, images)
        top_left = corner(shape, draws[:, :2], settings)
        width = shape[:, 1]
        pixel = top_left[:, 0] * width + top_left[:, 1]
        return tf.gather(self.start, images) + 3 * pixel, width


class Pixels:
    """A source of windows that are cut from resized pixels in memory.

    Attributes:
        flips: they are mirrored in the same pass, unless the view samples them anew, which mirrors
            at no cost.
        is_on_device: False.
    """

    is_on_device = False

    def __init__(self, data: tf.Tensor, layout: Layout, settings: StreamSettings) -> None:
        """Takes the pixels, uint8 [bytes], where each image lies among them, and the settings."""
        self._data = data
        self._layout = layout
        self._settings = settings
        self.flips = settings.flip and not (settings.rotation or settings.zoom)

    def windows(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """See `Source.windows`."""
        first, width = self._layout.choose(images, draws, self._settings)
        flip = sample_parameters(draws, self._settings)["flip"] if self.flips else None
        return _cut(self._data, first, 3 * width, self._settings.image_size, flip)


@tf.function(jit_compile=True, autograph=False)
def _cut(
    data: tf.Tensor, first: tf.Tensor, stride: tf.Tensor, size: int, flip: tf.Tensor | None
) -> tf.Tensor:
    """Windows uint8 [b, s, s, 3] from their first bytes and the bytes between rows, int64 [b]."""
    rows = first[:, None] + tf.range(size, dtype=tf.int64) * stride[:, None]
    pixels = xla.gather(data, rows[:, :, None], _ROWS, [3 * size], indices_are_sorted=False)
    windows = tf.reshape(pixels, [-1, size, size, 3])
    return windows if flip is None else mirror(windows, flip)  # in the same pass
