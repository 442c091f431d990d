"""The real training step, timed with what feeds it; `bench.worker` runs it in a process of its own.

The network, its compiled step and the streams are those of `model.train`; `fit` drives them, as it
does in a run.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from sentiflow import pipeline
from sentiflow.model.networks import precision
from sentiflow.model.settings import TrainSettings
from sentiflow.model.training import feed as training_feed
from sentiflow.model.training import start
from sentiflow.model.training.record import Record

from ..contestants.task import find_loader
from ..harness.rows import CONSTANT
from ..worker.clock import Usage, summarise
from ..worker.job import Job
from . import profile

ENDLESS = 1_000_000  # epochs

Waited = Callable[[], float]


def run(job: Job) -> dict[str, Any]:
    """Trains for the windows of the job.

    Returns:
        What `bench.worker.clock.measure` returns, and `backend`, `precision`, `device` and
        `device_memory_mib`.
    """
    record = _record(job)
    with precision.policy(record.environment.precision), Usage() as usage:
        network = training_feed.fed_by(start.build_model(record, record.train), record)
        stream, waited = feed(job, record)
        windows = Windows(job.seconds / job.windows, job.windows, waited, usage)
        network.fit(stream, callbacks=[windows], shuffle=False, verbose=0)
        if folder := (job.step or {}).get("profile"):
            profile.trace(network, stream, Path(folder))
    return {
        "status": "ok",
        **windows.result(record.inputs.batch_size),
        "backend": record.environment.backend,
        "precision": record.environment.precision,
        "device": record.environment.device,
        "peak_anonymous_mib": usage.peak_anonymous,
        "peak_total_mib": usage.peak_total,
        "device_memory_mib": device_memory(),
    }


def _record(job: Job) -> Record:
    values = job.step or {}
    options = values["train"] | {"epochs": ENDLESS}
    return start.make_record(TrainSettings.read(options), pipeline.Settings(**values["inputs"]))


def feed(job: Job, record: Record) -> tuple[Any, Waited]:
    """What `fit` is to take its batches from.

    Returns:
        The stream, and a function of the seconds that were waited for it so far.
    """
    if job.function == CONSTANT:
        return constant_batches(record), lambda: 0.0
    if job.task.tier != "-":
        return training_feed.feed(record, epoch=0)
    stream, waited = pipeline.timed(_generated(job, record))
    return stream, lambda: float(waited.numpy())


def constant_batches(record: Record) -> Any:
    """One batch of the run over and over, which is on the device already."""
    images, labels = next(iter(training_feed.training_batches(record, epoch=0)))
    if keras.backend.backend() == "jax":
        import jax

        batch = jax.device_put((images.numpy(), labels.numpy()))
        return _repeat(batch)
    stream = tf.data.Dataset.from_tensors((images, labels)).repeat()
    # `tf.data` hands out host memory; on a GPU the copy is made ahead of time.
    gpu = precision.device() == "GPU"
    return stream.apply(tf.data.experimental.prefetch_to_device("/GPU:0")) if gpu else stream


def _repeat(batch: Any) -> Iterator[Any]:
    while True:
        yield batch


def _generated(job: Job, record: Record) -> tf.data.Dataset:
    """The batches of a contestant.

    They are caffe-preprocessed, whatever the backbone takes: it takes them as fast.
    """
    size = record.inputs.evaluation().image_size
    batch_size = record.inputs.batch_size
    loader = find_loader(job.function)
    signature = (
        tf.TensorSpec((batch_size, size, size, 3), tf.float32),
        tf.TensorSpec((batch_size,), tf.int32),
    )
    stream = tf.data.Dataset.from_generator(lambda: loader(job.task), output_signature=signature)
    return stream.apply(
        tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
    ).prefetch(2)


class Windows(keras.callbacks.Callback):
    """Times steps in windows, and ends the training after the last.

    The first step compiles, and the window behind it uses up the batches that were made meanwhile:
    neither counts.

    Args:
        seconds: least length of a window.
        windows: how many count.
        waited: the seconds waited for input so far.
        usage: of this process.
        asynchronous: let Keras on JAX call it from other threads, so that the next step is
            dispatched before the loss of this one has come. It must not touch the model then: the
            stream has to end when it is `over`.
    """

    def __init__(
        self,
        seconds: float,
        windows: int,
        waited: Waited,
        usage: Usage,
        *,
        asynchronous: bool = False,
    ) -> None:
        super().__init__()
        self.async_safe = asynchronous
        self._seconds = seconds
        self._windows = windows
        self._waited = waited
        self._usage = usage
        self._lock = threading.Lock()
        # Steps, time, seconds waited, seconds of processor.
        self._marks: list[tuple[int, float, float, float]] = []

    @property
    def over(self) -> bool:
        """Whether the last window has ended."""
        return len(self._marks) == self._windows + 2

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Ends a window when it is long enough.

        The step is done, since Keras hands its loss over.
        """
        with self._lock:
            now = time.perf_counter()
            if self._marks and (
                now - self._marks[-1][1] < self._seconds or batch < self._marks[-1][0]
            ):
                return
            if not self.over:
                self._marks.append((batch + 1, now, self._waited(), self._usage.cpu_seconds()))
            if self.over and not self.async_safe:
                self.model.stop_training = True

    def result(self, batch_size: int) -> dict[str, Any]:
        """See `bench.worker.clock.measure`."""
        marks = self._marks[1:]
        pairs = itertools.pairwise(marks)
        steps, seconds, waited, cpu = (
            last - first for first, last in zip(marks[0], marks[-1], strict=True)
        )
        timed = [((end[0] - start[0]) * batch_size, end[1] - start[1]) for start, end in pairs]
        return {
            **summarise(timed),
            "waiting_share": min(waited / seconds, 1.0),
            "cpu_seconds_per_image": cpu / (steps * batch_size),
        }


def device_memory() -> float | None:
    """The most that was in use on the accelerator, MiB; None where the backend does not tell."""
    if keras.backend.backend() == "jax":
        import jax

        return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use", 0) / 2**20 or None
    if precision.device() != "GPU":
        return None
    return float(tf.config.experimental.get_memory_info("GPU:0")["peak"]) / 2**20
