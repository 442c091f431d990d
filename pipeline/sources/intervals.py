"""Windows of the JPEG files of storage `jpeg`, decoded from the parts of a file that hold them.

Such a file consists of intervals that can be decoded on their own, and of an index to them; the
builder's module `jpeg` tells the layout. The intervals that a window touches are put together as a
smaller JPEG, of which libjpeg-turbo decodes the window: the same pixels as from the whole file, for
about three fifths of the entropy decoding, which is most of the work.

    blocks of 8 x 8 pixels, and their intervals      the smaller JPEG
    |....|....|....|....|
    |....|##W#|#W##|....|   the window W touches     |####|####|
    |....|##W#|#W##|....|   the intervals #          |####|####|
    |....|....|....|....|
"""

from __future__ import annotations

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import numpy as np
import tensorflow as tf

from .. import readahead
from ..pixels import as_string, as_tensor, corner
from ..records import Records
from ..settings import InputError, StreamSettings
from .mapping import map_records

# Pixels, side of what is coded at a time: a block, or four of them and one of each chroma.
BLOCK, BLOCKS_420 = 8, 16
WORD = 8  # bytes, the unit in which parts of a file are copied
# First bytes, counted from the file's, of the name, of five facts as int32, and of where each part
# begins, in words, as int32 too.
NAME = b"Sentiflow"
NAME_AT = 28
FACTS_AT = 40
BEGIN_AT = 60
# Height, width, first byte of the frame's height and width, pixels an interval, intervals.
_FACTS = 5
_HEAD_PARTS = 3  # parts before the intervals: start, index and tables
_SAMPLING_AT = 6  # bytes from the frame's height to the sampling factors of its first component
_HALVED = 0x22  # these factors where chroma is halved in both directions
# RST0 to RST7 in turn, for as many intervals as any window has.
_MARKERS = np.resize(np.arange(0xD0, 0xD8, dtype=np.uint8), 2**14)
_EOI = 0xD9


class Intervals:
    """JPEG files that are decoded in part.

    Attributes:
        flips: False.
        is_on_device: False.
    """

    flips = False
    is_on_device = False

    def __init__(self, records: Records, settings: StreamSettings) -> None:
        """Maps the shards.

        Raises:
            InputError: the files have no index.
        """
        area, start = map_records(records, at_random=readahead.IS_POSSIBLE)
        name = start[:1, None] + NAME_AT + np.arange(len(NAME))
        if area[name].tobytes() != NAME:
            raise InputError(
                f"{records.paths[0]}: its JPEG files have no index, because an earlier version of "
                "the builder wrote them. Build the dataset anew, with --overwrite."
            )
        self._unit = unit_of(area, int(start[0]))
        self._data = as_tensor(area)
        self._ranges = tf.constant(np.stack([start, records.length], axis=1))
        self._settings = settings

    def windows(self, images: tf.Tensor, draws: tf.Tensor) -> tf.Tensor:
        """See `Source.windows`."""
        size = self._settings.image_size
        ranges = tf.gather(self._ranges, images)
        # One after the other: it is batches that run side by side.
        return tf.map_fn(
            lambda plan: _decode(self._data, plan, size, self._unit),
            _plan(self._data, ranges, draws[:, :2], self._settings, self._unit),
            fn_output_signature=tf.TensorSpec((size, size, 3), tf.uint8),
            parallel_iterations=1,
        )


def unit_of(area: np.ndarray, start: int) -> int:
    """Side in pixels of what is coded at a time in the file that starts there: 8, or 16."""
    frame = area[start + FACTS_AT + 8 :][:4].view("<i4")[0]
    _, index, tables = area[start + BEGIN_AT :][:12].view("<i4")
    sampling = start + frame + WORD * (tables - index) + _SAMPLING_AT
    return BLOCKS_420 if area[sampling] == _HALVED else BLOCK


def _margin(unit: int) -> int:
    """Pixels around a window that its own depend on: halved chroma is interpolated."""
    return int(unit == BLOCKS_420)


def _plan_sizes(size: int, unit: int) -> list[int]:
    """How many numbers a plan has of each kind, in the order in which `_decode` takes them."""
    parts = 2 + _rows(size, unit)
    return [1, 1, 1, parts, parts, 1, 4, 5, 4, 3]  # first to cut, see `_decode`


def _rows(size: int, unit: int) -> int:
    """The most rows of units that a window of `size` pixels, with its margin, touches."""
    return (size + 2 * _margin(unit) + unit - 2) // unit + 1


