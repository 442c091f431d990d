"""Bytes of coming batches are asked for before they are touched, where the page cache lacks them.

A page that is mapped and not in memory is read when it is touched, one or a few at a time, while
the thread waits: a disk that could do hundreds of reads at once gets as many as there are threads.
Which images the next steps hold is known from their numbers, so plans are made some batches ahead,
and the kernel is told (`posix_fadvise`) what to read for them. It reads without anybody waiting.
"""

from __future__ import annotations

import os

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import numpy as np
import tensorflow as tf

from . import python
from .pixels import NUMPY, corner
from .plan import Planned
from .records import Records
from .settings import StreamSettings

AHEAD = 512  # images whose bytes are asked for in advance, at least two batches
# Steps, of which one is looked at while the page cache has all that is asked for.
_RARELY = 32
_MOST = 2**17  # bytes that the kernel reads for one call, on any disk
IS_POSSIBLE = hasattr(os, "posix_fadvise") and hasattr(os, "RWF_NOWAIT")  # Linux


class ReadAhead:
    """Tells the kernel what the batches of a stream will touch.

    Attributes:
        depth: batches that are planned in advance.
    """

    def __init__(self, records: Records, settings: StreamSettings) -> None:
        """Takes the records of the split; nothing is read."""
        self._records = records
        self._settings = settings
        self._interval = tf.Variable(1, dtype=tf.int64, trainable=False)
        self.depth = max(2, -(-AHEAD // settings.batch_size))

    def tell(self, number: tf.Tensor, planned: Planned) -> Planned:
        """The same plan of a step; now and then, or always while pages lack, the kernel is told."""
        images, _, draws = planned

        def ask() -> tf.Tensor:
            missing = python.call(self._ask, (images, draws[:, :2]), tf.bool)
            return self._interval.assign(tf.where(missing, tf.int64.as_numpy_dtype(1), _RARELY))

        interval = tf.cond(number % self._interval == 0, ask, lambda: self._interval.read_value())
        with tf.control_dependencies([interval]):
            return tf.identity(images), *planned[1:]

    def _ask(self, images: np.ndarray, draws: np.ndarray) -> np.ndarray:
        """Asks for what a batch touches; returns whether any of it was not in memory."""
        begin, length = self._spans(images, draws)
        missing = False
        for shard in np.unique(self._records.shard[images]):
            file = os.open(self._records.paths[shard], os.O_RDONLY)
            try:
                for i in np.flatnonzero(self._records.shard[images] == shard):
                    missing |= _ask_for(file, int(begin[i]), int(length[i]))
            finally:
                os.close(file)
        return np.array(missing)

    def _spans(self, images: np.ndarray, draws: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """First byte in its shard, and bytes, of what is touched of each image."""
        begin, length = self._records.offset[images], self._records.length[images]
        if self._records.storage != "raw":
            return begin, length
        shape = self._records.shape[images].astype(np.int64)
        top = corner(shape, draws, self._settings, NUMPY)[:, 0]
        row = 3 * shape[:, 1]
        return begin + top * row, self._settings.image_size * row


def _ask_for(file: int, begin: int, length: int) -> bool:
    """Has the kernel read a part of a file, unless its middle is in memory; returns whether so."""
    try:
        os.preadv(file, [bytearray(1)], begin + length // 2, os.RWF_NOWAIT)
        return False
    except BlockingIOError:
        pass
    except OSError:  # a file system that cannot say
        return False
    for first in range(begin, begin + length, _MOST):
        os.posix_fadvise(file, first, min(_MOST, begin + length - first), os.POSIX_FADV_WILLNEED)
    return True
