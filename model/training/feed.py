"""What a run is trained on: its batches as one stream, and the model that takes them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any, Literal

import keras
import tensorflow as tf

from sentiflow import pipeline
from sentiflow.pipeline import InputError

from ..networks import heads
from ..networks.device import OnDevice
from ..scores.split import evaluation_batches
from . import parallel, recipe, targets
from .record import Record


def steps_per_epoch(record: Record) -> int:
    """Updates in an epoch; floor(images / batch size) unless `last_batch` says otherwise.

    Raises:
        InputError: there is not even one.
    """
    images = record.dataset.splits.get("train", 0)
    batch_size = record.inputs.batch_size
    last_batch = record.inputs.training().last_batch
    steps = pipeline.steps(images, batch_size=batch_size, last_batch=last_batch)
    if steps == 0:
        raise InputError(
            f"{record.dataset.name} has {images} training images, less than a batch; lower "
            f"batch_size. Received: {batch_size}"
        )
    return steps


def fed_by(model: keras.Model, record: Record) -> keras.Model:
    """The compiled model as it is trained.

    That is with its auxiliary branches, and with the view where an accelerator has it.
    """
    if looks_on_device(record):
        fed = OnDevice(model, record.data, record.inputs)
    elif heads.auxiliary(model):
        fed = heads.Branches(model)
    else:
        return model
    recipe.compile_with(model.optimizer, fed, record.train)
    return fed


def looks_on_device(record: Record) -> bool:
    """Whether the view is a part of the compiled step.

    It is on an accelerator. On a CPU the host's is faster, and the tier `device` a rehearsal.
    """
    return record.inputs.cache == "device" or record.environment.device != "CPU"


def feed(
    record: Record, *, epoch: int, fit: bool = False
) -> tuple[Iterable[Any], Callable[[], float]]:
    """The run's batches, and a clock of the seconds that were waited for them so far.

    Args:
        record: what the run is.
        epoch: the epoch, from 0, that comes first.
        fit: whether Keras' own `fit` takes them, which shares them out among devices itself.
    """
    batches = training_batches(record, epoch=epoch)
    if keras.backend.backend() == "jax":
        # Copied to the device by the thread that takes them ahead. Keras would do it between two
        # steps.
        placed: Iterable[Any] = batches.as_numpy_iterator()
        if not (fit and parallel.is_on()):
            placed = map(parallel.placing(), placed)
        return pipeline.clocked(pipeline.ahead(placed))
    stream, waited = pipeline.timed(batches)
    return stream, lambda: float(waited.numpy())


def training_batches(record: Record, *, epoch: int) -> tf.data.Dataset:
    """The batches that the run is trained on, from an epoch on, as one stream.

    Where several processes train, each has its part of every batch.
    """
    settings = record.train
    number, processes = parallel.part()
    batches = record.data.load(
        "train",
        training=True,
        epochs=settings.epochs,
        epoch=epoch,
        shard=(number, processes),
        viewed=not looks_on_device(record),
        settings=dataclasses.replace(
            record.inputs, batch_size=record.inputs.batch_size // processes
        ),
    )
    if targets.are_plain(settings):
        return batches
    return targets.attach(
        batches,
        target_table(record),
        mixup=settings.mixup,
        seed=record.inputs.seed,
        step=epoch * steps_per_epoch(record),
    )


def held_out_batches(
    record: Record, *, last_batch: Literal["keep", "pad"] = "keep"
) -> tf.data.Dataset:
    """The split that every epoch is judged by, from the run's own tier; a process' part of it."""
    return evaluation_batches(
        record,
        part=parallel.part(),
        split=record.held_out_split,
        cache=record.inputs.cache,
        last_batch=last_batch,
        viewed=not looks_on_device(record),
    )


def target_table(record: Record) -> targets.Table:
    """The target vector of every label."""
    labels = record.data.labels("train", record.inputs)
    return targets.table(record.train, labels, record.dataset.class_names)
