"""What a command does to its process before it loads the large libraries.

Importing Sentiflow changes nothing of the process that imports it. A command calls `command`, and a
worker `prepare`, before any import that loads TensorFlow; a program of one's own may call these
acts too, and should call `keep_freed_memory` before it starts threads.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import gc
import os
import sys
from collections.abc import Iterator
from types import TracebackType

from . import extras

# Parameters of glibc's mallopt, in <malloc.h>.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

ERRORS = "3"  # of TF_CPP_MIN_LOG_LEVEL


def command(name: str, *, extra: str | None = None) -> None:
    """Prepares the process if the module that calls is its command, and not imported by another.

    Args:
        name: `__name__` of the module.
        extra: an optional part of the installation that the command cannot do without.

    Raises:
        SystemExit: it, or what every command needs, is not installed; one line says how to get it.
    """
    if name != "__main__":
        return
    end_in_a_line()
    try:
        prepare(extra=extra)
    except ModuleNotFoundError as error:
        extras.refuse(f"{error.name} must be installed for this: make setup, or pip install .")


def prepare(*, extra: str | None = None) -> None:
    """Prepares this process, which must not have loaded TensorFlow yet; see `command`."""
    if extra is not None:
        extras.need(extra)
    keep_freed_memory()
    load_quietly()
    leave_libraries_to_the_end()
    leave_accelerator_to_jax()


def end_in_a_line() -> None:
    """Makes Ctrl-C a line while libraries are loaded, as it is one while a command works."""
    show = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, where: TracebackType | None) -> None:
        if issubclass(kind, KeyboardInterrupt):
            print("Stopped.", file=sys.stderr)
        else:
            show(kind, error, where)

    sys.excepthook = hook


def keep_freed_memory() -> None:
    """Makes glibc keep the memory of a batch that was let go for the next one.

    It would give it back to the system, which then fills thousands of pages with zeros for every
    batch. Threads that were started before are not concerned.
    """
    with contextlib.suppress(AttributeError):  # another C library
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 2**25)  # the most that glibc takes
        mallopt(_M_TRIM_THRESHOLD, 2**29)
        mallopt(_M_ARENA_MAX, 1)  # a thread's own arena ends at 64 MB and is given back whole


def load_quietly() -> None:
    """Loads Keras and TensorFlow without what their C++ parts write while they are loaded.

    It would bury the one line that a command has to say. What they, and the Python parts that log
    with them, write later is limited to errors, unless TF_CPP_MIN_LOG_LEVEL says otherwise.
    """
    level = os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", ERRORS)
    with _without_standard_error():
        # TensorFlow's symbols are global: a JAX backend must be loaded by then.
        import keras  # noqa: F401
        import tensorflow  # noqa: F401
        from absl import logging
    if level == ERRORS:  # Python's parts, TFDS among them, do not heed the variable
        logging.set_verbosity(logging.ERROR)


def leave_libraries_to_the_end() -> None:
    """Keeps the garbage collector from looking through what the libraries hold, again and again.

    They have a million objects; when a process ends, that alone takes a second.
    """
    gc.freeze()


@functools.cache
def leave_accelerator_to_jax() -> None:
    """Keeps TensorFlow off the GPU where Keras computes with JAX: it would take the memory.

    Nothing happens if TensorFlow uses the GPU already.
    """
    import keras

    if keras.backend.backend() != "jax":
        return
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # its devices are initialised
        tf.config.set_visible_devices([], "GPU")


@contextlib.contextmanager
def _without_standard_error() -> Iterator[None]:
    """Drops what is written to descriptor 2, before any library has settings to heed."""
    try:
        standard_error = os.dup(2)
    except OSError:  # there is none
        yield
        return
    with open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(standard_error, 2)
        os.close(standard_error)
