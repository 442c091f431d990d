"""The view in the compiled step; in the tier `device` the pixels in the accelerator's memory."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from sentiflow import pipeline

from ..training import targets
from .heads import Branches


class OnDevice(Branches):
    """A network that looks at windows itself, as the host does not.

    What it is fed are batches of `pipeline.load(..., viewed=False)`, or of the tier `device`, whose
    windows it looks up in pixels that the accelerator holds. Trained are the network's own weights;
    to save, save the network: the pixels belong to this model alone.

    Args:
        network: float32 [b, s, s, 3] to probabilities.
        data: the prepared dataset, all splits of which the accelerator is to hold in the tier
            `device`.
        inputs: the input settings.

    Raises:
        InputError: the pixels do not fit into the host's or the accelerator's memory.
    """

    def __init__(
        self, network: keras.Model, data: pipeline.Dataset, inputs: pipeline.Settings
    ) -> None:
        super().__init__(network, name="on_device")
        self.inputs = inputs
        self.pixels = self._hold(data.device_pixels(inputs)) if inputs.cache == "device" else None

    def _hold(self, pixels: Any) -> keras.Variable:
        try:
            return self.add_weight(
                name="pixels",
                shape=pixels.shape,
                dtype="uint32",
                trainable=False,
                initializer=lambda *_, **__: pixels,
            )
        except (
            tf.errors.ResourceExhaustedError,
            RuntimeError,
        ) as error:  # JAX's errors are RuntimeErrors
            size = f"{pixels.nbytes / 2**20:,.0f} MiB"
            raise pipeline.InputError(
                f"{size} of pixels do not fit into the accelerator's memory; use cache='memory'. "
                f"({error})"
            ) from error

    def call(self, windows: dict[str, Any], training: bool | None = None) -> Any:
        """Probabilities of a batch, of every branch of the network."""
        inputs = self.inputs.evaluation()
        share = windows.get("share")
        images = pipeline.see_windows(
            {name: value for name, value in windows.items() if name != "share"},
            image_size=inputs.image_size,
            preprocess=inputs.preprocess,
            pixels=None if self.pixels is None else keras.ops.convert_to_tensor(self.pixels),
        )
        if share is not None:
            images = targets.mix(images, share, ops=keras.ops)
        return super().call(images, training=training)
