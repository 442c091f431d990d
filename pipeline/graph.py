"""The input path as one visible list, from step numbers to batches."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from typing import Any

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import numpy as np
import tensorflow as tf

from sentiflow import startup

from . import bank, draws, intervals, pixels
from .records import Records
from .settings import InputError, Settings, StreamSettings, steps
from .view import sample_parameters, see, view


def stages(
    records: Records,
    everything: Records | None,
    settings: StreamSettings,
    *,
    training: bool,
    epochs: int,
    epoch: int,
    step: int,
    shard: tuple[int, int],
) -> dict[str, tf.data.Dataset]:
    """The stream after each of its stages, in order.

    Args:
        records: of the split.
        everything: the records of all splits, whose pixels the tier `device` holds; None for other
            tiers.
        settings: of the stream.
        training: as in `pipeline.load`, like all further arguments.
        epochs: the same.
        epoch: the same.
        step: the same.
        shard: the same.
    """
    plan = _Plan(records, settings, training=training, shard=shard)
    if not 0 <= epoch <= epochs or not 0 <= step <= plan.steps:
        rule = f"(epoch, step) must lie within {epochs} epochs of {plan.steps} steps"
        raise InputError(f"{rule}. Received: {(epoch, step)}")

    ds = tf.data.Dataset.range(epoch * plan.steps + step, epochs * plan.steps)
    after = {"plan": _map(ds, plan)}  # step -> image numbers, labels and mask, draws
    if everything is not None:
        places = _places(everything, records, settings)
        after["places"] = _map(
            after["plan"], lambda i, rest, u: (places(i, u), *rest)
        )  # -> what to look at, and how
    else:
        cut = _is_cut(records, settings)
        mirrored = cut and not (
            settings.rotation or settings.zoom
        )  # else the view mirrors at no cost
        rest_of_view = dataclasses.replace(settings, flip=settings.flip and not mirrored)
        read, name = reader(records, settings, mirrored=mirrored), "cut" if cut else "decode"
        after[name] = _map(
            after["plan"], lambda i, rest, u: (read(i, u), rest, u), cores()
        )  # -> uint8 windows
        after["view"] = _map(
            after[name], lambda image, rest, u: (_see(image, u, rest_of_view), *rest), cores()
        )
    options = tf.data.Options()
    options.experimental_optimization.apply_default_optimizations = (
        False  # they would copy the whole bank
    )
    options.autotune.enabled = (
        False  # there is nothing to tune, and it reads the clock at every operation
    )
    return {name: ds.with_options(options) for name, ds in after.items()}


def _map(
    ds: tf.data.Dataset, function: Callable[..., Any], calls: int | None = None
) -> tf.data.Dataset:
    """`ds.map` without AutoGraph, which takes seconds to rewrite functions that have nothing to rewrite."""
    return ds.map(tf.autograph.experimental.do_not_convert(function), calls)


def see_places(
    pixels: Any, places: dict[str, Any], *, ops: Any, image_size: int, preprocess: str | None
) -> Any:
    """The images that a batch of the tier `device` stands for, from pixels that the device holds.

    Args:
        pixels: uint8 [pixels, 3], what `device_pixels` gave.
        places: the batch: `first`, int32 [b], the window's first pixel; `width`, int32 [b], from
            one row of it to the next; and the parameters of the view.
        ops: `keras.ops`, to work inside a model on any backend.
        image_size: side of the window in pixels.
        preprocess: as in `Settings`.

    Returns:
        float32 [b, s, s, 3], or uint8 without preprocessing: what the other tiers give.
    """
    parameters = {name: value for name, value in places.items() if name not in ("first", "width")}
    steps = np.arange(image_size, dtype=np.int32)
    rows = places["first"][:, None] + steps * places["width"][:, None]
    windows = ops.take(pixels, rows[:, :, None] + steps, axis=0)
    return see(windows, ops=ops, preprocess=preprocess, **parameters)


def read_image(path: str | os.PathLike[str], settings: Settings) -> np.ndarray:
    """A picture file as a stream with `training=False` gives it: float32 [s, s, 3], or uint8 without preprocessing.

    Raises:
        InputError: the file cannot be read or decoded.
    """
    startup.leave_accelerator_to_jax()
    return view(pixels.read_image(path, settings)[None], preprocess=settings.preprocess)[0].numpy()


def timed(ds: tf.data.Dataset) -> tuple[tf.data.Dataset, tf.Variable]:
    """The same batches, and a variable in which the seconds add up that the consumer waited for them.

    The two clocks are stages of the graph on either side of the batch's arrival, in the consumer's
    own thread, so they cost no Python and count neither the consumer's work nor what is prepared
    ahead of it.
    """
    waited = tf.Variable(0.0, dtype=tf.float64, trainable=False)
    clock = tf.data.Dataset.range(np.iinfo(np.int64).max).map(lambda _: tf.timestamp())

    def charge(asked: tf.Tensor, element: Any) -> Any:
        with tf.control_dependencies(tf.nest.flatten(element)):
            arrived = tf.timestamp()
        with tf.control_dependencies([waited.assign_add(arrived - asked)]):
            return tf.nest.map_structure(tf.identity, element)

    counted = tf.data.Dataset.zip((clock, ds)).map(charge)
    options = tf.data.Options()
    options.experimental_optimization.inject_prefetch = (
        False  # it would wait in the consumer's stead
    )
    return counted.apply(tf.data.experimental.assert_cardinality(ds.cardinality())).with_options(
        options
    ), waited


class _Plan:
    """Which images a step holds: a stateless function of the step's number in the stream."""

    def __init__(
        self, records: Records, settings: StreamSettings, *, training: bool, shard: tuple[int, int]
    ) -> None:
        index, count = shard
        if not 0 <= index < count:
            raise InputError(
                f"shard must be (index, count) with 0 <= index < count. Received: {shard}"
            )
        self._settings = settings
        self._training = training
        self._shard = shard
        self._images = len(records)
        self._labels = tf.constant(records.label)
        own = len(range(index, self._images, count))
        keep = settings.last_batch == "keep"
        self.steps = steps(
            own if keep else self._images,
            batch_size=settings.batch_size,
            last_batch=settings.last_batch,
            hosts=1 if keep else count,
        )
        if not self.steps:
            raise InputError(
                f"{own} images do not fill a batch of {settings.batch_size}; lower batch_size or keep the last batch."
            )
        self._own = own

    def __call__(self, number: tf.Tensor) -> tuple[tf.Tensor, tuple[tf.Tensor, ...], tf.Tensor]:
        """Image numbers int64 [b]; labels int32 [b] and the mask if any; draws float64 [b, 8]."""
        size, (index, count) = self._settings.batch_size, self._shard
        epoch, step = number // self.steps, number % self.steps
        places = step * size + tf.range(size, dtype=tf.int64)
        present = places < self._own
        if self._settings.last_batch == "keep" and self._own % size:
            places = tf.boolean_mask(places, present)
        positions = tf.minimum(places, self._own - 1) * count + index
        images = positions
        if self._training:
            images = draws.order(
                positions, seed=self._settings.seed, epoch=epoch, images=self._images
            )
        rest: tuple[tf.Tensor, ...] = (tf.gather(self._labels, images),)
        if self._settings.last_batch == "pad":
            rest += (tf.cast(present, tf.float32),)
        return images, rest, draws.uniforms(positions, seed=self._settings.seed, epoch=epoch)


