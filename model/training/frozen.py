"""Runs whose backbone is frozen: one of them, or several that share its work.

The order of the images and their augmentations are functions of seed, epoch and position (see
`pipeline.draws`), not of the batch size. So one stream serves several runs that differ only in what
follows the backbone: blocks of images go through it once, and every head cuts its own batches from
the features, as many an epoch as it would get alone, with its own optimiser, schedule and end.
Nothing is kept of the features of training images; those of the held-out split never change.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Callable, Iterator
from typing import Literal

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import tensorflow as tf
from rich.console import Console

from sentiflow.pipeline import InputError

from ..networks import network, precision
from ..settings import TrainSettings
from . import checkpoint, parallel
from .alone import alone
from .attempt import Attempt
from .groups import OF_FEATURES, Job, epochs
from .progress import EpochBar, Progress, epoch_line
from .record import is_finished
from .shared import Features, Head
from .start import describe

Failures = list[tuple[Job, InputError]]


class Group:
    """Runs whose heads are trained side by side; one run is a group of its own.

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
        advance: Callable[[int], None] = lambda images: None,
        on_finished: Callable[[Job], None] = lambda job: None,
    ) -> None:
        self.jobs = jobs
        self.progress = progress
        self.advance = advance
        self.on_finished = on_finished
        self.epochs = epochs(jobs)
        self.failures: Failures = []
        self.attempts = {job.out: Attempt(job.out) for job in jobs}
        record = jobs[0].record
        of_features = {name: getattr(record.train, name) for name in OF_FEATURES}
        sizes = {job.batch_size for job in jobs}
        # What does not fill a block fills smaller batches. Labels are plain.
        last_batch: Literal["drop", "pad"] = "drop" if len(sizes) == 1 else "pad"
        self.record = dataclasses.replace(
            record,
            train=TrainSettings(
                epochs=self.epochs,
                steps_per_execution=max(job.record.train.steps_per_execution for job in jobs),
                **of_features,
            ),
            inputs=dataclasses.replace(record.inputs, batch_size=max(sizes), last_batch=last_batch),
        )

    def train(self) -> Failures:
        """Trains and finishes all runs; returns those that could not be, and why."""
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
        heads = [Head(job, shared) for job in jobs]
        if self._is_one:
            for line in describe(heads[0].job.record, heads[0].network, heads[0].history):
                self.progress.say(line)
        return heads

    @property
    def _is_one(self) -> bool:
        """Whether there is but one run, about which more is shown."""
        return len(self.jobs) == 1

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
        figures = self._update(epoch, active, features)
        seconds = time.perf_counter() - began
        waited = features.waited() - waited_before
        figures = self._evaluate(active, figures, features)
        failed = []
        for head, logs in zip(active, figures, strict=True):
            # Each head has its share of the pass.
            share = {"seconds": seconds / len(active), "waited": waited / len(active)}
            if not self._keep(head, logs, **share):
                failed.append(head)
        if not self._is_one and not self.progress.visible:
            rate = f"{self.jobs[0].images / seconds:.0f} images/s"
            self.progress.say(f"epoch {epoch + 1}/{self.epochs}  {len(active)} heads  {rate}")
        return [head for head in heads if head not in failed]

    def _update(self, epoch: int, heads: list[Head], features: Features) -> list[dict[str, float]]:
        for head in heads:
            head.stepper.begin()
        with self._bar(epoch, features) as bar:
            for block, labels, images in features.epoch():
                for head in heads:
                    head.stepper.train(block, labels, images=images)
                self.advance(images)
                if bar:
                    bar.move(images)
            return [head.stepper.end() for head in heads]

    @contextlib.contextmanager
    def _bar(self, epoch: int, features: Features) -> Iterator[EpochBar | None]:
        """The bar of a run by itself; those of a group have one together."""
        if not self._is_one:
            yield None
            return
        bar = EpochBar(
            self.progress, images=features.images, epochs=self.epochs, waited=features.waited
        )
        bar.begin(epoch + 1)
        try:
            yield bar
        finally:
            bar.remove()

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
                row = head.keep(logs, seconds=seconds, waited=waited)
        except InputError as error:
            self.failures.append((head.job, error))
            return False
        if self._is_one:
            self.progress.say(epoch_line(row, self.epochs))
        return True

    def _finish(self, heads: list[Head]) -> list[Head]:
        """Finishes the runs that have no epoch left; returns the others.

        What several devices have trained, one finishes, see `loop`.
        """
        for head in heads:
            if head.over and not parallel.is_on():
                head.finish(self.progress if self._is_one else Progress(Console(quiet=True)))
                self.on_finished(head.job)
        return [head for head in heads if not head.over]
