"""The trainer's own step on the accelerator.

`python -m bench.gpu.step OUT WORK SCALE BATCH_SIZE|BATCH_SIZE-switches`.

First one constant batch, which is the ceiling; then what each tier and storage feeds. All tiers but
`device` feed the same compiled step, so it is compiled once. With `-switches`, in their stead, what
could be done otherwise, one by one.
"""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

import dataclasses
import gc
import itertools
from collections.abc import Generator, Iterable, Iterator
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np

from sentiflow import pipeline
from sentiflow.model.networks import folding, network, precision
from sentiflow.model.training import epoch, feed, start
from sentiflow.model.training.record import Record

from ..ours import profile, step
from ..worker.clock import Usage
from . import rows
from .context import Context, read_context
from .rows import WINDOWS, Measurement

CONSTANT = "constant"
# Tier and storage. `device` is the last: what it needs of the accelerator's memory would count for
# the others too.
FEEDS = (("memory", "raw"), ("none", "raw"), ("none", "jpeg"), ("device", "raw"))


def main() -> None:
    """Measures the step at one batch size."""
    context = read_context()
    size, _, switches = context.choice.partition("-")
    measure = measure_switches if switches else measure_feeds
    with precision.policy(precision.resolve("auto")):
        measure(context, int(size))


def measure_feeds(context: Context, batch_size: int) -> None:
    """The ceiling, then every tier and storage.

    At the end, what is left of the time in the one that should be the fastest.
    """
    record = make_record(context, batch_size, "memory", "raw")
    model = start.build_model(record, record.train)
    ceiling = time_fit(context, CONSTANT, record, model, step.constant_batches(record))
    for tier, storage in FEEDS:
        record = make_record(context, batch_size, tier, storage)
        fed = feed.fed_by(model, record)
        batches, waited = feed.feed(record, epoch=0)
        time_fit(context, f"{tier}, {storage}", record, fed, batches, waited, ceiling=ceiling)
        _close(batches)
    explain(context, record, fed)


def measure_switches(context: Context, batch_size: int) -> None:
    """What could be done otherwise, one by one.

    Not to wait for a step's loss, to fold BatchNormalization, and to compile a whole epoch.
    """
    plain = make_record(context, batch_size, "memory", "raw")
    model = start.build_model(plain, plain.train)

    def time_constant(model: keras.Model, **options: Any) -> float:
        batches = step.constant_batches(plain)
        return time_fit(context, CONSTANT, plain, model, batches, part="switches", **options)

    ceiling = time_constant(model)
    time_constant(model, variant="losses not waited for", asynchronous=True, ceiling=ceiling)
    folded = build_folded(plain)
    time_constant(folded, variant="folded", ceiling=ceiling)
    on_device = make_record(context, batch_size, "device", "raw")
    for switched, variant, ops in (
        (folded, "folded, compiled epoch", keras.ops),
        (model, "compiled epoch", keras.ops),
        (folded, "folded, compiled epoch, gathers unchecked", unchecked_ops()),
    ):
        time_epochs(context, on_device, switched, variant=variant, ceiling=ceiling, ops=ops)
        gc.collect()  # its pixels make room for the next


def make_record(context: Context, batch_size: int, tier: Any, storage: str) -> Record:
    """What a run of that tier and storage is, without an end."""
    scale = context.scale
    dataset = f"emotionroi/{storage}{scale.image_size}"
    endless = dataclasses.replace(
        context.train_settings(), dataset=dataset, data_dir=context.data_dir, epochs=step.ENDLESS
    )
    inputs = pipeline.Settings(image_size=scale.image_size, batch_size=batch_size, cache=tier)
    return start.make_record(endless, inputs)


def build_folded(record: Record) -> keras.Model:
    """The network of a run, its backbone folded, and held in the format that it computes in."""
    number_format = record.environment.precision
    shared = network.Shared.make(
        record.train, image_size=record.inputs.evaluation().image_size, seed=record.network_seed
    )
    shared = dataclasses.replace(
        shared, backbone=folding.fold(shared.backbone, dtype=number_format)
    )
    return start.build_model(record, record.train, shared)


