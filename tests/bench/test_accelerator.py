"""The emulated accelerator: its arithmetic, and how many are tried."""

import itertools
import types
import weakref

import numpy as np
import pytest

from sentiflow.bench.worker import __main__ as worker
from sentiflow.bench.worker import clock
from sentiflow.bench.worker.accelerator import Accelerator


class Clock:
    """A clock that only sleeping and loading move; sleeps end late."""

    def __init__(self, late=0.0):
        self.now = 100.0
        self.late = late
        self.slept = []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.slept.append(seconds)
        if seconds > 0:
            self.now += seconds + self.late

    def load(self, *seconds):
        """Batches of four images, each of which takes so long; the last again and again."""
        for wait in itertools.chain(seconds, itertools.repeat(seconds[-1])):
            self.now += wait
            yield np.zeros((4, 2)), np.zeros(4)


def run(clock, batches, *, steps, rate=100.0):
    accelerator = Accelerator(batches, rate, clock=clock, sleep=clock.sleep)
    begin = clock.now
    images = sum(len(next(accelerator)[1]) for _ in range(steps))
    return accelerator, images, clock.now - begin


@pytest.mark.parametrize(("wait", "busy"), [(0.0, 1.0), (0.01, 0.8), (0.04, 0.5), (0.36, 0.1)])
def test_utilisation_is_compute_time_over_total_time(wait, busy):
    clock = Clock()
    accelerator, images, elapsed = run(clock, clock.load(wait), steps=50)
    assert images / 100.0 / elapsed == pytest.approx(busy)
    assert accelerator.waited / elapsed == pytest.approx(1 - busy)


def test_a_late_wake_up_is_made_good_by_the_next_sleep_and_hides_no_waiting():
    clock = Clock(late=0.005)
    accelerator, _, elapsed = run(clock, clock.load(0.01), steps=50)
    assert elapsed == pytest.approx(50 * (0.01 + 0.04) + 0.005)
    assert accelerator.waited == pytest.approx(50 * 0.01)
    assert clock.slept[:3] == pytest.approx([0.04, 0.035, 0.035])


def test_time_lost_by_more_than_a_step_is_lost():
    clock = Clock()
    accelerator, _, _ = run(clock, batches := clock.load(0.0), steps=1)
    clock.now += 1.0
    for _ in range(3):
        next(accelerator)
    assert clock.slept == pytest.approx([0.04, 0.0, 0.04, 0.04])
    batches.close()


def test_an_accelerator_lets_the_images_go_while_it_computes():
    alive = []

    def batches():
        while True:
            images = np.zeros((4, 2))
            alive.append(weakref.ref(images))
            pair = [images, np.zeros(4)]
            del images
            yield tuple(pair.pop(0) for _ in range(2))

    seen = []

    def sleep(_):
        seen.append(alive[-1]())

    next(Accelerator(batches(), 100.0, clock=lambda: 0.0, sleep=sleep))
    assert seen == [None]


def test_a_loader_is_not_tried_with_accelerators_far_too_fast_for_it(monkeypatch):
    def measured(taker, seconds, windows, usage, waited):
        return {"images_per_second": min(taker.rate, 400.0)}

    monkeypatch.setattr(clock, "measure", measured)
    job = types.SimpleNamespace(emulate=(250.0, 500.0, 1000.0, 5000.0), seconds=1.0, windows=5)
    timed = worker.measure(iter(()), job, None)
    busy = {figures["emulate"]: figures["utilisation"] for figures in timed}
    assert busy == {250.0: 1.0, 500.0: 0.8, 1000.0: 0.4}
