"""What runs in lockstep share, the features of the images, and what each has alone, its head."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import keras
import tensorflow as tf

from ..networks import folding, network
from ..networks.device import OnDevice
from ..networks.heads import Branches
from ..settings import TrainSettings
from . import ending, parallel, recipe, stepping
from .feed import feed, held_out_batches, looks_on_device, steps_per_epoch, target_table
from .groups import Job
from .history import EpochRow
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
        head = trainable_head(self.network, job.record.train)
        self.stepper = stepping.stepper(head, job.batch_size, table)

    @property
    def over(self) -> bool:
        """Whether no epoch is left to train."""
        return ending.is_over(self.job.record, self.history)

    def keep(self, logs: dict[str, float], *, seconds: float, waited: float) -> EpochRow:
        """Adds an epoch to the history and saves it; arguments as of `progress.epoch_row`.

        Raises:
            InputError: the loss is not a number.
        """
        images = self.job.images // self.job.batch_size * self.job.batch_size
        epoch = len(self.history) + 1
        row = epoch_row(epoch, logs, self.network, images=images, seconds=seconds, waited=waited)
        ending.keep_row(self.job.out, self.job.record, self.network, self.history, row)
        return row

    def finish(self, progress: Progress) -> None:
        """Evaluates the run and marks it as finished."""
        ending.finish(self.job.out, self.job.record, self.network, self.history, progress)


def trainable_head(model: keras.Model, settings: TrainSettings) -> keras.Model:
    """What follows the backbone of a compiled network, compiled, with the network's optimiser."""
    head = network.head_of(model)
    if len(head.outputs) > 1:
        head = Branches(head)
    # `Stepper` sees to what is done in one call.
    settings = dataclasses.replace(settings, steps_per_execution=1)
    recipe.compile_with(model.optimizer, head, settings)
    return head


def backbone_forward(
    model: keras.Model, record: Record, *, on_device: bool, is_folded: bool = True
) -> Callable[[Sequence[Any]], Any]:
    """From batches of a run's stream to features, see `stepping.forward`.

    Args:
        model: a network with a frozen backbone.
        record: of the stream; `steps_per_execution` batches are given in one call.
        on_device: whether the stream leaves the view to the backbone's program.
        is_folded: whether BatchNormalization is folded into the convolutions before it, and these
            are held in the format that they compute in.
    """
    backbone = network.backbone_of(model)
    if is_folded:
        backbone = folding.fold(backbone, dtype=record.environment.precision)
    if on_device:
        backbone = OnDevice(backbone, record.data, record.inputs)
    return stepping.forward(backbone, at_once=record.train.steps_per_execution)


class Blocks:
    """Features of a stream, as many batches at once as one call of the accelerator takes."""

    def __init__(self, forward: Callable[[Sequence[Any]], Any], record: Record) -> None:
        """Takes what `backbone_forward` gives for that record."""
        self.forward = forward
        self._at_once = record.train.steps_per_execution

    def of(self, stream: Iterator[Any], steps: int | None = None) -> Iterator[tuple[Any, Any, int]]:
        """The features and labels of the next batches, and how many batches each pair is of.

        Args:
            stream: of batches, all of one size.
            steps: batches to take; None: all that there are.
        """
        limited = itertools.islice(stream, steps)
        while batches := list(itertools.islice(limited, self._at_once)):
            images, labels, *_ = zip(*batches, strict=True)
            yield self.forward(images), self._joined(labels), len(batches)

    def _joined(self, labels: Sequence[Any]) -> Any:
        """One behind the other; where there are fewer than usual, the last stand for the rest."""
        if self._at_once == 1:
            return labels[0]
        return keras.ops.concatenate([*labels, *[labels[-1]] * (self._at_once - len(labels))])


class Features:
    """What the shared backbone makes of the images: the one stream for all heads of a group.

    Args:
        record: of the stream: its `batch_size` is that of the blocks, its `epochs` the most of any
            head. All blocks have one size, so that one program serves them.
        model: one of the group's networks.
        epoch: the epoch, from 0, that comes next.

    Attributes:
        images: in an epoch.
        waited: returns the seconds that were spent waiting for input so far.
    """

    def __init__(self, record: Record, model: keras.Model, *, epoch: int) -> None:
        on_device = looks_on_device(record)
        self._blocks = Blocks(backbone_forward(model, record, on_device=on_device), record)
        batches, self.waited = feed(record, epoch=epoch)
        self._stream = iter(batches)
        self._steps = steps_per_epoch(record)
        self._block = record.inputs.batch_size
        self.images = min(self._steps * self._block, record.dataset.splits["train"])
        self._held_out = held_out_batches(record, last_batch="pad")
        features = model.get_layer(network.FEATURES).output
        image_bytes = math.prod(features.shape[1:]) * tf.as_dtype(features.dtype).size
        self._kept: list[tuple[Any, Any]] | None = None
        if image_bytes * record.dataset.splits[record.held_out_split] <= KEPT_BYTES:
            self._kept = list(self.held_out())

    def epoch(self) -> Iterator[tuple[Any, Any, int]]:
        """The next epoch's features and labels, and how many there are before the padding.

        They come in blocks, or so many at once as one call of the accelerator takes.
        """
        left = self.images
        for features, labels, count in self._blocks.of(self._stream, self._steps):
            images = min(count * self._block, left)
            left -= images
            yield features, labels, images

    def held_out(self) -> Iterable[tuple[Any, Any]]:
        """The held-out split: features and labels."""
        if self._kept is not None:
            return self._kept
        return map(self._without_padding, self._held_out.as_numpy_iterator())

    def _without_padding(self, batch: tuple[Any, Any, Any]) -> tuple[Any, Any]:
        images, labels, mask = parallel.placing()(batch) if parallel.is_on() else batch
        features = parallel.everywhere(self._blocks.forward([images]))
        count = int(parallel.everywhere(mask).sum())
        return features[:count], parallel.everywhere(labels)[:count]
