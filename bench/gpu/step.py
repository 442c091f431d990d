"""The trainer's own step on the accelerator.

`python -m bench.gpu.step OUT WORK SCALE BATCH_SIZE|BATCH_SIZE-switches`.

First one constant batch, its view made, which is the ceiling; then what each tier and storage
feeds. With `-switches`, in their stead, what could be done otherwise, one by one.
"""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

import dataclasses
from collections.abc import Callable, Generator, Iterable
from typing import Any

from sentiflow import pipeline
from sentiflow.model.networks import precision
from sentiflow.model.training import feed, start
from sentiflow.model.training.record import Record

from ..ours import profile, step
from ..worker.clock import Usage
from . import rows
from .context import Context, read_context
from .rows import WINDOWS, Measurement

CONSTANT = "constant"
STEPS_AT_ONCE = 8
Train = Callable[[Iterable[Any], step.Tick], None]
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
    train = step.driver(model, record, on_device=False)
    ceiling = time_steps(context, CONSTANT, record, train, step.constant_batches(record))
    for number, (tier, storage) in enumerate(FEEDS):
        record = make_record(context, batch_size, tier, storage)
        if number == 0 or tier == "device":  # all streamed tiers are trained on by one program
            train = step.driver(model, record, on_device=feed.looks_on_device(record))
        batches, waited = feed.feed(record, epoch=0)
        time_steps(context, f"{tier}, {storage}", record, train, batches, waited, ceiling=ceiling)
        _close(batches)
    explain(context, record, train)


def measure_switches(context: Context, batch_size: int) -> None:
    """What could be done otherwise, one by one.

    Not to fold BatchNormalization; to leave all to `fit`, in one program for a step; and to make
    several steps in one.
    """
    plain = make_record(context, batch_size, "memory", "raw")
    model = start.build_model(plain, plain.train)

    def time_constant(train: Train, **options: Any) -> float:
        batches = step.constant_batches(plain)
        return time_steps(context, CONSTANT, plain, train, batches, part="switches", **options)

    ceiling = time_constant(step.driver(model, plain, on_device=False))
    unfolded = step.driver(model, plain, on_device=False, is_folded=False)
    time_constant(unfolded, variant="not folded", ceiling=ceiling)
    time_constant(step.by_fit(model), variant="not folded, by fit", ceiling=ceiling)
    at_once: dict[str, Any] = {"variant": f"{STEPS_AT_ONCE} steps a call", "ceiling": ceiling}
    record = make_record(context, batch_size, "memory", "raw", steps_per_execution=STEPS_AT_ONCE)
    time_constant(step.driver(model, record, on_device=False), **at_once)
    record = make_record(context, batch_size, "device", "raw", steps_per_execution=STEPS_AT_ONCE)
    train = step.driver(model, record, on_device=True)
    batches, waited = feed.feed(record, epoch=0)
    name = "device, raw"
    time_steps(context, name, record, train, batches, waited, part="switches", **at_once)
    _close(batches)


def make_record(
    context: Context, batch_size: int, tier: Any, storage: str, *, steps_per_execution: int = 1
) -> Record:
    """What a run of that tier and storage is, without an end."""
    scale = context.scale
    dataset = f"emotionroi/{storage}{scale.image_size}"
    endless = dataclasses.replace(
        context.train_settings(),
        dataset=dataset,
        data_dir=context.data_dir,
        epochs=step.ENDLESS,
        steps_per_execution=steps_per_execution,
    )
    inputs = pipeline.Settings(image_size=scale.image_size, batch_size=batch_size, cache=tier)
    return start.make_record(endless, inputs)


def time_steps(
    context: Context,
    name: str,
    record: Record,
    train: Train,
    batches: Any,
    waited: step.Waited = lambda: 0.0,
    *,
    part: str = "step",
    variant: str = "",
    ceiling: float | None = None,
) -> float:
    """Trains for the windows of a measurement; returns images/s."""
    batch_size = record.inputs.batch_size
    with Usage() as usage:
        windows = step.Windows(context.scale.seconds / WINDOWS, WINDOWS, waited, usage)
        train(batches, windows.tick)
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


def _close(batches: Iterable[Any]) -> None:
    """Ends a stream, whose thread would go on to take batches ahead."""
    if isinstance(batches, Generator):
        batches.close()


def explain(context: Context, record: Record, train: Train) -> None:
    """What the accelerator does in the steps of a tier, and what is left to gain, in words."""
    batches, _ = feed.feed(record, epoch=0)
    folder = context.out / f"profile-{record.inputs.batch_size}"
    summary = profile.trace(lambda tick: train(batches, tick), folder)
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
