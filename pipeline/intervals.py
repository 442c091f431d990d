"""Windows of the JPEG files of storage `jpeg`, decoded from the parts of a file that hold them.

Such a file consists of intervals that can be decoded on their own, and of an index to them
(`builders/writing/jpeg.py` tells
the layout). Those that a window touches are put together as a smaller JPEG, of which libjpeg-turbo
decodes the window: the same pixels as from the whole file, for about three fifths of the entropy
decoding, which is most of the work.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from .mapping import map_files
from .pixels import as_string, as_tensor, corner
from .records import Records
from .settings import InputError, StreamSettings

_BLOCK = 8  # pixels, side of a block
_WORD = 8  # bytes, the unit in which parts of a file are copied
_NAME = b"Sentiflow"
_NAME_AT, _FACTS_AT, _BEGIN_AT = 28, 40, 60  # bytes
_MARKERS = np.resize(
    np.arange(0xD0, 0xD8, dtype=np.uint8), 2**14
)  # RST0 to RST7 in turn, for any file
_EOI = 0xD9


def windows(
    records: Records, settings: StreamSettings
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """(images int64 [b], draws float64 [b, 8]) -> uint8 windows [b, s, s, 3], out of the mapped shards.

    Raises:
        InputError: the files have no index.
    """
    area, bases = map_files(records.paths)
    first = bases[records.shard] + records.offset
    name = first[:1, None] + _NAME_AT + np.arange(len(_NAME))
    if area[name].tobytes() != _NAME:
        raise InputError(
            f"{records.paths[0]}: its JPEG files have no index, because an earlier version of the builder wrote them. "
            "Build the dataset anew, with --overwrite."
        )
    data, places = as_tensor(area), tf.constant(np.stack([first, records.length], axis=1))
    size = settings.image_size

    def decode(images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        # One after the other: it is batches that run side by side.
        return tf.map_fn(
            lambda plan: _decode(data, plan, size),
            _plan(data, tf.gather(places, images), draws[:, :2], settings),
            fn_output_signature=tf.TensorSpec((size, size, 3), tf.uint8),
            parallel_iterations=1,
        )

    return decode


def _plan_sizes(size: int) -> list[int]:
    """How many numbers a plan has of each kind, in the order in which `_decode` takes them."""
    parts = 2 + _rows(size)
    return [1, 1, 1, parts, parts, 1, 4, 5, 4, 3]


def _rows(size: int) -> int:
    """The most rows of blocks that a window of `size` pixels touches."""
    return (size + _BLOCK - 2) // _BLOCK + 1


def _plan(
    data: tf.Tensor, places: tf.Tensor, draws: tf.Tensor, settings: StreamSettings
) -> tf.Tensor:
    """What to copy of each image's file, and what to change in the copy, for all images of a batch at once.

    Args:
        data: uint8, the mapped shards.
        places: int64 [b, 2], each file's first byte and length.
        draws: float64 [b, 2] in [0, 1), as for `corner`.
        settings: of the stream.

    Returns:
        int64 [b, n], in a single tensor because each that a loop takes apart costs time in each of
        its rounds.
    """
    size = settings.image_size
    facts_at = places[:, :1] + _FACTS_AT + tf.range(_BEGIN_AT - _FACTS_AT, dtype=tf.int64)
    facts = tf.cast(
        tf.bitcast(tf.reshape(tf.gather(data, facts_at), [-1, 5, 4]), tf.int32), tf.int64
    )
    frame, interval, intervals = facts[:, 2:3], facts[:, 3:4], facts[:, 4:5]
    y, x = tf.split(corner(facts[:, :2], draws, settings), 2, axis=1)

    top, left = (
        y // _BLOCK,
        x // interval,
    )  # the first row of blocks, and of each row the first interval
    rows = (y + size - 1) // _BLOCK + 1 - top
    columns = (x + size - 1) // interval + 1 - left
    row = tf.range(_rows(size), dtype=tf.int64)
    begin = (
        (top + row) * -(-facts[:, 1:2] // interval) + left + 3
    )  # three parts stand before the intervals
    end = begin + tf.where(row < rows, columns, 0)
    none = tf.zeros_like(y)  # of start, index and tables, the index is left out
    begin, end = (
        tf.concat([none, none + 2, begin], axis=1),
        tf.concat([none + 1, none + 3, end], axis=1),
    )

    height, width = _BLOCK * rows, interval * columns  # of the smaller JPEG, in pixels
    last = [none + _EOI, height // 256, height % 256, width // 256, width % 256]
    skipped = (
        x % _BLOCK
    )  # columns of pixels: the decoder copies once less where it may begin with a whole block
    aligned = (skipped + size + _BLOCK - 1) // _BLOCK * _BLOCK
    box = [y % _BLOCK, x - skipped - interval * left, none + size, aligned]
    plan = [
        places,
        4 * (intervals + 4),
        begin,
        end,
        rows * columns - 1,
        frame + tf.range(4, dtype=tf.int64),
    ]
    return tf.concat([*plan, *last, *box, none, skipped, none], axis=1)


def _decode(data: tf.Tensor, plan: tf.Tensor, size: int) -> tf.Tensor:
    """The window of one image, uint8 [s, s, 3], by its row of `_plan`."""
    first, length, table, begin, end, inner, frame, last, box, cut = tf.split(
        plan, _plan_sizes(size)
    )
    words = tf.bitcast(tf.reshape(tf.slice(data, first, length), [-1, _WORD]), tf.int64)
    parts = tf.raw_ops.RaggedGather(
        params_nested_splits=[
            tf.bitcast(tf.reshape(tf.slice(data, first + _BEGIN_AT, table), [-1, 4]), tf.int32)
        ],
        params_dense_values=words,
        indices=tf.raw_ops.RaggedRange(
            starts=begin, limits=end, deltas=tf.ones([], tf.int64)
        ).rt_dense_values,
        OUTPUT_RAGGED_RANK=1,
    )
    copied = tf.reshape(tf.bitcast(parts.output_dense_values, tf.uint8), [-1])
    # The intervals' markers are numbered anew, and the frame gets its own height and width.
    markers = _WORD * tf.cast(parts.output_nested_splits[0][3:], tf.int64) - 1
    changes = tf.concat(
        [tf.slice(_MARKERS, tf.zeros([1], tf.int64), inner), tf.cast(last, tf.uint8)], axis=0
    )
    copied = tf.tensor_scatter_nd_update(
        copied, tf.concat([markers, frame], axis=0)[:, None], changes
    )
    box = tf.cast(box, tf.int32)
    pixels = tf.io.decode_and_crop_jpeg(
        as_string(copied), box, channels=3, dct_method="INTEGER_ACCURATE"
    )
    return tf.ensure_shape(
        tf.slice(pixels, cut, tf.constant([size, size, 3], tf.int64)), (size, size, 3)
    )
