"""Windows that the accelerator cuts from a copy of all resized images in its own memory."""

from __future__ import annotations

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import numpy as np
import tensorflow as tf

from .. import device_view
from ..records import Records
from ..settings import StreamSettings
from . import resized
from .layout import Layout


class Device:
    """Tells the device which windows to cut.

    Attributes:
        flips: False, the device mirrors.
        is_on_device: True.
    """

    flips = False
    is_on_device = True

    def __init__(self, records: Records, all_records: Records, settings: StreamSettings) -> None:
        """Takes the records of the split and of all splits, in whose order the pixels lie."""
        shapes = resized.shapes(all_records, settings)
        rows = np.searchsorted(all_records.number, records.number)
        self._layout = Layout(3 * resized.starts(shapes)[rows], shapes[rows])
        self._settings = settings

    def windows(self, images: tf.Tensor, draws: tf.Tensor) -> dict[str, tf.Tensor]:
        """Where each window begins.

        Returns:
            `block` and `pixel`, the block of pixels in which it does and the number in that, and
            `width`, pixels from one of its rows to the next: all int32 [b].
        """
        first, width = self._layout.choose(images, draws, self._settings)
        first //= 3
        where = {
            "block": first // device_view.BLOCK,
            "pixel": first % device_view.BLOCK,
            "width": width,
        }
        return {name: tf.cast(value, tf.int32) for name, value in where.items()}


def pixels(all_records: Records, settings: StreamSettings) -> np.ndarray:
    """The resized pixels of a dataset in the order that `Device` counts them in.

    Returns:
        uint32 [blocks, BLOCK], a pixel in each, red in the lowest byte.

    Raises:
        InputError: they do not fit into the free memory.
    """
    shapes = resized.shapes(all_records, settings)
    block = device_view.BLOCK
    data = resized.read_all(all_records, shapes, settings, channels=4, multiple_of=block)
    return data.view("<u4").reshape(-1, block)
