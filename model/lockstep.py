"""Runs that differ only in what follows the frozen backbone share its work: their heads are trained in lockstep.

The order of the images and their augmentations are functions of seed, epoch and position (see
`pipeline.draws`), not of the batch size. So one stream serves all of them: blocks of images go
through the backbone once, and every head cuts its own batches from the features, as many an epoch
as it would get alone, with its own optimiser, schedule and end. Nothing is kept of the features of
training images. Each run gets the weights and the folder that `model.train` alone gives it;
arithmetic in blocks of another size may change last bits.
"""

from __future__ import annotations

import dataclasses
import gc
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from sentiflow.pipeline import InputError

from . import network, precision, recipe, run, stepping, train
from .device import OnDevice
from .evaluate import evaluation_batches
from .heads import Branches
from .progress import epoch_row
from .settings import TrainSettings
from .targets import are_plain

# Features of the held-out split, which never change, are kept if they take no more than so many
# bytes.
KEPT_BYTES = 2**30

# Settings of training that the features of an image depend on.
SHARED = ("dataset", "data_dir", "backbone", "backbone_options", "weights")


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """A run that is to be made: its folder, and what `train.prepare` says it will be."""

    out: Path
    record: run.Record

    @property
    def batch_size(self) -> int:
        """Images in an update."""
        return self.record.inputs.batch_size

    @property
    def epochs(self) -> int:
        """Passes over the training split."""
        return self.record.train.epochs

    @property
    def images(self) -> int:
        """Images of the training split."""
        return self.record.dataset["splits"]["train"]

    @property
    def alone(self) -> bool:
        """Whether training changes the backbone, or wants what blocks of features cannot give."""
        settings, last_batch = self.record.train, self.record.inputs.last_batch
        return bool(
            settings.fine_tune or settings.mixup or settings.tensorboard
        ) or last_batch not in ("auto", "drop")


def groups(jobs: Iterable[Job]) -> list[list[Job]]:
    """Jobs that are trained in lockstep, in the order in which each group's first was given.

    Within a group all batch sizes divide the largest, which is that of the blocks.
    """
    found: dict[Any, list[Job]] = {}
    for job in jobs:
        record = job.record
        key = (
            *(getattr(record.train, name) for name in SHARED),
            dataclasses.replace(record.inputs, batch_size=1),
            record.environment["precision"],
        )
        found.setdefault(job if job.alone else key, []).append(job)
    return [group for similar in found.values() for group in _by_batch_size(similar)]


def _by_batch_size(jobs: list[Job]) -> list[list[Job]]:
    largest = max(job.batch_size for job in jobs)
    fitting = [job for job in jobs if largest % job.batch_size == 0]
    others = [job for job in jobs if largest % job.batch_size]
    return [fitting, *(_by_batch_size(others) if others else [])]


def epochs(group: list[Job]) -> int:
    """Epochs of a group that go through the backbone."""
    return max(job.epochs for job in group)


def work(group: list[Job]) -> int:
    """Training images of a group that go through the backbone."""
    return epochs(group) * group[0].images


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
    console = console or Console()
    parts = [[job] for job in jobs] if sequential else groups(jobs)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
    )
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    task = bar.add_task("", total=sum(map(work, parts)))
    failures: list[str] = []
    with nullcontext() if bar.disable else bar:
        for number, group in enumerate(parts, 1):
            record, finished = group[0].record, sum(map(work, parts[: number - 1]))
            title = f"{number}/{len(parts)} {record.dataset['name']}, seed {record.inputs.seed}"
            bar.update(task, description=title, completed=finished)
            if len(group) == 1:
                failures += _train_alone(group[0], console, bar, on_finished)
            else:
                failures += _Group(
                    group, console, lambda n: bar.advance(task, n), on_finished
                ).train()
            gc.collect()  # networks refer to themselves: they would stay until there is no memory left for the next
    if failures:
        raise InputError(" ".join(failures))


