"""Runs that differ only in what follows the frozen backbone share its work.

Their heads are trained in lockstep. The order of the images and their augmentations are functions
of seed, epoch and position (see `pipeline.draws`), not of the batch size. So one stream serves all
of them: blocks of images go through the backbone once, and every head cuts its own batches from the
features, as many an epoch as it would get alone, with its own optimiser, schedule and end. Nothing
is kept of the features of training images. Each run gets the weights and the folder that
`model.train` alone gives it; arithmetic in blocks of another size may change last bits.
"""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import time
from collections.abc import Callable

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import tensorflow as tf
from rich.console import Console

from sentiflow.pipeline import InputError

from ..networks import network, precision
from ..settings import TrainSettings
from . import checkpoint, loop
from .alone import alone
from .attempt import Attempt
from .groups import OF_FEATURES, Job, epochs, groups, work
from .progress import Progress
from .record import is_finished
from .shared import Features, Head


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
                failures += Group(group, progress, bar.advance, on_finished).train()
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


class Group:
    """Runs in lockstep.

    Args:
        jobs: all of the group, the finished ones too: they decide the size of the blocks.
        progress: where lines go.
        advance: is told how many more images went through the backbone.
        on_finished: is told of every run that is finished.
    """

    def __init__(
        self,
        jobs: list[Job],
        progress: Progress,
        advance: Callable[[int], None],
        on_finished: Callable[[Job], None],
    ) -> None:
        self.jobs = jobs
        self.progress = progress
        self.advance = advance
        self.on_finished = on_finished
        self.epochs = epochs(jobs)
        self.failures: list[str] = []
        self.attempts = {job.out: Attempt(job.out) for job in jobs}
        record = jobs[0].record
        of_features = {name: getattr(record.train, name) for name in OF_FEATURES}
        block = max(job.batch_size for job in jobs)
        # All blocks have one size, the last of an epoch too, so that one program serves them. Their
        # labels are plain.
        self.record = dataclasses.replace(
            record,
            train=TrainSettings(epochs=self.epochs, **of_features),
            inputs=dataclasses.replace(record.inputs, batch_size=block, last_batch="pad"),
        )

    def train(self) -> list[str]:
        """Trains and finishes all runs; returns why some could not be."""
        # Every head is a program of its own, which TensorFlow takes for one that is compiled in
        # vain over and over.
        tf.get_logger().setLevel("ERROR")
        with contextlib.ExitStack() as stack:
            for job in self.jobs:
                stack.enter_context(alone(job.out))
                stack.enter_context(self.attempts[job.out])
            stack.enter_context(precision.policy(self.record.environment.precision))
            stack.enter_context(self.record.data.naming_damage())
            heads = self._finish(self._open())
            if heads:
                self._train(heads)
        return self.failures

    def _open(self) -> list[Head]:
        """The heads of the runs that are not finished."""
        finished = [job for job in self.jobs if is_finished(job.out)]
        for job in finished:
            self.on_finished(job)
        jobs = [job for job in self.jobs if job not in finished]
        if not jobs:
            return []
        settings = self.record.train
        if all(checkpoint.has_state(job.out) for job in jobs):
            # The checkpoints hold all weights.
            settings = dataclasses.replace(settings, weights="none")
        size = self.record.inputs.evaluation().image_size
        shared = network.Shared.make(settings, image_size=size, seed=self.record.network_seed)
        return [Head(job, shared) for job in jobs]

    def _train(self, heads: list[Head]) -> None:
        first = min(len(head.history) for head in heads)
        features = Features(self.record, heads[0].network, epoch=first)
        self.advance(first * self.jobs[0].images)
        block, labels = next(iter(features.held_out()))
        for head in heads:
            head.stepper.prepare(block, labels)
        for epoch in range(first, self.epochs):
            heads = self._finish(self._train_epoch(epoch, heads, features))
            if not heads:
                return

    def _train_epoch(self, epoch: int, heads: list[Head], features: Features) -> list[Head]:
        """Trains and evaluates an epoch; returns the heads that can go on."""
        # A process that was killed may have saved some heads' epoch, and not the others'.
        active = [head for head in heads if len(head.history) == epoch]
        began = time.perf_counter()
        waited_before = features.waited()
        figures = self._update(active, features)
        seconds = time.perf_counter() - began
        waited = features.waited() - waited_before
        figures = self._evaluate(active, figures, features)
        failed = []
        for head, logs in zip(active, figures, strict=True):
            # Each head has its share of the pass.
            share = {"seconds": seconds / len(active), "waited": waited / len(active)}
            if not self._keep(head, logs, **share):
                failed.append(head)
        self._report(epoch, active, seconds)
        return [head for head in heads if head not in failed]

    def _update(self, heads: list[Head], features: Features) -> list[dict[str, float]]:
        for head in heads:
            head.stepper.begin()
        for block, labels, images in features.epoch():
            for head in heads:
                head.stepper.train(block, labels, images=images)
            self.advance(images)
        return [head.stepper.end() for head in heads]

    def _evaluate(
        self, heads: list[Head], figures: list[dict[str, float]], features: Features
    ) -> list[dict[str, float]]:
        for head in heads:
            head.stepper.begin()
        for block, labels in features.held_out():
            for head in heads:
                head.stepper.test(block, labels)
        ends = [head.stepper.end() for head in heads]
        return [
            figure | {f"val_{name}": value for name, value in end.items()}
            for figure, end in zip(figures, ends, strict=True)
        ]

    def _keep(self, head: Head, logs: dict[str, float], *, seconds: float, waited: float) -> bool:
        try:
            with self.attempts[head.job.out]:
                head.keep(logs, seconds=seconds, waited=waited)
        except InputError as error:
            self.failures.append(f"{head.job.out}: {error}")
            return False
        return True

    def _finish(self, heads: list[Head]) -> list[Head]:
        """Finishes the runs that have no epoch left; returns the others."""
        for head in heads:
            if head.over:
                head.finish()
                self.on_finished(head.job)
        return [head for head in heads if not head.over]

    def _report(self, epoch: int, heads: list[Head], seconds: float) -> None:
        if not self.progress.visible:
            rate = f"{self.jobs[0].images / seconds:.0f} images/s"
            self.progress.say(f"epoch {epoch + 1}/{self.epochs}  {len(heads)} heads  {rate}")
