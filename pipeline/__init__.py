"""The input path: from prepared TFRecords to the batches that a model sees."""

import builtins
import contextlib
import os
from collections.abc import Iterator

from .sources.mapping import keep_freed_memory


@contextlib.contextmanager
def _without_chatter() -> Iterator[None]:
    """Drops what C++ libraries write to standard error while they are loaded, errors being Python's exceptions.

    It would bury the one line that a command has to say, and some of it comes before any setting is
    heeded.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        kept = os.dup(2)
    except OSError:  # there is no standard error
        yield
        return
    with builtins.open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


keep_freed_memory()  # before the threads start that it concerns

with _without_chatter():
    import keras  # noqa: F401  # before TensorFlow, whose symbols are global: a JAX backend must be loaded by then
    import tensorflow  # noqa: F401

from sentiflow.options import InputError

from .dataset import Dataset, open
from .loading import load
from .pictures import read_image
from .settings import Settings, steps
from .sources.device import see_windows
from .stored import Description
from .view import normalise
from .waiting import ahead, clocked, timed

__all__ = [
    "Dataset",
    "Description",
    "InputError",
    "Settings",
    "ahead",
    "clocked",
    "load",
    "normalise",
    "open",
    "read_image",
    "see_windows",
    "steps",
    "timed",
]
