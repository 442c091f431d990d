"""The tier `device`: the dataset in the accelerator's memory, the view in the compiled step."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from sentiflow import pipeline

from ..training import targets
from .heads import Branches


class OnDevice(Branches):
    """A network that looks windows up in pixels that the accelerator holds.

    What it is fed are the batches of `pipeline.load(..., cache="device")`. Trained are the
    network's own weights; to
    save, save the network: the pixels belong to this model alone.

    Args:
        network: float32 [b, s, s, 3] to probabilities.
        data: the prepared dataset, all splits of which the accelerator is to hold.
        inputs: the input settings.

    Raises:
        InputError: the pixels do not fit into the host's or the accelerator's memory.
    """

    def __init__(
        self, network: keras.Model, data: pipeline.Dataset, inputs: pipeline.Settings
    ) -> None:
        super().__init__(network, name="on_device")
        self.inputs = inputs
        self.ops: Any = keras.ops  # what the view is made with
        pixels = data.device_pixels(inputs)
        try:
            self.pixels = self.add_weight(
                name="pixels",
                shape=pixels.shape,
                dtype="uint8",
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
        windows = {name: value for name, value in windows.items() if name != "share"}
        pixels = keras.ops.convert_to_tensor(self.pixels)
        images = pipeline.see_windows(
            pixels,
            windows,
            ops=self.ops,
            image_size=inputs.image_size,
            preprocess=inputs.preprocess,
        )
        if share is not None:
            images = targets.mix(images, share, ops=keras.ops)
        return super().call(images, training=training)
