"""What runs in lockstep share, the features of the images, and what each has alone, its head."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import tensorflow as tf
from rich.console import Console

from ..networks import network
from ..networks.device import OnDevice
from ..networks.heads import Branches
from ..scores.split import evaluation_batches
from . import loop, recipe, stepping
from .feed import feed, target_table
from .groups import Job
from .progress import Progress, epoch_row
from .record import Record
from .start import open_run
from .targets import are_plain

# Features of the held-out split, which never change, are kept if they take no more than so many
# bytes.
KEPT_BYTES = 2**30


class Head:
    """One run of a group: its network, and the part of it that is trained."""

    def __init__(self, job: Job, shared: network.Shared) -> None:
        self.job = job
        self.network, self.history = open_run(job.out, job.record, shared)
        if job.record.train.standardise:
            shared.statistics = self.network.get_layer(network.STANDARDISED).get_weights()
        table = None if are_plain(job.record.train) else target_table(job.record)
        self.stepper = stepping.stepper(self._compiled(), job.batch_size, table)

    def _compiled(self) -> keras.Model:
        head = network.head_of(self.network)
        if len(head.outputs) > 1:
            head = Branches(head)
        # Steps are called one by one.
        settings = dataclasses.replace(self.job.record.train, steps_per_execution=1)
        recipe.compile_with(self.network.optimizer, head, settings)
        return head

    @property
    def over(self) -> bool:
        """Whether no epoch is left to train."""
        return loop.is_over(self.job.record, self.history)

    def keep(self, logs: dict[str, float], *, seconds: float, waited: float) -> None:
        """Adds an epoch to the history and saves it; arguments as of `progress.epoch_row`.

        Raises:
            InputError: the loss is not a number.
        """
        images = self.job.images // self.job.batch_size * self.job.batch_size
        epoch = len(self.history) + 1
        row = epoch_row(epoch, logs, self.network, images=images, seconds=seconds, waited=waited)
        loop.keep_row(self.job.out, self.job.record, self.network, self.history, row)

    def finish(self) -> None:
        """Evaluates the run and marks it as finished."""
        quiet = Progress(Console(quiet=True))
        loop.finish(self.job.out, self.job.record, self.network, self.history, quiet)


class Features:
    """What the shared backbone makes of the images: the one stream for all heads of a group.

    Args:
        record: of the stream: its `batch_size` is that of the blocks, its `epochs` the most of any
            head.
        model: one of the group's networks.
        epoch: the epoch, from 0, that comes next.
    """

    def __init__(self, record: Record, model: keras.Model, *, epoch: int) -> None:
        self.record = record
        backbone = network.features_of(model)
        on_device = record.inputs.cache == "device"
        self._forward = stepping.forward(
            OnDevice(backbone, record.data, record.inputs) if on_device else backbone
        )
        batches, self.waited = feed(record, epoch=epoch)
        self._stream = iter(batches)
        split = record.held_out_split
        self._held_out = evaluation_batches(record, split=split, cache=record.inputs.cache)
        numbers = math.prod(backbone.output_shape[1:])
        image_bytes = numbers * tf.as_dtype(backbone.compute_dtype).size
        self._kept: list[tuple[Any, Any]] | None = None
        if image_bytes * record.dataset.splits[split] <= KEPT_BYTES:
            self._kept = list(self.held_out())

    def epoch(self) -> Iterator[tuple[Any, Any, int]]:
        """The next epoch's blocks: features, labels, and how many there are before the padding."""
        images = self.record.dataset.splits["train"]
        block = self.record.inputs.batch_size
        for first in range(0, images, block):
            batch, labels, _ = next(self._stream)
            yield self._forward(batch), labels, min(block, images - first)

    def held_out(self) -> Iterable[tuple[Any, Any]]:
        """The held-out split: features and labels."""
        if self._kept is not None:
            return self._kept
        batches = self._held_out.as_numpy_iterator()
        return ((self._forward(batch), labels) for batch, labels in batches)
