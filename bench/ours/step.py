"""The real training step, timed with what feeds it; `bench.worker` runs it in a process of its own.

The network, its compiled programs and the streams are those of `model.train`, and so is what drives
them: blocks of batches go through the frozen backbone and on to the head, or where more is trained,
Keras' `fit` takes them.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from sentiflow import pipeline
from sentiflow.model.networks import precision
from sentiflow.model.settings import TrainSettings
from sentiflow.model.training import feed as training_feed
from sentiflow.model.training import groups, shared, start, stepping
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
        model = start.build_model(record, record.train)
        # What comes from elsewhere has its view already.
        on_device = job.task.tier != "-" and training_feed.looks_on_device(record)
        stream, waited = feed(job, record)
        windows = Windows(job.seconds / job.windows, job.windows, waited, usage)
        train = driver(model, record, on_device=on_device)
        train(stream, windows.tick)
        if folder := (job.step or {}).get("profile"):
            profile.trace(lambda tick: train(stream, tick), Path(folder))
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


# Is told how many steps were asked for so far, and how to wait until they are done; True: enough.
Tick = Callable[[int, Callable[[], Any]], bool]


def driver(
    model: keras.Model, record: Record, *, on_device: bool, is_folded: bool = True
) -> Callable[[Iterable[Any], Tick], None]:
    """What trains a compiled network on a stream, as `model.train` does, until a `Tick` says so.

    Args:
        model: of the run.
        record: of the run.
        on_device: whether the stream leaves the view to the step.
        is_folded: as of `shared.backbone_forward`.
    """
    if groups.Job(Path(), record).is_whole:
        return by_fit(training_feed.fed_by(model, record) if on_device else model)
    forward = shared.backbone_forward(model, record, on_device=on_device, is_folded=is_folded)
    head = shared.trainable_head(model, record.train)
    stepper = stepping.stepper(head, record.inputs.batch_size)
    blocks = shared.Blocks(forward, record)
    prepared = False

    def train(stream: Iterable[Any], tick: Tick) -> None:
        nonlocal prepared
        steps = 0
        for features, labels, count in blocks.of(iter(stream)):
            if not prepared:
                stepper.prepare(features, labels)
                stepper.begin()
                prepared = True
            stepper.train(features, labels, images=count * record.inputs.batch_size)
            steps += count
            if tick(steps, stepper.wait):
                return

    return train


def by_fit(model: keras.Model) -> Callable[[Iterable[Any], Tick], None]:
    """What trains a compiled model by Keras' `fit`, which waits for every loss."""

    def train(stream: Iterable[Any], tick: Tick) -> None:
        ticking = keras.callbacks.LambdaCallback()
        ticking.on_train_batch_end = lambda batch, logs=None: setattr(
            model, "stop_training", tick(batch + 1, lambda: None)
        )
        model.fit(stream, callbacks=[ticking], shuffle=False, verbose=0)

    return train


def _record(job: Job) -> Record:
    values = job.step or {}
    options = values["train"] | {"epochs": ENDLESS}
    return start.make_record(TrainSettings.read(options), pipeline.Settings(**values["inputs"]))


def feed(job: Job, record: Record) -> tuple[Any, Waited]:
    """What the step is to take its batches from.

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
    """One batch of the run over and over, which is on the device already, its view made."""
    batches = record.data.load("train", training=True, settings=record.inputs)
    images, labels = next(iter(batches))
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


class Windows:
    """Times steps in windows.

    The first step compiles, and the window behind it uses up the batches that were made meanwhile:
    neither counts.

    Args:
        seconds: least length of a window.
        windows: how many count.
        waited: the seconds waited for input so far.
        usage: of this process.
    """

    def __init__(self, seconds: float, windows: int, waited: Waited, usage: Usage) -> None:
        self._seconds = seconds
        self._windows = windows
        self._waited = waited
        self._usage = usage
        # Steps, time, seconds waited, seconds of processor.
        self._marks: list[tuple[int, float, float, float]] = []

    def tick(self, steps: int, wait: Callable[[], Any]) -> bool:
        """Ends a window when it is long enough; returns whether that was the last.

        Args:
            steps: that were asked for so far.
            wait: waits until they are done.
        """
        if not self._marks or time.perf_counter() - self._marks[-1][1] >= self._seconds:
            wait()
            now = time.perf_counter()
            self._marks.append((steps, now, self._waited(), self._usage.cpu_seconds()))
        return len(self._marks) == self._windows + 2

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
