"""A set of runs, of which those that share a frozen backbone's work are trained in lockstep.

Each run gets the weights and the folder that `model.train` alone gives it; arithmetic in blocks of
another size may change last bits.
"""

from __future__ import annotations

import gc
from collections.abc import Callable

from rich.console import Console

from sentiflow.pipeline import InputError

from . import loop
from .frozen import Group
from .groups import Job, groups, work
from .progress import Progress
from .record import is_finished


def train_all(
    jobs: list[Job],
    *,
    sequential: bool = False,
    console: Console | None = None,
    on_finished: Callable[[Job], None] = lambda job: None,
) -> None:
    """Makes all runs, or goes on where a process before this one was stopped.

    Args:
        jobs: the runs.
        sequential: one after the other, each with a backbone of its own.
        console: where progress is shown, standard output by default.
        on_finished: is told of every run that is finished, those of before included.

    Raises:
        InputError: a run could not be trained to its end. The others were.
    """
    parts = [[job] for job in jobs] if sequential else groups(jobs)
    failures: list[str] = []
    completed = 0
    with Progress(console or Console()) as progress:
        bar = progress.add(total=sum(map(work, parts)))
        for number, group in enumerate(parts, 1):
            record = group[0].record
            title = f"{number}/{len(parts)} {record.dataset.name}, seed {record.inputs.seed}"
            bar.update(description=title, completed=completed)
            if len(group) == 1:
                failures += _train_alone(group[0], progress, on_finished)
            else:
                failed = Group(group, progress, bar.advance, on_finished).train()
                failures += [f"{job.out}: {error}" for job, error in failed]
            completed += work(group)
            # Networks refer to themselves: they would stay until there is no memory left for the
            # next.
            gc.collect()
    if failures:
        raise InputError(" ".join(failures))


def _train_alone(job: Job, progress: Progress, on_finished: Callable[[Job], None]) -> list[str]:
    """Trains a run by itself; returns why it could not be."""
    try:
        if not is_finished(job.out):
            loop.train_record(job.out, job.record, progress)
        on_finished(job)
    except InputError as error:
        return [f"{job.out}: {error}"]
    return []
