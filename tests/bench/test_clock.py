"""The clock of a worker, what it sees of processes, and the evidence that it gathers."""

import itertools
import subprocess
import sys
import time
import types

import numpy as np
import pytest

from sentiflow.bench.worker import clock
from sentiflow.bench.worker.evidence import gather_evidence


def test_a_window_ends_with_a_batch_and_is_divided_by_its_own_length(monkeypatch):
    seconds = itertools.count(0, 3)
    monkeypatch.setattr(time, "perf_counter", lambda: next(seconds))
    batches = itertools.repeat((None, np.zeros(7)))
    assert clock.time_window(batches, 10.0) == (28, 12)


def test_median_spread_and_processor_time(monkeypatch):
    # The first does not count.
    answers = iter([(1, 1.0), (100, 1.0), (110, 1.0), (500, 1.0), (90, 1.0), (200, 2.0)])
    monkeypatch.setattr(clock, "time_window", lambda batches, seconds: next(answers))

    class Usage:
        seconds = iter([5.0, 15.0])

        def cpu_seconds(self):
            return next(self.seconds)

    timed = clock.measure(iter(()), 10.0, 5, Usage())
    assert timed["windows"] == [100, 110, 500, 90, 100]
    assert timed["images_per_second"] == 100
    assert timed["spread"] == pytest.approx(4.1)
    assert timed["cpu_seconds_per_image"] == pytest.approx(10 / 1000)


def test_waiting_is_counted_in_the_windows_that_count(monkeypatch):
    waited = iter([3.0, 7.0])
    monkeypatch.setattr(clock, "time_window", lambda batches, seconds: (100, 2.0))
    usage = types.SimpleNamespace(cpu_seconds=lambda: 0.0)
    timed = clock.measure(iter(()), 10.0, 5, usage, waited=lambda: next(waited))
    assert timed["waiting_share"] == pytest.approx(0.4)
    assert timed["images_per_second"] == 50


def test_evidence_counts_an_epoch_and_compares_the_next():
    def images(*values):
        return np.array(values, np.uint8)[:, None] * np.ones((1, 4), np.uint8), np.array(values)

    stream = iter([images(3, 1), images(4, 4), images(3, 9), images(0, 0)])
    evidence = gather_evidence(images(1, 2), stream, steps=3)
    assert evidence["images"][:, 0].tolist() == [1, 2, 3, 1]
    assert evidence["labels_seen"].tolist() == [1, 2, 3, 1, 4, 4]
    assert evidence["sizes"].tolist() == [2, 2, 2]
    assert evidence["distinct"] == 4
    assert evidence["repeated"] == 0.5


def test_usage_sees_memory_and_processor_time_of_children():
    usage = clock.Usage()
    usage.sample()
    before = usage.peak_total, usage.peak_anonymous
    child = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "data = bytes(range(256)) * 2**18; sum(range(10**7)); print(flush=True); input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with child:
        child.stdout.readline()
        own = usage.cpu_seconds()
        usage.follow_children()
        usage.sample()
        assert usage.cpu_seconds() > own + 0.05
        child.communicate(b"\n")
    assert usage.peak_total > before[0] + 64
    assert usage.peak_anonymous is None or before[1] + 64 < usage.peak_anonymous < usage.peak_total
