"""The view on the accelerator, inside a model's compiled step: `view.see` on Keras' operations.

Pixels are words of four bytes, so that each is one load. Those of a whole dataset lie in blocks: a
number of 31 bits, which is what compilers count with, would end at some 16,000 images.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .view import Taps, coordinates, first_taps, see

BLOCK = 2**16  # pixels

# What is told of a window beside the parameters of its view.
_WINDOW_FIELDS = ("windows", "block", "pixel", "width")


def see_windows(
    windows: dict[str, Any], *, image_size: int, preprocess: str | None, pixels: Any = None
) -> Any:
    """The images that a batch stands for whose view was left to the accelerator.

    Args:
        windows: the batch, as `pipeline.load` makes it in the tier `device`, or of any tier with
            `viewed=False`.
        image_size: side of the window in pixels.
        preprocess: as in `Settings`.
        pixels: uint32 [blocks, BLOCK], what `Dataset.device_pixels` gave; for the tier `device`.

    Returns:
        float32 [b, s, s, 3], or uint8 without preprocessing: what `pipeline.load` gives otherwise.
    """
    ops = keras.ops
    parameters = {name: value for name, value in windows.items() if name not in _WINDOW_FIELDS}
    moves = {name: parameters.get(name) for name in ("flip", "angle", "zoom")}
    sampled = moves["angle"] is not None or moves["zoom"] is not None
    if pixels is None:
        cut = windows["windows"]
        words = _pack(cut) if sampled else None
    else:
        words = _cut(pixels, windows, image_size)
        cut = ops.cast(_unpack(words), "uint8")
    taps = None
    if sampled:
        y, x = coordinates(image_size, ops, **moves)
        flat = ops.reshape(words, [-1])
        taps = Taps(
            first_taps(cut, y, x, ops),
            lambda index: ops.cast(_unpack(_take(flat, index)), "float32"),
        )
    return see(cut, ops=ops, preprocess=preprocess, taps=taps, **parameters)


def _cut(pixels: Any, windows: dict[str, Any], size: int) -> Any:
    """The windows of a batch as words: uint32 [b, s, s]."""
    steps = np.arange(size, dtype=np.int32)
    rows = windows["pixel"][:, None] + steps * windows["width"][:, None]
    in_block = rows[:, :, None] + steps
    block = windows["block"][:, None, None] + in_block // BLOCK
    return _take(pixels, block, in_block % BLOCK)


def _take(table: Any, *index: Any) -> Any:
    """The entries of a table that the indices name, one for each axis; all lie within it.

    Keras' own gathers make sure of that, which costs several operations for each.
    """
    if keras.backend.backend() == "jax":
        return keras.ops.convert_to_tensor(table).at[index].get(mode="promise_in_bounds")
    return tf.gather_nd(table, tf.stack(index, axis=-1))


def _pack(windows: Any) -> Any:
    """Pixels, uint8 [..., 3], as words, uint32 [...]."""
    wide = keras.ops.cast(windows, "uint32")
    return wide[..., 0] + wide[..., 1] * 2**8 + wide[..., 2] * 2**16


def _unpack(words: Any) -> Any:
    """The channels of words: uint32 [..., 3]."""
    ops = keras.ops
    channels = [words % 2**8, words // 2**8 % 2**8, words // 2**16 % 2**8]
    return ops.stack(channels, axis=-1)