def _train_alone(
    job: Job, console: Console, bar: Progress, on_finished: Callable[[Job], None]
) -> list[str]:
    if not bar.disable:
        bar.stop()  # the run shows its own
    try:
        if not run.finished(job.out):
            train.train(
                job.record.train, job.record.inputs, out=job.out, resume=True, console=console
            )
        on_finished(job)
    except InputError as error:
        return [f"{job.out}: {error}"]
    finally:
        if not bar.disable:
            bar.start()
    return []


class _Head:
    """One run of a group: its network, and the part of it that is trained."""

    def __init__(self, job: Job, shared: network.Shared) -> None:
        self.job = job
        self.network, self.history = train.open_run(job.out, job.record, shared)
        if job.record.train.standardise:
            shared.statistics = self.network.get_layer(network.STANDARDISED).get_weights()
        rows = None if are_plain(job.record.train) else train.target_rows(job.record)
        self.stepper = stepping.stepper(self._head(), job.batch_size, rows)

    def _head(self) -> keras.Model:
        head = network.head_of(self.network)
        if len(head.outputs) > 1:
            head = Branches(head)
        settings = dataclasses.replace(
            self.job.record.train, steps_per_execution=1
        )  # steps are called one by one
        recipe.compile_with(self.network.optimizer, head, settings)
        return head

    @property
    def over(self) -> bool:
        return train.is_over(self.job.record, self.history)

    def keep(self, figures: dict[str, float], *, seconds: float, waited: float) -> None:
        images = self.job.images // self.job.batch_size * self.job.batch_size
        epoch = len(self.history) + 1
        row = epoch_row(epoch, figures, self.network, images=images, seconds=seconds, waited=waited)
        train.keep_row(self.job.out, self.job.record, self.network, self.history, row)

    def finish(self) -> None:
        train.finish(self.job.out, self.job.record, self.network, self.history, Console(quiet=True))


class _Features:
    """What the shared backbone makes of the images: the one stream that all heads of a group are trained on.

    Args:
        record: of the stream: its `batch_size` is that of the blocks, its `epochs` the most of any
            head.
        model: one of the group's networks.
        epoch: the epoch, from 0, that comes next.
    """

    def __init__(self, record: run.Record, model: keras.Model, *, epoch: int) -> None:
        self.record = record
        backbone = fed = network.features_of(model)
        if record.inputs.cache == "device":
            fed = OnDevice(backbone, record.data, record.inputs)
        self._forward = stepping.forward(fed)
        batches, self.waited = train.feed(record, epoch=epoch)
        self._stream = iter(batches)
        split = run.held_out_split(record)
        self._held_out = evaluation_batches(record, split=split, cache=record.inputs.cache)
        bytes_each = math.prod(backbone.output_shape[1:]) * tf.as_dtype(backbone.compute_dtype).size
        self._kept: list[tuple[Any, Any]] | None = None
        if bytes_each * record.dataset["splits"][split] <= KEPT_BYTES:
            self._kept = list(self.held_out())

    def epoch(self) -> Iterator[tuple[Any, Any, int]]:
        """The next epoch's blocks: features, labels, and how many there are before the padding."""
        images, block = self.record.dataset["splits"]["train"], self.record.inputs.batch_size
        for first in range(0, images, block):
            batch, labels, _ = next(self._stream)
            yield self._forward(batch), labels, min(block, images - first)

    def held_out(self) -> Iterable[tuple[Any, Any]]:
        """The held-out split: features and labels."""
        if self._kept is not None:
            return self._kept
        return (
            (self._forward(batch), labels) for batch, labels in self._held_out.as_numpy_iterator()
        )


