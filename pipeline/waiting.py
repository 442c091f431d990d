"""Batches before they are asked for, and clocks that tell how long a consumer waited for them."""

from __future__ import annotations

import atexit
import functools
import threading
import time
import weakref
from collections.abc import Callable, Generator, Iterable
from queue import SimpleQueue
from typing import Any, TypeVar

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import numpy as np
import tensorflow as tf

T = TypeVar("T")

DEPTH = 4  # batches


def ahead(batches: Iterable[T], *, depth: int = DEPTH) -> Generator[T, None, None]:
    """The same batches in the same order, up to `depth` of them taken in advance.

    Taking a batch from a `tf.data` iterator costs half a millisecond of Python and more, however
    ready it is; from here, a twentieth of that. Use it around `dataset.as_numpy_iterator()` where a
    loop in Python, a JAX program for one, consumes them.

    Args:
        batches: taken by one other thread, until they end, raise, or nobody wants them any more.
        depth: at least 2.

    Raises:
        What `batches` raises, in the place where it does.
    """
    ready: SimpleQueue[tuple[list[T], BaseException | None]] = SimpleQueue()
    room: SimpleQueue[int | None] = SimpleQueue()
    thread = threading.Thread(target=_fill, args=(batches, ready, room, depth), daemon=True)
    thread.start()
    _filling[thread] = room
    _stop_at_the_end()
    taken = 0
    try:
        while True:
            batch, error = ready.get()
            if error is not None:
                raise error
            if not batch:
                return
            taken += 1
            if taken == depth // 2:  # waking the thread costs more than all else here
                room.put(taken)
                taken = 0
            yield batch.pop()
    finally:
        room.put(None)


def clocked(batches: Iterable[T]) -> tuple[Generator[T, None, None], Callable[[], float]]:
    """The same batches, and a function that tells the seconds that their consumer waited so far."""
    waited = 0.0

    def timed() -> Generator[T, None, None]:
        nonlocal waited
        asked = time.perf_counter()
        for batch in batches:
            waited += time.perf_counter() - asked
            yield batch
            asked = time.perf_counter()

    return timed(), lambda: waited


def timed(ds: tf.data.Dataset) -> tuple[tf.data.Dataset, tf.Variable]:
    """The same batches, and a variable that adds up the seconds that the consumer waited for them.

    The two clocks are stages of the graph on either side of the batch's arrival, in the consumer's
    own thread, so they cost no Python and count neither the consumer's work nor what is prepared
    ahead of it.
    """
    waited = tf.Variable(0.0, dtype=tf.float64, trainable=False)
    clock = tf.data.Dataset.range(np.iinfo(np.int64).max).map(lambda _: tf.timestamp())

    def charge(asked: tf.Tensor, element: Any) -> Any:
        with tf.control_dependencies(tf.nest.flatten(element)):
            arrived = tf.timestamp()
        with tf.control_dependencies([waited.assign_add(arrived - asked)]):
            return tf.nest.map_structure(tf.identity, element)

    counted = tf.data.Dataset.zip((clock, ds)).map(charge)
    options = tf.data.Options()
    # An injected prefetch would wait in the consumer's stead.
    options.experimental_optimization.inject_prefetch = False
    known = tf.data.experimental.assert_cardinality(ds.cardinality())
    return counted.apply(known).with_options(options), waited


# The threads that take batches in advance, and what tells each that no more are wanted.
_filling: weakref.WeakKeyDictionary[threading.Thread, SimpleQueue[int | None]]
_filling = weakref.WeakKeyDictionary()


@functools.cache
def _stop_at_the_end() -> None:
    """Sees to it that Python is not torn down under a thread that is inside TensorFlow."""
    atexit.register(_stop)


def _stop() -> None:
    for thread, room in list(_filling.items()):
        room.put(None)
        thread.join()


def _fill(
    batches: Iterable[T],
    ready: SimpleQueue[tuple[list[T], BaseException | None]],
    room: SimpleQueue[int | None],
    depth: int,
) -> None:
    """Puts lists of one batch each, then an empty one or an error; stops when `room` gives None."""
    try:
        for batch in batches:
            ready.put(([batch], None))
            del batch  # the consumer alone says how long it lives
            depth -= 1
            while depth <= 0:
                more = room.get()
                if more is None:
                    return
                depth += more
        ready.put(([], None))
    except BaseException as error:  # it belongs to the consumer
        ready.put(([], error))
