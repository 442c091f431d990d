"""Batches for consumers in Python: a thread takes them from the stream before they are asked for."""

from __future__ import annotations

import atexit
import threading
import time
from collections.abc import Callable, Generator, Iterable
from queue import SimpleQueue
from typing import TypeVar

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
    atexit.register(_stop, room, thread)
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
    """The same batches, and a function that tells how many seconds their consumer has waited for them so far."""
    waited = 0.0

    def timed() -> Generator[T, None, None]:
        nonlocal waited
        asked = time.perf_counter()
        for batch in batches:
            waited += time.perf_counter() - asked
            yield batch
            asked = time.perf_counter()

    return timed(), lambda: waited


def _stop(room: SimpleQueue[int | None], thread: threading.Thread) -> None:
    # Python must not be torn down under a thread that is inside TensorFlow.
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