class _Group:
    """Runs in lockstep.

    Args:
        jobs: all of the group, the finished ones too: they decide the size of the blocks.
        console: where lines go.
        advance: is told how many more images went through the backbone.
        on_finished: is told of every run that is finished.
    """

    def __init__(
        self,
        jobs: list[Job],
        console: Console,
        advance: Callable[[int], None],
        on_finished: Callable[[Job], None],
    ) -> None:
        self.jobs, self.console, self.advance, self.on_finished = (
            jobs,
            console,
            advance,
            on_finished,
        )
        record = jobs[0].record
        self.epochs = epochs(jobs)
        # All blocks have one size, the last of an epoch too, so that one program serves them. Their
        # labels are plain.
        self.record = dataclasses.replace(
            record,
            train=TrainSettings(
                epochs=self.epochs, **{name: getattr(record.train, name) for name in SHARED}
            ),
            inputs=dataclasses.replace(
                record.inputs, batch_size=max(job.batch_size for job in jobs), last_batch="pad"
            ),
        )
        self.failures: list[str] = []

    def train(self) -> list[str]:
        """Trains and finishes all runs; returns why some could not be."""
        # Every head is a program of its own, which TensorFlow takes for one that is compiled in
        # vain over and over.
        tf.get_logger().setLevel("ERROR")
        with precision.policy(self.record.environment["precision"]):
            heads = self._finish(self._open())
            if heads:
                self._train(heads)
        return self.failures

    def _open(self) -> list[_Head]:
        finished = [job for job in self.jobs if run.finished(job.out)]
        for job in finished:
            self.on_finished(job)
        jobs = [job for job in self.jobs if job not in finished]
        if not jobs:
            return []
        settings = self.record.train
        if all((job.out / run.STATE).exists() for job in jobs):
            settings = dataclasses.replace(
                settings, weights="none"
            )  # the checkpoints hold all of them
        size, seed = self.record.inputs.evaluation().image_size, train.seed_of(self.record)
        shared = network.Shared.make(settings, image_size=size, seed=seed)
        return [_Head(job, shared) for job in jobs]

    def _train(self, heads: list[_Head]) -> None:
        first = min(len(head.history) for head in heads)
        features = _Features(self.record, heads[0].network, epoch=first)
        self.advance(first * self.jobs[0].images)
        block, labels = next(iter(features.held_out()))
        for head in heads:
            head.stepper.prepare(block, labels)
        for epoch in range(first, self.epochs):
            # A process that was killed may have saved some heads' epoch, and not the others'.
            active = [head for head in heads if len(head.history) == epoch]
            began, waited = time.perf_counter(), features.waited()
            figures = self._epoch(active, features)
            seconds, waited = time.perf_counter() - began, features.waited() - waited
            share = {
                "seconds": seconds / len(active),
                "waited": waited / len(active),
            }  # of the pass, for each head
            for head, figure in zip(active, self._evaluate(active, figures, features), strict=True):
                if not self._keep(head, figure, **share):
                    heads.remove(head)
            self._report(epoch, active, seconds)
            heads = self._finish(heads)
            if not heads:
                return

    def _epoch(self, heads: list[_Head], features: _Features) -> list[dict[str, float]]:
        for head in heads:
            head.stepper.begin()
        for block, labels, images in features.epoch():
            for head in heads:
                head.stepper.train(block, labels, images=images)
            self.advance(images)
        return [head.stepper.end() for head in heads]

    def _evaluate(
        self, heads: list[_Head], figures: list[dict[str, float]], features: _Features
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

    def _keep(
        self, head: _Head, figures: dict[str, float], *, seconds: float, waited: float
    ) -> bool:
        try:
            head.keep(figures, seconds=seconds, waited=waited)
        except InputError as error:
            self.failures.append(f"{head.job.out}: {error}")
            return False
        return True

    def _finish(self, heads: list[_Head]) -> list[_Head]:
        """Finishes the runs that have no epoch left; returns the others."""
        for head in heads:
            if head.over:
                head.finish()
                self.on_finished(head.job)
        return [head for head in heads if not head.over]

    def _report(self, epoch: int, heads: list[_Head], seconds: float) -> None:
        if not self.console.is_terminal:  # there is no bar
            rate = f"{self.jobs[0].images / seconds:.0f} images/s"
            self.console.out(
                f"epoch {epoch + 1}/{self.epochs}  {len(heads)} heads  {rate}", highlight=False
            )
