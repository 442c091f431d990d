"""Runs that train more than what follows the backbone, or mix images: by Keras' `fit`."""

from __future__ import annotations

import gc
import importlib.util
from pathlib import Path

import keras

from sentiflow.pipeline import InputError

from ..networks import network
from ..settings import TrainSettings
from . import ending, parallel, recipe
from .feed import fed_by, feed, held_out_batches, steps_per_epoch
from .history import EpochRow, should_stop
from .progress import Progress, Recorder
from .record import Record


def fit(
    out: Path, record: Record, model: keras.Model, history: list[EpochRow], progress: Progress
) -> None:
    """Trains what is left, stage by stage.

    A later stage begins with more of the backbone and its own optimiser.
    """
    begin = 0
    for stage in recipe.stages(record.train):
        if should_stop(history, record.train.early_stopping):
            return
        end = begin + stage.epochs
        if len(history) == begin > 0:
            network.fine_tune(model, stage.fine_tune)
            recipe.compile_network(model, stage, steps=steps_per_epoch(record))
            # What fed the stage before may hold the dataset in the accelerator's memory.
            gc.collect()
            layers = f"the last {stage.fine_tune} layers are trained, too"
            progress.say(f"from epoch {begin + 1} on, {layers}")
        if len(history) < end:
            _fit_stage(out, record, model, history, progress, end=end)
        begin = end


def _fit_stage(
    out: Path,
    record: Record,
    model: keras.Model,
    history: list[EpochRow],
    progress: Progress,
    *,
    end: int,
) -> None:
    settings = record.train
    steps = steps_per_epoch(record)
    stream, waited = feed(record, epoch=len(history), fit=True)

    def on_row(row: EpochRow) -> bool:
        ending.keep_row(out, record, model, history, row)
        return len(history) >= end or should_stop(history, settings.early_stopping)

    images = min(steps * record.inputs.batch_size, record.dataset.splits["train"])
    recorder = Recorder(images=images, waited=waited, on_row=on_row, progress=progress)
    fed_by(model, record).fit(
        stream,
        epochs=settings.epochs,
        initial_epoch=len(history),
        steps_per_epoch=steps,
        validation_data=held_out_batches(record, last_batch="pad" if parallel.is_on() else "keep"),
        callbacks=[recorder, *_tensorboard(out, settings)],
        shuffle=False,  # the stream is shuffled already
        verbose=0,
    )


def _tensorboard(out: Path, settings: TrainSettings) -> list[keras.callbacks.Callback]:
    if not settings.tensorboard:
        return []
    if importlib.util.find_spec("tensorboard") is None:
        raise InputError("--tensorboard needs its package: run pip install tensorboard.")
    return [keras.callbacks.TensorBoard(out / "tensorboard")]
