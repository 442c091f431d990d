"""One run from its first epoch, or from where it was interrupted, to its evaluation and report."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from sentiflow import pipeline
from sentiflow.pipeline import InputError

from ..networks import precision
from ..settings import TrainSettings
from . import checkpoint, ending, parallel, whole
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
    parallel.check(settings, inputs)
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
    if parallel.is_on():
        _begin(job)
    if job.is_whole:
        _train_whole(job, progress)
    else:
        for _, error in Group([job], progress).train():
            raise error
    if parallel.is_on():
        _finish(job, progress)
    return read_outcome(out)


def _begin(job: Job) -> None:
    """Begins a run on one device, from which all that are to train it get the same weights."""
    out, record = job.out, job.record
    if checkpoint.has_state(out):
        return
    policy = precision.policy(record.environment.precision)
    with alone(out), Attempt(out), policy, parallel.by_itself():
        open_run(out, record)
    parallel.share(out)


def _finish(job: Job, progress: Progress) -> None:
    """Evaluates on one device what several have trained, of which every epoch is kept."""
    out, record = job.out, job.record
    parallel.leave()
    with alone(out), precision.policy(record.environment.precision), record.data.naming_damage():
        model, history = open_run(out, record)
        ending.finish(out, record, model, history, progress)


def _train_whole(job: Job, progress: Progress) -> None:
    out, record = job.out, job.record
    with alone(out), Attempt(out), precision.policy(record.environment.precision):
        model, history = open_run(out, record)
        for line in describe(record, model, history):
            progress.say(line)
        with record.data.naming_damage():
            whole.fit(out, record, model, history, progress)
            if not parallel.is_on():
                ending.finish(out, record, model, history, progress)
