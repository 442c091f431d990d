"""One run from its first epoch, or from where it was interrupted, to its evaluation and report."""

from __future__ import annotations

import gc
import importlib.util
import math
from pathlib import Path

import keras
from rich.console import Console

from sentiflow import pipeline
from sentiflow.files import write_atomically
from sentiflow.pipeline import InputError

from ..networks import network, precision
from ..reports import charts, plots, run_page
from ..scores.split import evaluate, evaluation_batches, summary
from ..settings import TrainSettings
from . import checkpoint, recipe
from .alone import alone
from .attempt import Attempt
from .feed import fed_by, feed, steps_per_epoch
from .history import EpochRow, best_epoch, should_stop
from .outcome import Outcome, read_outcome, write_outcome
from .progress import Progress, Recorder
from .record import MODELS, Record, is_finished, is_run, require_run
from .start import describe, open_run, prepare


def train(
    settings: TrainSettings,
    inputs: pipeline.Settings,
    *,
    out: Path,
    resume: bool = False,
    console: Console | None = None,
) -> Outcome:
    """Trains a network, or goes on with an interrupted run, and evaluates it.

    Args:
        settings: what is trained, and how.
        inputs: the input stage; its `preprocess` is set to what the backbone was trained on.
        out: run folder (see `model.training.record`).
        resume: go on where the run in `out` was interrupted; begin if nothing is there.
        console: where progress is shown, standard output by default.

    Raises:
        InputError: `out` holds a run and `resume` is not set, or one that was started with other
            settings; the dataset, a name, an option or the weights are not to be had; the loss is
            no longer a number.
    """
    if is_run(out) and not resume:
        raise InputError(
            f"{out} holds a run. Pass --resume to go on with it, or another --out to start one."
        )
    record = prepare(settings, inputs, out=out)
    with Progress(console or Console()) as progress:
        return train_record(out, record, progress)


def train_record(out: Path, record: Record, progress: Progress) -> Outcome:
    """Trains what `prepare` has settled, or goes on with it.

    Raises:
        InputError: the weights are not to be had; the loss is no longer a number; another process
            is at it.
    """
    with alone(out):
        if is_finished(out):
            progress.say(f"{out}: this run is finished, nothing is left to do.")
            return read_outcome(out)
        return _train_rest(out, record, progress)


def _train_rest(out: Path, record: Record, progress: Progress) -> Outcome:
    with Attempt(out), precision.policy(record.environment.precision):
        model, history = open_run(out, record)
        for line in describe(record, model):
            progress.say(line)
        if history:
            progress.say(f"resumed after epoch {history[-1].epoch}")
        with record.data.naming_damage():
            _fit(out, record, model, history, progress)
            return finish(out, record, model, history, progress)


def _fit(
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
    stream, waited = feed(record, epoch=len(history))

    def on_row(row: EpochRow) -> bool:
        keep_row(out, record, model, history, row)
        return len(history) >= end or should_stop(history, settings.early_stopping)

    images = min(steps * record.inputs.batch_size, record.dataset.splits["train"])
    recorder = Recorder(images=images, waited=waited, on_row=on_row, progress=progress)
    held_out = evaluation_batches(record, split=record.held_out_split, cache=record.inputs.cache)
    fed_by(model, record).fit(
        stream,
        epochs=settings.epochs,
        initial_epoch=len(history),
        steps_per_epoch=steps,
        validation_data=held_out,
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


def is_over(record: Record, history: list[EpochRow]) -> bool:
    """Whether no epoch is left to train."""
    return len(history) >= record.train.epochs or should_stop(history, record.train.early_stopping)


def keep_row(
    out: Path, record: Record, model: keras.Model, history: list[EpochRow], row: EpochRow
) -> None:
    """Adds an epoch to the history, and saves it with what training changed.

    Raises:
        InputError: the loss is not a number; what was saved before stays.
        OSError: the disk refuses it, or the folder is gone.
    """
    if not math.isfinite(row.loss + row.val_loss):
        raise InputError(
            f"The loss of epoch {row.epoch} is not a number; start another run with a "
            f"learning_rate below {record.train.learning_rate}, or with precision float32. "
            f"Received: loss={row.loss}"
        )
    require_run(out)
    history.append(row)
    averaged = len(history) - record.train.epochs + record.train.average_weights
    checkpoint.save_state(out, model, history, averaged=averaged)


def finish(
    out: Path, record: Record, model: keras.Model, history: list[EpochRow], progress: Progress
) -> Outcome:
    """Writes and evaluates the trained networks, and marks the run as finished."""
    best = best_epoch(history)
    split = record.final_split
    title = f"{record.dataset.name}, {record.train.backbone}, {record.train.head} head"
    curves = charts.learning_curves(history, record.held_out_split)
    plots.draw_charts(curves, out / "curves.png", title=title)
    if record.train.average_weights:
        checkpoint.load_average(out, model)
    write_atomically(out / MODELS["final"], model.save)
    evaluation = evaluate(out, record, model, split=split)
    progress.say(summary(evaluation))
    # Before the best weights replace those that were evaluated.
    run_page.write_run(out, network=model)
    checkpoint.load_best(out, model)
    write_atomically(out / MODELS["best"], model.save)
    outcome = Outcome(
        epochs=len(history),
        stopped_early=len(history) < record.train.epochs,
        best_epoch=best,
        seconds_training=round(sum(row.seconds for row in history), 3),
        split=split,
        figures=evaluation.scores.figures,
    )
    write_outcome(out, outcome)
    checkpoint.remove_initial(out)
    files = f"report.html, model.keras, best.keras of epoch {best}, history.csv, ..."
    progress.say(f"Written: {out}/ ({files})")
    return outcome
