"""The process of a contestant: what becomes of those that are right, wrong, absent or broken."""

import sys
import types

import pytest

from sentiflow.bench.contestants import CONTESTANTS
from sentiflow.bench.contestants.task import Contestant
from sentiflow.bench.harness import runner
from sentiflow.bench.harness.settings import Settings
from sentiflow.bench.worker.__main__ import load


def entry(function, requires=("numpy",)):
    return Contestant(
        name="it", kind="peer", function=function, storage="-", requires=requires, works=("crop",)
    )


def run(contestant, judge=None):
    settings = Settings(seconds=0.05, batch_size=4)
    task = runner.make_task(contestant, settings, work="crop", data_dir="", photos="", images=8)
    return runner.run(contestant, task, settings, judge)


def test_a_right_contestant_gets_a_number(loaders):
    seen = {}
    measured = run(entry("loaders:endless"), judge=lambda evidence, task: seen.update(evidence))
    assert measured.status == "ok"
    assert measured.images_per_second > 0
    assert len(measured.windows) == 5
    assert measured.peak_total_mib > 10
    assert seen["labels"].tolist() == [0] * 4 + [1] * 4


def test_a_wrong_contestant_gets_none(loaders):
    measured = run(entry("loaders:endless"), judge=lambda evidence, task: "pictures are black")
    assert measured.status == "wrong: pictures are black"
    assert measured.images_per_second is None


@pytest.mark.parametrize(
    ("contestant", "status"),
    [
        (entry("loaders:endless", ("no_such_peer",)), "absent: No module named 'no_such_peer'"),
        (entry("loaders:broken"), "failed: ValueError: no such shard"),
    ],
)
def test_an_absent_or_failing_contestant_says_why(loaders, contestant, status):
    assert run(contestant).status == status


def test_what_a_module_loads_when_it_is_asked_is_loaded_before_the_clock(monkeypatch):
    asked = []
    lazy = types.ModuleType("lazy")
    lazy.__getattr__ = asked.append
    monkeypatch.setitem(sys.modules, "lazy", lazy)
    load("lazy")
    assert asked == []
    load("lazy:name")
    assert asked == ["name"]
    ours = [entry for entry in CONTESTANTS.values() if entry.kind == "ours"]
    assert {entry.requires for entry in ours} == {("sentiflow.pipeline:load",)}