def _plan(
    data: tf.Tensor, ranges: tf.Tensor, draws: tf.Tensor, settings: StreamSettings, unit: int
) -> tf.Tensor:
    """What to copy of each image's file, and what to change in the copy, for a whole batch at once.

    Args:
        data: uint8, the mapped shards.
        ranges: int64 [b, 2], each file's first byte and length.
        draws: float64 [b, 2] in [0, 1), as for `corner`.
        settings: of the stream.
        unit: side in pixels of what is coded at a time.

    Returns:
        int64 [b, n], in a single tensor because each that a loop takes apart costs time in each of
        its rounds.
    """
    size = settings.image_size
    facts = _read_facts(data, ranges[:, :1])
    frame, interval, intervals = facts[:, 2:3], facts[:, 3:4], facts[:, 4:5]
    y, x = tf.split(corner(facts[:, :2], draws, settings), 2, axis=1)
    margin = _margin(unit)
    y_begin, x_begin = tf.maximum(y - margin, 0), tf.maximum(x - margin, 0)
    y_end = tf.minimum(y + size + margin, facts[:, 0:1])
    x_end = tf.minimum(x + size + margin, facts[:, 1:2])

    # The first row of units that the window touches, and of each row the first interval; how many.
    top = y_begin // unit
    left = x_begin // interval
    rows = (y_end - 1) // unit + 1 - top
    columns = (x_end - 1) // interval + 1 - left
    # Of each row one run of intervals is copied; plans are of one length, so rows that are not
    # touched have an empty run.
    row = tf.range(_rows(size, unit), dtype=tf.int64)
    intervals_per_row = -(-facts[:, 1:2] // interval)
    begin = (top + row) * intervals_per_row + left + _HEAD_PARTS
    end = begin + tf.where(row < rows, columns, 0)
    # Of start, index and tables, parts 0 to 2, the index is left out.
    zero = tf.zeros_like(y)
    begin = tf.concat([zero, zero + 2, begin], axis=1)
    end = tf.concat([zero + 1, zero + 3, end], axis=1)

    # Of the smaller JPEG, in pixels; it ends where the picture does.
    height = tf.minimum(unit * rows, facts[:, 0:1] - unit * top)
    width = tf.minimum(interval * columns, facts[:, 1:2] - interval * left)
    last = [zero + _EOI, height // 256, height % 256, width // 256, width % 256]
    # The decoder copies once less where it may begin with a whole unit, so the columns of pixels
    # before the window are cut off afterwards.
    first = x_begin // unit * unit
    skipped = x - first
    aligned = -(-(x_end - first) // unit) * unit
    first -= interval * left
    box = [y - unit * top, first, zero + size, tf.minimum(aligned, width - first)]
    cut = [zero, skipped, zero]
    table = 4 * (intervals + _HEAD_PARTS + 1)
    inner_markers = rows * columns - 1
    changed = frame + tf.range(4, dtype=tf.int64)
    plan = [ranges, table, begin, end, inner_markers, changed, *last, *box, *cut]
    return tf.concat(plan, axis=1)


def _read_facts(data: tf.Tensor, first: tf.Tensor) -> tf.Tensor:
    """The facts of files from their first bytes, int64 [b, 1]: int64 [b, 5]."""
    at = first + FACTS_AT + tf.range(4 * _FACTS, dtype=tf.int64)
    words = tf.reshape(tf.gather(data, at), [-1, _FACTS, 4])
    return tf.cast(tf.bitcast(words, tf.int32), tf.int64)


def _decode(data: tf.Tensor, plan: tf.Tensor, size: int, unit: int) -> tf.Tensor:
    """The window of one image, uint8 [s, s, 3], by its row of `_plan`."""
    parts = tf.split(plan, _plan_sizes(size, unit))
    first, length, table, begin, end, inner_markers, changed, last, box, cut = parts
    words = tf.bitcast(tf.reshape(tf.slice(data, first, length), [-1, WORD]), tf.int64)
    begins = tf.slice(data, first + BEGIN_AT, table)
    # All runs are copied by one operation: parts of a file are rows of a ragged tensor.
    chosen_parts = tf.raw_ops.RaggedRange(starts=begin, limits=end, deltas=tf.ones([], tf.int64))
    copied = tf.raw_ops.RaggedGather(
        params_nested_splits=[tf.bitcast(tf.reshape(begins, [-1, 4]), tf.int32)],
        params_dense_values=words,
        indices=chosen_parts.rt_dense_values,
        OUTPUT_RAGGED_RANK=1,
    )
    jpeg = tf.reshape(tf.bitcast(copied.output_dense_values, tf.uint8), [-1])
    # Each interval ends with a marker. They are numbered anew, the last one becomes the end of the
    # image, and the frame gets the smaller JPEG's height and width.
    markers = WORD * tf.cast(copied.output_nested_splits[0][3:], tf.int64) - 1
    numbered = tf.slice(_MARKERS, tf.zeros([1], tf.int64), inner_markers)
    jpeg = tf.tensor_scatter_nd_update(
        jpeg,
        tf.concat([markers, changed], axis=0)[:, None],
        tf.concat([numbered, tf.cast(last, tf.uint8)], axis=0),
    )
    pixels = tf.io.decode_and_crop_jpeg(
        as_string(jpeg), tf.cast(box, tf.int32), channels=3, dct_method="INTEGER_ACCURATE"
    )
    window = tf.slice(pixels, cut, tf.constant([size, size, 3], tf.int64))
    return tf.ensure_shape(window, (size, size, 3))
