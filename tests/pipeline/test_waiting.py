"""Batches taken in advance by a thread."""

import subprocess
import sys
import threading
import time

import pytest

from sentiflow import pipeline


def wait_until(holds):
    deadline = time.monotonic() + 10
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.001)
    assert holds()


def test_the_same_values_in_the_same_order():
    for depth in (2, 3, 4, 100):
        assert list(pipeline.ahead(range(1000), depth=depth)) == list(range(1000))
    assert list(pipeline.ahead(())) == []


def test_no_more_than_depth_are_taken_in_advance():
    taken = []
    batches = pipeline.ahead((taken.append(i) or i for i in range(100)), depth=4)
    assert next(batches) == 0
    wait_until(lambda: len(taken) == 4)
    time.sleep(0.02)
    assert len(taken) == 4
    assert [next(batches) for _ in range(5)] == [1, 2, 3, 4, 5]
    wait_until(lambda: len(taken) == 10)


def test_an_error_comes_after_the_batches_before_it():
    def broken():
        yield 1
        raise OSError("shard 3 is gone")

    batches = pipeline.ahead(broken())
    assert next(batches) == 1
    with pytest.raises(OSError, match="shard 3 is gone"):
        next(batches)


def test_the_thread_ends_with_its_consumer():
    before = set(threading.enumerate())
    batches = pipeline.ahead(iter(int, 1))
    next(batches)
    (thread,) = set(threading.enumerate()) - before
    batches.close()
    thread.join(10)
    assert not thread.is_alive()


def test_the_thread_ends_with_python():
    program = "from sentiflow import pipeline; batches = pipeline.ahead(iter(int, 1)); print(next(batches))"
    outcome = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert (outcome.returncode, outcome.stdout) == (0, "0\n"), outcome.stderr


def test_only_the_wait_for_a_batch_is_counted(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def batches():
        for number in range(3):
            now[0] += 1
            yield number

    taken, waited = pipeline.clocked(batches())
    for number in taken:
        assert waited() == number + 1
        now[0] += 10
    assert waited() == 3
