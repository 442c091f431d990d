"""One run from its first epoch, or from where it was interrupted, to its evaluation and report."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from sentiflow import pipeline
from sentiflow.pipeline import InputError

from ..networks import precision
from ..settings import TrainSettings
from . import ending, whole
from .alone import alone
from .attempt import Attempt
from .frozen import Group
from .groups import Job
from .outcome import Outcome, read_outcome
from .progress import Progress
from .record import Record, is_finished, is_run
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
    if is_finished(out):
        progress.say(f"{out}: this run is finished, nothing is left to do.")
        return read_outcome(out)
    job = Job(out, record)
    if job.is_whole:
        return _train_whole(job, progress)
    for _, error in Group([job], progress).train():
        raise error
    return read_outcome(out)


def _train_whole(job: Job, progress: Progress) -> Outcome:
    out, record = job.out, job.record
    with alone(out), Attempt(out), precision.policy(record.environment.precision):
        model, history = open_run(out, record)
        for line in describe(record, model, history):
            progress.say(line)
        with record.data.naming_damage():
            whole.fit(out, record, model, history, progress)
            return ending.finish(out, record, model, history, progress)
