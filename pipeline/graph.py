"""The input path as one visible list, from step numbers to batches."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import tensorflow as tf

from sentiflow.machine import cores

from . import readahead, sources
from .host_view import view
from .plan import Plan
from .records import Records
from .settings import StreamSettings
from .view import sample_parameters


def stages(
    records: Records,
    all_records: Records,
    settings: StreamSettings,
    *,
    training: bool,
    epochs: int,
    epoch: int,
    step: int,
    shard: tuple[int, int],
    viewed: bool,
) -> dict[str, tf.data.Dataset]:
    """The way of an image: the stream after each of its stages, in order.

    Args:
        records: of the split.
        all_records: of all splits, whose pixels the tier `device` holds.
        settings: of the stream.
        training: as in `pipeline.load`, like all further arguments.
        epochs: the same.
        epoch: the same.
        step: the same.
        shard: the same.
        viewed: the same.
    """
    plan = Plan(records, settings, training=training, shard=shard)
    source = sources.choose(records, all_records, settings)
    # What is mirrored while it is cut is not mirrored again.
    unflipped = dataclasses.replace(settings, flip=settings.flip and not source.flips)

    def cut(images: tf.Tensor, targets: Any, draws: tf.Tensor) -> tuple[Any, ...]:
        return source.windows(images, draws), targets, draws

    def look(windows: tf.Tensor, targets: Any, draws: tf.Tensor) -> tuple[Any, ...]:
        parameters = sample_parameters(draws, unflipped)
        return view(windows, preprocess=settings.preprocess, **parameters), *targets

    def tell(images: tf.Tensor, targets: Any, draws: tf.Tensor) -> tuple[Any, ...]:
        windows = source.windows(images, draws)
        batch = windows if source.is_on_device else {"windows": windows}
        return batch | sample_parameters(draws, unflipped), *targets

    # Step numbers, int64 scalars: a stream that goes on somewhere is one that begins there.
    numbers = plan.numbers(epochs=epochs, epoch=epoch, step=step)
    ds = tf.data.Dataset.range(numbers.start, numbers.stop)

    after: dict[str, tf.data.Dataset] = {}
    # -> images int64 [b]; labels int32 [b] and, if padded, mask float32 [b]; draws float64 [b, 8]
    if settings.cache == "none" and readahead.IS_POSSIBLE:
        ahead = readahead.ReadAhead(records, settings)
        after["plan"] = ds = _map(ds, lambda number: ahead.tell(number, plan(number)))
        ds = ds.prefetch(ahead.depth)
    else:
        after["plan"] = ds = _map(ds, plan)
    if source.is_on_device:
        # -> what the device is told: where its windows lie and how to look at them; labels and mask
        after["windows"] = _map(ds, tell)
    elif not viewed:
        # -> windows uint8 [b, s, s, 3], and how to look at them; labels and mask
        after["windows"] = _map(ds, tell, cores())
    else:
        # -> windows uint8 [b, s, s, 3]; labels and mask; draws
        after["windows"] = ds = _map(ds, cut, cores())
        # -> float32 [b, s, s, 3], or uint8 without preprocessing; labels and mask
        after["view"] = _map(ds, look, cores())
    return {name: stage.with_options(_options()) for name, stage in after.items()}


def _map(
    ds: tf.data.Dataset, function: Callable[..., Any], calls: int | None = None
) -> tf.data.Dataset:
    """`ds.map` without AutoGraph, which takes seconds to rewrite what has nothing to rewrite."""
    return ds.map(tf.autograph.experimental.do_not_convert(function), calls)


def _options() -> tf.data.Options:
    options = tf.data.Options()
    # They would copy all pixels that a source holds.
    options.experimental_optimization.apply_default_optimizations = False
    # There is nothing to tune, and it reads the clock at every operation.
    options.autotune.enabled = False
    return options
