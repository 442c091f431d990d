"""What is kept of every epoch, and of a run at its end: its networks and their evaluation."""

from __future__ import annotations

import math
from pathlib import Path

import keras

from sentiflow.files import write_atomically
from sentiflow.pipeline import InputError

from ..reports import charts, plots, run_page
from ..scores.split import evaluate, summary
from . import checkpoint
from .history import EpochRow, best_epoch, should_stop
from .outcome import Outcome, write_outcome
from .progress import Progress
from .record import MODELS, Record, require_run


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
