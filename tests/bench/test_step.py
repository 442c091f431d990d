"""The real step: its windows, what feeds it, and its profile."""

import time
import types

import numpy as np
import pytest
import tensorflow as tf

from sentiflow import pipeline
from sentiflow.bench.ours import profile, step


def test_windows_of_the_real_step_leave_out_compilation_and_what_was_made_ahead(monkeypatch):
    # The first step compiles for 60 s; then a step takes a second, of which it waits a quarter.
    steps = 1
    monkeypatch.setattr(time, "perf_counter", lambda: 60.0 + steps)
    usage = types.SimpleNamespace(cpu_seconds=lambda: 1.5 * steps)
    windows = step.Windows(2.0, 5, lambda: steps / 4, usage)
    waited_for = []

    def wait():
        waited_for.append(steps)

    while not windows.tick(steps, wait):
        steps += 1
    # One step that compiles, a window that does not count, and five that do.
    assert waited_for == [1, 3, 5, 7, 9, 11, 13]
    monkeypatch.undo()
    result = windows.result(batch_size=8)
    assert result["windows"] == [8.0] * 5
    assert result["waiting_share"] == pytest.approx(0.25)
    assert result["cpu_seconds_per_image"] == pytest.approx(15 / 80)


def test_a_generator_feeds_the_step_and_its_waiting_is_timed(loaders):
    task = types.SimpleNamespace(tier="-", image_size=4, batch_size=3)
    job = types.SimpleNamespace(function="loaders:endless", task=task)
    record = types.SimpleNamespace(inputs=pipeline.Settings(image_size=4, batch_size=3))
    stream, waited = step.feed(job, record)
    assert stream.cardinality() == tf.data.INFINITE_CARDINALITY
    for number, (images, labels) in enumerate(stream.take(4)):
        assert (images.shape, images.dtype) == ((3, 4, 4, 3), tf.float32)
        assert np.unique(images) == np.unique(labels) == number
    assert waited() > 0


def test_a_profile_is_reduced_to_idle_time_and_kinds():
    def event(name, start, duration, **stats):
        times = {"start_ns": start, "duration_ns": duration}
        return types.SimpleNamespace(name=name, stats=stats.items(), **times)

    def line(name, *events):
        return types.SimpleNamespace(name=name, events=events)

    compute = line(
        "Stream #13(Compute)",
        event("k", 0, 40, hlo_op="fusion.12"),
        event("k", 50, 20, hlo_op="fusion.7"),
    )
    copies = line("Stream #14(MemcpyH2D)", event("MemcpyH2D", 60, 40))
    steps = line("Steps", event("1", 0, 200))
    python = line("python", event("call", 0, 500, hlo_op="x"))
    device = types.SimpleNamespace(name="/device:GPU:0", lines=[compute, copies, steps])
    host = types.SimpleNamespace(name="/host:CPU", lines=[python])
    traced = types.SimpleNamespace(planes=[device, host])
    summary = profile.summarise(list(profile.operations(traced)))
    assert summary["seconds"] == pytest.approx(100e-9)
    assert summary["busy"] == pytest.approx(0.9)  # 0-40, 50-100
    assert summary["operations"] == [
        {"kind": "fusion", "share": 0.6, "calls": 2},
        {"kind": "MemcpyH2D", "share": 0.4, "calls": 1},
    ]
    on_host = profile.operations(types.SimpleNamespace(planes=[host]))
    assert [operation.kind for operation in on_host] == ["x"]
    assert profile.summarise([])["busy"] == 0.0
