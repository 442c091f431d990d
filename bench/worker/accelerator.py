"""An emulated accelerator, in the manner of MLPerf Storage.

It takes a batch, and blocks for as long as it would train. The loop is `take a batch, sleep batch /
rate seconds`. The loader's own threads and processes run
during the sleep, which uses no processor; every moment between asking for a batch and having it
counts as waiting. Utilisation is compute time / total time, https://github.com/mlcommons/storage.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..contestants.task import Batch


class Accelerator:
    """Yields what is left of each batch when it has been trained on: its labels.

    Attributes:
        rate: images/s that it can train.
        waited: seconds spent on getting batches so far.
    """

    def __init__(
        self,
        batches: Iterator[Batch],
        rate: float,
        *,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.waited = 0.0
        self.rate = rate
        self._batches = batches
        self._clock = clock
        self._sleep = sleep
        self._free = clock()  # when the accelerator is, or was, done with its last batch

    def __iter__(self) -> Accelerator:
        return self

    def __next__(self) -> tuple[None, np.ndarray]:
        asked = self._clock()
        labels = self._take()
        arrived = self._clock()
        self.waited += arrived - asked
        duration = len(labels) / self.rate
        # Systems end a sleep late, by a tenth of a millisecond and more. That is no fault of the
        # loader: the next sleep makes it good, and no later one. The time that the batch took is
        # never shortened.
        late = min(max(asked - self._free, 0.0), duration)
        self._free = arrived - late + duration
        self._sleep(max(self._free - self._clock(), 0.0))
        return None, labels

    def _take(self) -> np.ndarray:
        # The images are let go here, as an accelerator lets go of the host's copy, and not when the
        # next batch comes.
        return next(self._batches)[1]


def utilisation(timed: dict[str, Any], ceiling: float) -> dict[str, Any]:
    """Adds to what was timed the compute time / total time.

    `ceiling` is the accelerator's own rate, images/s.
    """
    return {**timed, "utilisation": timed["images_per_second"] / ceiling}
