"""Training on several devices, of one machine or of many: data parallelism of Keras on JAX.

Every device holds the weights and takes a part of every batch; JAX's distributed runtime connects
the processes, of which each host has one. A process reads its own part of the batch (`part`), so
that hosts together read what one host would. Where nothing is parallel, the functions here do what
training on one device needs.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import tarfile
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import keras
import numpy as np

from sentiflow import pipeline
from sentiflow.pipeline import InputError
from sentiflow.startup import INTERRUPTED
from sentiflow.terminal import echo

from ..settings import TrainSettings
from . import checkpoint, record

HEARTBEAT = 10  # seconds after which a process that gives no sign of life is dead
_GONE = "Error: another process of this training has ended; start all again with --resume."
_OF_OTHERS = re.compile("Gloo|NCCL|coordination service")  # what JAX says where one is gone
_VARIABLES = ("JOB_ADDRESSES", "NUM_PROCESSES", "PROCESS_ID")  # behind KERAS_DISTRIBUTION_


@contextlib.contextmanager
def joined(*, devices: str = "one", distributed: bool = False) -> Iterator[None]:
    """Trains on several devices inside.

    Args:
        devices: "one", or "all" of this machine.
        distributed: on all devices of several processes, each of which comes here.

    Raises:
        InputError: the backend is not JAX, or nothing tells which processes there are.
    """
    if devices == "one" and not distributed:
        yield
        return
    if keras.backend.backend() != "jax":
        option = "distributed" if distributed else "devices=all"
        raise InputError(f"{option} needs Keras on JAX; set KERAS_BACKEND=jax.")
    if distributed:
        _connect()
    known = keras.distribution.list_devices()
    parallel = keras.distribution.DataParallel(devices=known, auto_shard_dataset=False)
    keras.distribution.set_distribution(parallel)
    _, processes = part()
    try:
        yield
    except BaseException as error:
        if processes == 1:
            raise
        _abandon(error)
    finally:
        leave()


def _connect() -> None:
    """Connects this process with the others.

    Raises:
        InputError: nothing tells which they are.
    """
    import jax

    names = [f"KERAS_DISTRIBUTION_{name}" for name in _VARIABLES]
    addresses, count, number = map(os.environ.get, names)
    # What a processor's devices exchange, they do so; accelerators have ways of their own.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        jax.distributed.initialize(
            coordinator_address=addresses.split(",")[0] if addresses else None,
            num_processes=int(count) if count else None,
            process_id=int(number) if number else None,
            heartbeat_timeout_seconds=HEARTBEAT,
        )
    except (ValueError, TypeError) as error:
        rule = f"distributed: nothing tells which processes there are ({error})"
        ways = "start them by srun, mpirun or Kubernetes, or set"
        raise InputError(f"{rule}; {ways} {', '.join(names)}.") from None
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"distributed: the processes do not find each other ({reason}).") from None


def _abandon(error: BaseException) -> NoReturn:
    """Ends this process, whose others are gone or wait in vain."""
    if isinstance(error, KeyboardInterrupt):
        _end("Stopped.", status=INTERRUPTED)
    if isinstance(error, InputError):
        _end(f"Error: {error}")
    if _OF_OTHERS.search(str(error)):
        _end(_GONE)
    _end("".join(traceback.format_exception(error)).rstrip(), status=1)


def _end(text: str, *, status: int = 2) -> NoReturn:
    """Ends this process at once: in the usual way out JAX would wait for the others."""
    echo(*text.split("\n"), err=True)
    sys.stderr.flush()
    os._exit(status)


def is_on() -> bool:
    """Whether several devices train together."""
    return keras.distribution.distribution() is not None


def leave() -> None:
    """From here on, every process is by itself, and computes on one device."""
    keras.distribution.set_distribution(None)


@contextlib.contextmanager
def by_itself() -> Iterator[None]:
    """Inside, this process computes on one device."""
    distribution = keras.distribution.distribution()
    leave()
    try:
        yield
    finally:
        keras.distribution.set_distribution(distribution)


def part() -> tuple[int, int]:
    """The number of this process, from 0, and how many train together."""
    if not is_on():
        return 0, 1
    import jax

    return jax.process_index(), jax.process_count()


def check(settings: TrainSettings, inputs: pipeline.Settings) -> None:
    """Refuses what cannot be shared out.

    Raises:
        InputError: the batches are not of one size for all devices, or images are mixed, whose
            pairs the parts of several processes would separate.
    """
    distribution = keras.distribution.distribution()
    if distribution is None:
        return
    devices = distribution.device_mesh.devices.size
    if inputs.batch_size % devices:
        rule = f"batch_size must be a multiple of the {devices} devices"
        raise InputError(f"{rule}. Received: {inputs.batch_size}")
    if settings.mixup and part()[1] > 1:
        raise InputError("mixup is for one process; leave out --distributed, or --mixup.")


def placing() -> Callable[[Any], Any]:
    """A function that puts a batch on the devices, from any thread.

    Arrays of this process' part become arrays of the whole. On TensorFlow, which does it itself,
    the batch is returned as it is.
    """
    if keras.backend.backend() != "jax":
        return lambda batch: batch
    import jax

    # Keras knows it in this thread alone.
    distribution = keras.distribution.distribution()
    if distribution is None:
        return jax.device_put

    def whole(values: np.ndarray) -> Any:
        layout = distribution.get_data_layout(values.shape).backend_layout
        return jax.make_array_from_process_local_data(layout, values)

    return lambda batch: keras.tree.map_structure(whole, batch)


def everywhere(values: Any) -> Any:
    """What `placing` and a function of it made, on every process, in the order of the split.

    Processes take turns in a batch, see `pipeline.load`; placed, their parts follow each other.
    """
    _, processes = part()
    if processes == 1:
        return values
    from jax.experimental import multihost_utils

    gathered = multihost_utils.process_allgather(values, tiled=True)
    turns = gathered.reshape(processes, -1, *gathered.shape[1:]).swapaxes(0, 1)
    return turns.reshape(gathered.shape)


def state_layout() -> Any:
    """How JAX is to lay out what training changes: on every device; None where there is but one."""
    distribution = keras.distribution.distribution()
    if distribution is None:
        return None
    import jax

    mesh = distribution.device_mesh.backend_mesh
    return jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())


def smallest_batch() -> int:
    """Images of the smallest batch that one of the processes that train can give to Keras."""
    import jax

    return int(jax.local_device_count())


@contextlib.contextmanager
def run_folder(out: Path) -> Iterator[Path]:
    """Where this process writes its run.

    Of the first that is `out`; the others have a folder that is thrown away, with what is needed to
    go on with the run in `out`.
    """
    if part()[0] == 0:
        share(out)
        yield out
        return
    with tempfile.TemporaryDirectory(prefix="sentiflow-") as folder:
        share(Path(folder))
        yield Path(folder)


def share(folder: Path) -> None:
    """Gives the run in the first process' folder, as it is begun, to the other processes."""
    number, processes = part()
    if processes == 1:
        return
    state = _broadcast(_packed(folder) if number == 0 else b"")
    if number > 0:
        with tarfile.open(fileobj=io.BytesIO(state)) as archive:
            archive.extractall(folder, filter="data")


def _packed(out: Path) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in (record.SETTINGS, checkpoint.INITIAL, checkpoint.STATE):
            if (out / name).exists():
                archive.add(out / name, name)
    return buffer.getvalue()


def _broadcast(data: bytes) -> bytes:
    """What the first process has, for all."""
    from jax.experimental import multihost_utils

    size = int(multihost_utils.broadcast_one_to_all(np.array(len(data), np.int32)))
    padded = np.zeros(size, np.uint8)
    padded[: len(data)] = np.frombuffer(data, np.uint8)[:size]
    return np.asarray(multihost_utils.broadcast_one_to_all(padded)).astype(np.uint8).tobytes()
