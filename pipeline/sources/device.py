"""Windows that the accelerator cuts from a copy of all resized images in its own memory."""

from __future__ import annotations

from typing import Any

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import numpy as np
import tensorflow as tf

from ..records import Records
from ..settings import InputError, StreamSettings
from ..view import sample_parameters, see
from . import resized
from .layout import Layout


class Device:
    """Tells the device which windows to cut, and how to look at them.

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
        self._layout = Layout(resized.starts(shapes)[rows], shapes[rows])
        self._settings = settings

    def windows(self, images: tf.Tensor, draws: tf.Tensor) -> dict[str, tf.Tensor]:
        """What `see_windows` needs to know of a batch.

        Returns:
            `first`, int32 [b], the number of each window's first pixel; `width`, int32 [b], pixels
            from one of its rows to the next; and the parameters of the view.
        """
        first, width = self._layout.choose(images, draws, self._settings)
        windows = {"first": tf.cast(first // 3, tf.int32), "width": tf.cast(width, tf.int32)}
        return windows | sample_parameters(draws, self._settings)


def pixels(all_records: Records, settings: StreamSettings) -> np.ndarray:
    """The resized pixels of a dataset in the order that `Device` counts them in: uint8 [pixels, 3].

    Raises:
        InputError: they do not fit into the free memory, or are too many for 31 bits.
    """
    data = resized.read_all(all_records, resized.shapes(all_records, settings), settings)
    if data.size // 3 > np.iinfo(np.int32).max:
        size = f"{data.size / 2**30:.1f} GiB of pixels"
        raise InputError(f"{size} are too many for cache='device'; use cache='memory'.")
    return data.reshape(-1, 3)


def see_windows(
    pixels: Any, windows: dict[str, Any], *, ops: Any, image_size: int, preprocess: str | None
) -> Any:
    """The images that a batch of the tier `device` stands for, from pixels that the device holds.

    Args:
        pixels: uint8 [pixels, 3], what `Dataset.device_pixels` gave.
        windows: the batch, as `Device.windows` makes it.
        ops: `keras.ops`, to work inside a model on any backend.
        image_size: side of the window in pixels.
        preprocess: as in `Settings`.

    Returns:
        float32 [b, s, s, 3], or uint8 without preprocessing: what the other tiers give.
    """
    parameters = {name: value for name, value in windows.items() if name not in ("first", "width")}
    steps = np.arange(image_size, dtype=np.int32)
    rows = windows["first"][:, None] + steps * windows["width"][:, None]
    cut = ops.take(pixels, rows[:, :, None] + steps, axis=0)
    return see(cut, ops=ops, preprocess=preprocess, **parameters)