def _places(
    everything: Records, records: Records, settings: StreamSettings
) -> Callable[..., dict[str, tf.Tensor]]:
    """(images int64 [b], draws float64 [b, 8]) -> what `see_places` needs to know of a batch."""
    layout = bank.device_layout(everything, records, settings)

    def places(images: tf.Tensor, u: tf.Tensor) -> dict[str, tf.Tensor]:
        first, width = layout.places(images, u[:, :2], settings)
        spots = {"first": tf.cast(first // 3, tf.int32), "width": tf.cast(width, tf.int32)}
        return spots | sample_parameters(u, settings)

    return places


def _see(windows: tf.Tensor, u: tf.Tensor, settings: StreamSettings) -> tf.Tensor:
    return view(windows, preprocess=settings.preprocess, **sample_parameters(u, settings))


def reader(
    records: Records, settings: StreamSettings, *, mirrored: bool = False
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """(images int64 [b], draws float64 [b, 8]) -> uint8 windows [b, s, s, 3], by storage and tier.

    Windows that are cut from pixels can be `mirrored` on the way as the draws say.
    """
    if not _is_cut(records, settings):
        return (
            intervals.windows(records, settings)
            if records.storage == "jpeg"
            else _originals(records, settings)
        )
    source = (
        bank.ram_bank(records, settings)
        if settings.cache == "memory"
        else bank.mapped_bank(records)
    )

    def cut(images: tf.Tensor, u: tf.Tensor) -> tf.Tensor:
        flip = sample_parameters(u, settings).get("flip") if mirrored else None
        return source.windows(images, u[:, :2], settings, flip=flip)

    return cut


def _is_cut(records: Records, settings: StreamSettings) -> bool:
    """Whether windows are cut from pixels, and not decoded from files."""
    return settings.cache == "memory" or records.storage == "raw"


def _originals(
    records: Records, settings: StreamSettings
) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    file, size = bank.mapped_file(records), settings.image_size

    def decode(images: tf.Tensor, u: tf.Tensor) -> tf.Tensor:
        # One after the other: it is batches that run side by side.
        return tf.map_fn(
            lambda image: pixels.decode_window(file(image[0]), image[1], settings),
            (images, u[:, :2]),
            fn_output_signature=tf.TensorSpec((size, size, 3), tf.uint8),
            parallel_iterations=1,
        )

    return decode


def cores() -> int:
    """Processors that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS
        return os.cpu_count() or 1