def time_fit(
    context: Context,
    name: str,
    record: Record,
    model: keras.Model,
    batches: Any,
    waited: step.Waited = lambda: 0.0,
    *,
    part: str = "step",
    variant: str = "",
    ceiling: float | None = None,
    asynchronous: bool = False,
) -> float:
    """Trains by `fit` for the windows of a measurement; returns images/s."""
    batch_size = record.inputs.batch_size
    with Usage() as usage:
        windows = step.Windows(
            context.scale.seconds / WINDOWS, WINDOWS, waited, usage, asynchronous=asynchronous
        )
        model.fit(_until(windows, batches), callbacks=[windows], shuffle=False, verbose=0)
        timed = windows.result(batch_size)
    rate = timed["images_per_second"]
    measured = Measurement(
        part=part,
        name=name,
        batch_size=batch_size,
        variant=variant,
        images_per_second=rate,
        spread=timed["spread"],
        utilisation=rate / (ceiling or rate),
        waiting_share=timed["waiting_share"],
        cpu_seconds_per_image=timed["cpu_seconds_per_image"],
        device_memory_mib=step.device_memory(),
    )
    rows.keep(context.out, measured)
    return float(rate)


def _until(windows: step.Windows, batches: Iterable[Any]) -> Iterator[Any]:
    for batch in batches:
        if windows.over:
            return
        yield batch


def _close(batches: Iterable[Any]) -> None:
    """Ends a stream, whose thread would go on to take batches ahead."""
    if isinstance(batches, Generator):
        batches.close()


def unchecked_ops() -> Any:
    """`keras.ops` whose gathers trust that every index lies within, as those of the view do."""
    ops = SimpleNamespace(**vars(keras.ops))
    # Along the first axis, whatever `axis` says: the view has no other gathers.
    ops.take = lambda table, index, axis: table.at[index].get(mode="promise_in_bounds")
    return ops


def time_epochs(
    context: Context, record: Record, model: keras.Model, *, variant: str, ceiling: float, ops: Any
) -> None:
    """Trains whole epochs of the tier `device` as one program each.

    Drawing their batches counts.
    """
    fed = feed.fed_by(model, record)
    fed.ops = ops
    steps = feed.steps_per_epoch(record)
    batches = feed.training_batches(record, epoch=0).as_numpy_iterator()

    def train_once() -> None:
        stacked = keras.tree.map_structure(_stack, *itertools.islice(batches, steps))
        train_epoch(stacked)

    example = next(iter(feed.training_batches(record, epoch=0).as_numpy_iterator()))
    train_epoch = epoch.compiled_epoch(fed, example)
    seconds = context.scale.seconds
    taken, spread = rows.time_calls(train_once, lambda _: None, seconds=seconds)
    images = steps * record.inputs.batch_size
    measured = Measurement(
        part="switches",
        name="device, raw",
        batch_size=record.inputs.batch_size,
        variant=variant,
        images_per_second=images / taken,
        spread=spread,
        utilisation=images / taken / ceiling,
        device_memory_mib=step.device_memory(),
    )
    rows.keep(context.out, measured)


def _stack(*arrays: np.ndarray) -> np.ndarray:
    return np.stack(arrays)


def explain(context: Context, record: Record, model: keras.Model) -> None:
    """What the accelerator does in the steps of a tier, and what is left to gain, in words."""
    batches, _ = feed.feed(record, epoch=0)
    folder = context.out / f"profile-{record.inputs.batch_size}"
    summary = profile.trace(model, batches, folder)
    _close(batches)
    measured = Measurement(
        part="step",
        name="profile",
        batch_size=record.inputs.batch_size,
        words=tuple(profile.words(summary)),
        seconds=summary["seconds"],
    )
    rows.keep(context.out, measured)


if __name__ == "__main__":
    main()
