"""Python functions as operations of a stream, which end before the interpreter does."""

from __future__ import annotations

import atexit
import functools
import threading
import time
from collections.abc import Callable, Sequence

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import numpy as np
import tensorflow as tf

_QUIET = 0.05  # seconds without a call, after which none is on its way


def call(
    function: Callable[..., np.ndarray], arguments: Sequence[tf.Tensor], dtype: tf.DType
) -> tf.Tensor:
    """What a NumPy function returns, as a tensor of a graph, of unknown shape.

    Args:
        function: of arrays; without effects. A ValueError ends the stream with its message.
        arguments: tensors.
        dtype: of the result.
    """
    _gate.open()
    return tf.numpy_function(_gate.guard(function), arguments, dtype, stateful=False)


class _Gate:
    """Lets no call begin once the interpreter ends, and lets those that have begun end before.

    A stream of which somebody left the middle goes on for some batches. TensorFlow's thread that
    asks for the interpreter after its end waits forever, and then TensorFlow waits for the thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running = 0
        self._begun = 0
        self._is_closed = False

    @functools.cache  # noqa: B019  # there is one gate
    def open(self) -> None:
        """Sees to it that the gate is closed at the end of the process."""
        atexit.register(self._close)

    def guard(self, function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
        """The same function, behind the gate."""

        def guarded(*arrays: np.ndarray) -> np.ndarray:
            with self._lock:
                self._begun += 1
                if self._is_closed:
                    raise RuntimeError("the interpreter ends")
                self._running += 1
            try:
                return function(*arrays)
            finally:
                with self._lock:
                    self._running -= 1

        return guarded

    def _close(self) -> None:
        self._is_closed = True
        begun = -1
        while self._running or begun != self._begun:
            begun = self._begun
            time.sleep(_QUIET)


_gate = _Gate()
