"""Where windows come from: one source for each way to pixels, and the one place that chooses."""

from __future__ import annotations

from typing import Any, Protocol

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import tensorflow as tf

from ..records import Records
from ..settings import StreamSettings
from .device import Device
from .files import Files
from .intervals import Intervals
from .mapped import Mapped
from .ram import Ram


class Source(Protocol):
    """What gives the windows of a batch.

    Attributes:
        flips: whether its windows are mirrored already, as the draws say.
        is_on_device: whether the pixels are the accelerator's: then `windows` tells where they lie.
    """

    @property
    def flips(self) -> bool:
        """See above."""

    @property
    def is_on_device(self) -> bool:
        """See above."""

    def windows(self, images: tf.Tensor, draws: tf.Tensor) -> Any:
        """The windows of a batch.

        Args:
            images: int64 [b], positions in the split.
            draws: float64 [b, 8] in [0, 1), columns as in `draws.COLUMNS`.

        Returns:
            uint8 [b, s, s, 3]; on the device see `Device.windows`.
        """


def choose(records: Records, all_records: Records, settings: StreamSettings) -> Source:
    """The source that serves a tier and a storage.

    Args:
        records: of the split.
        all_records: of all splits, whose pixels the tier `device` holds.
        settings: of the stream; `cache` is the tier.

    Raises:
        InputError: the tier cannot hold the pixels, or the storage cannot be read.
    """
    if settings.cache == "device":
        return Device(records, all_records, settings)
    if settings.cache == "memory":
        return Ram(records, settings)
    if records.storage == "raw":
        return Mapped(records, settings)
    if records.storage == "jpeg":
        return Intervals(records, settings)
    return Files(records, settings)
