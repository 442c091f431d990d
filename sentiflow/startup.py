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
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from . import extras, machine

# Parameters of glibc's mallopt, in <malloc.h>.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8

ERRORS = "3"  # of TF_CPP_MIN_LOG_LEVEL
# What a GPU's compiler finds out by trying, which takes it longer than all else.
AUTOTUNING = "xla_gpu_per_fusion_autotune_cache_dir"
INTERRUPTED = 130  # exit status after Ctrl-C
# Seconds after which an interruption is repeated: a callback of the garbage collector has ended; a
# command should know.
_SOON, _PATIENCE = 0.01, 0.5


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
    stop_at_once()
    try:
        prepare(extra=extra)
    except ModuleNotFoundError as error:
        extras.refuse(f"{error.name} must be installed for this: make setup, or pip install .")


def prepare(*, extra: str | None = None) -> None:
    """Prepares this process, which must not have loaded TensorFlow yet; see `command`."""
    if extra is not None:
        extras.need(extra)
    keep_freed_memory()
    keep_compiled_programs()
    load_quietly()
    leave_libraries_to_the_end()
    leave_accelerator_to_jax()


def stop_at_once() -> None:
    """Makes Ctrl-C end the process with one line, from now until `stop_in_order`.

    That is for the time in which libraries are loaded, and nothing is to be cleared away: an
    exception could be lost in one of them, or break it.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler and _may_set_signals():
        signal.signal(signal.SIGINT, _stop)


def stop_in_order() -> None:
    """Makes Ctrl-C an exception again, by which a command that works is told."""
    if signal.getsignal(signal.SIGINT) is _stop and _may_set_signals():
        signal.signal(signal.SIGINT, _interrupt)


def was_interrupted() -> bool:
    """Whether Ctrl-C was pressed since this was asked last, whatever became of the exception."""
    was_pending, _interrupt.is_pending = _interrupt.is_pending, False
    return was_pending


def _may_set_signals() -> bool:
    return threading.current_thread() is threading.main_thread()


class _Stop:
    """Ends the process, as a signal's handler.

    Attributes:
        errors: the descriptor of standard error.
    """

    errors = 2

    def __call__(self, *_: object) -> None:
        os.write(self.errors, b"Stopped.\n")
        os._exit(INTERRUPTED)


class _Interrupt:
    """Raises KeyboardInterrupt, as a signal's handler, until a command knows of it.

    Python drops exceptions in callbacks of its collector, of which JAX has one that is often the
    first to be called after a signal. TensorFlow makes errors of its own of those that are raised
    while it traces a function, or goes on.

    Attributes:
        is_pending: whether one was raised of which no command knows.
    """

    is_pending = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.is_pending = True
        dropped = _is_collecting(frame)
        again = threading.Timer(_SOON if dropped else _PATIENCE, self._send, (number,))
        again.daemon = True
        again.start()
        if not dropped:
            raise KeyboardInterrupt

    def _send(self, number: int) -> None:
        if self.is_pending:
            os.kill(os.getpid(), number)


def _is_collecting(frame: FrameType | None) -> bool:
    """Whether a callback of the garbage collector is at work."""
    callbacks = {getattr(callback, "__code__", None) for callback in gc.callbacks}
    while frame is not None and frame.f_code not in callbacks:
        frame = frame.f_back
    return frame is not None


_stop = _Stop()
_interrupt = _Interrupt()


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


def keep_compiled_programs() -> None:
    """Lets JAX keep what it compiles for the next process, unless it was told where to already.

    The folder is in the user's cache folder, one for each set of processor instructions: programs
    for a CPU do not run on any other.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "sentiflow" / f"compiled-{machine.instructions()}"
    if os.access(next(path for path in folder.parents if path.exists()), os.W_OK):
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES", AUTOTUNING)


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
    _stop.errors = standard_error
    with open(os.devnull, "wb") as null:
        os.dup2(null.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(standard_error, 2)
        _stop.errors = 2
        os.close(standard_error)
