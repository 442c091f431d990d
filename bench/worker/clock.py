"""The clock: images per second in windows, processor time and peak memory."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import psutil

MIB = 2**20


def measure(
    batches: Iterator[tuple[Any, np.ndarray]],
    seconds: float,
    windows: int,
    usage: Usage,
    waited: Callable[[], float] | None = None,
) -> dict[str, Any]:
    """Images per second in consecutive windows of `seconds / windows` each.

    The batches that were made ahead while nobody drew are used up first, in a window that does not
    count.

    Returns:
        `windows`: images/s of each. `images_per_second`: their median. `spread`: (largest -
        smallest) / median. `cpu_seconds_per_image`: of all threads and child processes. With
        `waited`, the seconds waited so far: `waiting_share`, of the time of all windows.
    """
    time_window(batches, seconds / windows)
    cpu = usage.cpu_seconds()
    waiting = waited() if waited else 0.0
    timed = [time_window(batches, seconds / windows) for _ in range(windows)]
    result = summarise(timed)
    if waited:
        result["waiting_share"] = (waited() - waiting) / sum(elapsed for _, elapsed in timed)
    images = sum(images for images, _ in timed)
    return {**result, "cpu_seconds_per_image": (usage.cpu_seconds() - cpu) / images}


def summarise(timed: list[tuple[int, float]]) -> dict[str, Any]:
    """Images/s of windows, each so many images in so many seconds; see `measure`."""
    rates = [images / elapsed for images, elapsed in timed]
    median = statistics.median(rates)
    return {"windows": rates, "images_per_second": median, "spread": spread(rates)}


def time_window(batches: Iterator[tuple[Any, np.ndarray]], seconds: float) -> tuple[int, float]:
    """Images drawn, and the seconds that took: at least `seconds`, and up to the end of a batch."""
    images = 0
    begin = time.perf_counter()
    while True:
        images += len(next(batches)[1])
        elapsed = time.perf_counter() - begin
        if elapsed >= seconds:
            return images, elapsed


def spread(rates: list[float]) -> float:
    """(largest - smallest) / median."""
    return (max(rates) - min(rates)) / statistics.median(rates)


class Usage:
    """Processor time and peak memory of this process and its children.

    Memory is sampled while the context is open.

    Attributes:
        peak_total: resident memory in MiB, pages that processes share counted once for each.
        peak_anonymous: the part of it that no file backs, in MiB; None where the system does not
            tell.
    """

    def __init__(self, interval: float = 0.1) -> None:
        self.peak_total = 0.0
        self.peak_anonymous: float | None = None
        self._processes = [psutil.Process()]
        self._interval = interval  # seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Usage:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.sample()

    def follow_children(self) -> None:
        """Counts the processes that were started so far."""
        self._processes = [psutil.Process(), *psutil.Process().children(recursive=True)]

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        times = [process.cpu_times() for process in self._processes]
        return sum(time.user + time.system for time in times)

    def _watch(self) -> None:
        while not self._stop.wait(self._interval):
            self.sample()

    def sample(self) -> None:
        """Takes one reading of memory."""
        try:
            infos = [process.memory_info() for process in self._processes]
        except psutil.NoSuchProcess:
            return
        self.peak_total = max(self.peak_total, sum(info.rss for info in infos) / MIB)
        if hasattr(infos[0], "shared"):  # Linux: resident pages of files and of shared memory
            anonymous = sum(info.rss - info.shared for info in infos) / MIB
            self.peak_anonymous = max(self.peak_anonymous or 0.0, anonymous)
