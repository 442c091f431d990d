"""Work on all cores with bounded memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from sentiflow import machine

T = TypeVar("T")
R = TypeVar("R")


def ordered_map(
    function: Callable[[T], R], items: Iterable[T], *, workers: int | None = None
) -> Generator[R, None, None]:
    """Like `map`, by threads.

    For functions that release Python's lock, as file reads and Pillow's work on pixels do.

    At most four times as many items as there are workers are under way or waiting to be taken,
    whatever their number.
    """
    workers = workers or machine.cores()
    window: deque[Future[R]] = deque()
    pool = ThreadPoolExecutor(workers)
    try:
        for item in items:
            window.append(pool.submit(function, item))
            if len(window) >= 4 * workers:
                yield window.popleft().result()
        while window:
            yield window.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
