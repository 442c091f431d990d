"""Utilisation of accelerators: the emulated one's arithmetic, the windows of the real step, rows, words, commands."""

import csv
import itertools
import json
import time
import types
import weakref

import click.testing
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from sentiflow import pipeline
from sentiflow.bench import smoke, training
from sentiflow.bench.contestants import CONTESTANTS
from sentiflow.bench.contestants.task import Contestant
from sentiflow.bench.harness import rows
from sentiflow.bench.harness.settings import TrainingSettings
from sentiflow.bench.ours import profile, step
from sentiflow.bench.show import diagnosis, utilisation
from sentiflow.bench.show.publish import publish
from sentiflow.bench.worker import __main__ as worker
from sentiflow.bench.worker import clock
from sentiflow.bench.worker.accelerator import Accelerator

LOADERS = """
import numpy as np

def endless(task):
    for number in range(10**9):
        size = task.image_size
        yield np.full((task.batch_size, size, size, 3), number, np.float32), np.full(task.batch_size, number, np.int32)
"""


class Clock:
    """A clock that only sleeping and loading move; sleeps end late."""

    def __init__(self, late=0.0):
        self.now, self.late, self.slept = 100.0, late, []

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
    accelerator = Accelerator(
        batches(), 100.0, clock=lambda: 0.0, sleep=lambda _: seen.append(alive[-1]())
    )
    next(accelerator)
    assert seen == [None]


def test_waiting_is_counted_in_the_windows_that_count(monkeypatch):
    waited = iter([3.0, 7.0])
    monkeypatch.setattr(clock, "time_window", lambda batches, seconds: (100, 2.0))
    usage = types.SimpleNamespace(cpu_seconds=lambda: 0.0)
    timed = clock.measure(iter(()), 10.0, 5, usage, waited=lambda: next(waited))
    assert timed["waiting_share"] == pytest.approx(0.4)
    assert timed["images_per_second"] == 50


def test_windows_of_the_real_step_leave_out_compilation_and_what_was_made_ahead(monkeypatch):
    # The first step compiles for 60 s; then a step takes a second, of which it waits a quarter.
    clock = itertools.count(60)
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(clock)))
    waits, usage = (
        itertools.count(0, 0.5),
        types.SimpleNamespace(cpu_seconds=itertools.count(0, 3).__next__),
    )
    windows = step.Windows(2.0, 5, lambda: float(next(waits)), usage)
    windows.set_model(types.SimpleNamespace(stop_training=False))
    for batch in itertools.count():
        windows.on_train_batch_end(batch)
        if windows.model.stop_training:
            break
    assert (
        batch + 1 == 1 + 2 + 5 * 2
    )  # one that compiles, a window that does not count, and five that do
    monkeypatch.undo()
    result = windows.result(batch_size=8)
    assert result["windows"] == [8.0] * 5
    assert result["waiting_share"] == pytest.approx(0.25)
    assert result["cpu_seconds_per_image"] == pytest.approx(15 / 80)


def test_a_generator_feeds_the_step_and_its_waiting_is_timed(tmp_path, monkeypatch):
    (tmp_path / "feeding.py").write_text(LOADERS)
    monkeypatch.syspath_prepend(tmp_path)
    task = types.SimpleNamespace(tier="-", image_size=4, batch_size=3)
    job = types.SimpleNamespace(function="feeding:endless", task=task)
    record = types.SimpleNamespace(inputs=pipeline.Settings(image_size=4, batch_size=3))
    stream, waited = step.feed(job, record)
    assert stream.cardinality() == tf.data.INFINITE_CARDINALITY
    for number, (images, labels) in enumerate(stream.take(4)):
        assert (images.shape, images.dtype) == ((3, 4, 4, 3), tf.float32)
        assert np.unique(images) == np.unique(labels) == number
    assert waited() > 0


def test_a_loader_is_not_tried_with_accelerators_far_too_fast_for_it(monkeypatch):
    def measured(taker, seconds, windows, usage, waited):
        return {"images_per_second": min(taker._rate, 400.0)}

    monkeypatch.setattr(clock, "measure", measured)
    job = types.SimpleNamespace(emulate=(250.0, 500.0, 1000.0, 5000.0), seconds=1.0, windows=5)
    timed = worker._measure(iter(()), job, None)
    assert [(each["emulate"], each["utilisation"]) for each in timed] == [
        (250.0, 1.0),
        (500.0, 0.8),
        (1000.0, 0.4),
    ]


def test_a_profile_is_reduced_to_idle_time_and_kinds():
    def event(name, start, duration, **stats):
        return types.SimpleNamespace(
            name=name, start_ns=start, duration_ns=duration, stats=stats.items()
        )

    def line(name, *events):
        return types.SimpleNamespace(name=name, events=events)

    compute = line(
        "Stream #13(Compute)",
        event("k", 0, 40, hlo_op="fusion.12"),
        event("k", 50, 20, hlo_op="fusion.7"),
    )
    copies, steps = (
        line("Stream #14(MemcpyH2D)", event("MemcpyH2D", 60, 40)),
        line("Steps", event("1", 0, 200)),
    )
    planes = [
        types.SimpleNamespace(name="/device:GPU:0", lines=[compute, copies, steps]),
        types.SimpleNamespace(
            name="/host:CPU", lines=[line("python", event("call", 0, 500, hlo_op="x"))]
        ),
    ]
    found = profile.summarise(list(profile.operations(types.SimpleNamespace(planes=planes))))
    assert found["seconds"] == pytest.approx(100e-9)
    assert found["busy"] == pytest.approx(0.9)  # 0-40, 50-100
    kinds = [(each["kind"], each["share"], each["calls"]) for each in found["operations"]]
    assert kinds == [("fusion", 0.6, 2), ("MemcpyH2D", 0.4, 1)]
    on_host = profile.operations(types.SimpleNamespace(planes=planes[1:]))
    assert [operation.kind for operation in on_host] == ["x"]
    assert profile.summarise([])["busy"] == 0.0


def row(
    contestant,
    rate,
    *,
    ceiling=1000.0,
    tier="-",
    storage="files",
    waiting=0.0,
    emulate=None,
    cpu=None,
    **values,
):
    return rows.Row(
        **{
            "contestant": contestant,
            "work": "crop" if emulate else "training",
            "tier": tier,
            "storage": storage,
            "batch_size": 32,
            "images_per_second": rate,
            "utilisation": rate / (emulate or ceiling),
            "waiting_share": waiting,
            "cpu_seconds_per_image": cpu,
            "emulate": emulate,
            "backbone": None if emulate else "mobilenet",
            "device": None if emulate else "GPU",
            "status": "ok",
            "windows": (rate, rate),
            "dataset": "emotionroi",
            "images": 600,
            "seconds": 10.0,
            "commit": "abc",
            "environment": {"cpu": "x", "cores": 2},
            **values,
        }
    )


MEMORY = {"tier": "memory", "storage": "raw256"}
JPEG = {"tier": "none", "storage": "jpeg256"}


def test_the_fastest_accelerator_kept():
    emulated = [
        row("a", rate, emulate=speed)
        for speed, rate in ((250, 249), (1000, 990), (2500, 2300), (5000, 2600))
    ]
    assert utilisation.fastest_kept(emulated, 0.99) == 1000
    assert utilisation.fastest_kept(emulated, 0.9) == 2500
    assert utilisation.fastest_kept(emulated, 0.999) is None


def test_ratios_are_to_the_original_in_front_of_the_same_accelerator():
    pairs = (
        ("original-1", 50.0, 250.0),
        ("a", 250.0, 250.0),
        ("original-1", 100.0, 1000.0),
        ("a", 900.0, 1000.0),
    )
    measured = rows.with_ratios([row(name, rate, emulate=speed) for name, rate, speed in pairs])
    assert [each.ratio_to_original for each in measured] == [1.0, 5.0, 1.0, 9.0]


def test_percentages_are_rounded_down():
    assert [utilisation.percent(share) for share in (0.98999, 0.99, 1.0, None)] == [
        "98.9%",
        "99.0%",
        "100.0%",
        "-",
    ]


def test_utilisation_of_the_real_step_is_against_a_constant_batch():
    ceiling, absent = (
        row("constant", 1000.0),
        row("b", 1.0, images_per_second=None, utilisation=None),
    )
    fed = training.with_utilisation(row("a", 250.0, utilisation=None), ceiling)
    assert (fed.utilisation, training.with_utilisation(absent, ceiling).utilisation) == (0.25, None)


def test_what_limits_the_real_step_in_words():
    told = diagnosis.diagnose(
        [
            row("constant", 1000.0),
            row("original-1", 100.0, waiting=0.89),
            row("sentiflow-none-jpeg256", 600.0, waiting=0.39, cpu=0.0033, **JPEG),
            row("sentiflow-memory", 995.0, waiting=0.001, cpu=0.001, **MEMORY),
            row(
                "sentiflow-none-raw256",
                700.0,
                waiting=0.29,
                cpu=0.0001,
                tier="none",
                storage="raw256",
            ),
            row(
                "sentiflow-none-original",
                800.0,
                waiting=0.0,
                device="CPU",
                tier="none",
                storage="original",
            ),
        ]
    )
    assert told[0].startswith(
        "training: original-1 keeps the GPU 10.0% busy: the input limits the run: 89.0% of the time"
    )
    assert told[0].endswith("Tier memory on storage raw256 would lift it to 99.5%.")
    assert "the decoding of JPEGs, for which it has all cores" in told[1]
    assert told[2].endswith(
        "99.5% busy: the accelerator limits the run; no other tier or storage would lift it."
    )
    assert (
        "waiting for its workers, or their hand-over of batches: it has only 3.5% of the processor"
        in told[3]
    )
    assert "shares the processor with its input" in told[4]
    assert len(told) == 5
    raw = {"tier": "none", "storage": "raw256"}
    (cold,) = diagnosis.diagnose(
        [row("sentiflow-none-raw256", 700.0, waiting=0.29, cpu=0.0001, pages="cold", **raw)]
    )
    assert "waiting for the disk: it has only 3.5% of the processor" in cold


def test_what_limits_emulated_accelerators_in_words():
    told = diagnosis.diagnose(
        [
            *(row("sentiflow-memory", rate, emulate=rate, **MEMORY) for rate in (1000.0, 2500.0)),
            row("sentiflow-none-jpeg256", 999.0, emulate=1000.0, **JPEG),
            row("sentiflow-none-jpeg256", 1500.0, emulate=2500.0, cpu=0.0013, **JPEG),
            *(row("original-1", 100.0, emulate=rate) for rate in (1000.0, 2500.0)),
        ]
    )
    lift = "Tier memory on storage raw256 would lift it to 100.0%."
    assert told == [
        "crop: sentiflow-memory keeps every accelerator up to 2,500 images/s 99% busy.",
        "crop: sentiflow-none-jpeg256 keeps an accelerator of 1,000 images/s 99% busy; one of 2,500 gets 1,500 and "
        f"waits for the decoding of JPEGs, for which it has all cores. {lift}",
        "crop: original-1 keeps none of these accelerators 99% busy; one of 1,000 gets 100 and waits for its one "
        f"worker, which decodes, resizes and augments image by image. {lift}",
    ]


def test_advice_is_given_only_where_something_is_better():
    (told,) = diagnosis.diagnose(
        [row("constant", 1000.0), row("sentiflow-none-jpeg256", 500.0, waiting=0.5, **JPEG)]
    )
    assert told.endswith("Tier memory, which leaves this stage out, was not measured.")
    noisy, raw = (
        row("sentiflow-memory", 800.0, spread=0.3, **MEMORY),
        row("sentiflow-none-raw256", 850.0, **JPEG),
    )
    assert "would lift it: fewer augmentations" in diagnosis.diagnose([noisy, raw])[0]
    memory = row("sentiflow-memory", 500.0, waiting=0.5, cpu=0.004, **MEMORY)
    (told,) = diagnosis.diagnose([row("constant", 1000.0), memory])
    assert told.endswith(
        "for the view: cutting windows, augmenting, copying batches. No tier or storage among these "
        "would lift it: fewer augmentations or more cores would."
    )


def test_a_rate_above_the_ceiling_is_not_believed():
    (told,) = diagnosis.diagnose(
        [row("constant", 1000.0), row("sentiflow-memory", 1200.0, **MEMORY)]
    )
    assert told.endswith(
        "120.0% busy, more than a constant batch does: the machine was not left alone. Measure again."
    )


def test_tables_and_plot(tmp_path, capsys):
    measured = [row("constant", 1000.0), row("original-1", 100.0), row("a", 990.0, emulate=1000.0)]
    measured.append(
        row(
            "b",
            1.0,
            images_per_second=None,
            utilisation=None,
            status="absent: no b",
            emulate=1000.0,
        )
    )
    settings = TrainingSettings(plot=tmp_path / "plots" / "u.png", csv=tmp_path / "u.csv")
    publish(measured, settings, show=utilisation.print_tables, draw=utilisation.plot)
    printed = capsys.readouterr().out
    assert all(text in printed for text in ("10.0%", "99.0%", "absent: no b", "keeps at 90%"))
    with Image.open(tmp_path / "plots" / "u.png") as plot:
        assert plot.width >= 1000
    with open(tmp_path / "u.csv", newline="") as file:
        assert [line["utilisation"] for line in csv.DictReader(file)] == ["1.0", "0.1", "0.99", ""]


def invoke(command, *arguments):
    return click.testing.CliRunner().invoke(command, [str(argument) for argument in arguments])


def test_emulation_end_to_end(data_dir, tmp_path):
    out = tmp_path / "rows.json"
    options = (
        "--data_dir",
        data_dir,
        "--contestants",
        "sentiflow-none-jpeg256",
        "--work",
        "crop",
        "--batch_size",
        8,
    )
    result = invoke(
        training.main, *options, "--seconds", 0.3, "--emulate", "1000000,50", "--json", out
    )
    assert result.exit_code == 0, result.output
    slow, fast = json.loads(out.read_text())
    assert (slow["emulate"], fast["emulate"], slow["tier"], slow["storage"]) == (
        50,
        1_000_000,
        "none",
        "jpeg256",
    )
    assert slow["status"] == fast["status"] == "ok"
    assert fast["utilisation"] == pytest.approx(fast["images_per_second"] / 1_000_000)
    assert fast["utilisation"] < slow["utilisation"]
    assert 0 <= slow["waiting_share"] < fast["waiting_share"] <= 1
    assert len(slow["windows"]) == 5
    assert "crop: sentiflow-none-jpeg256 keeps" in result.output


def test_the_real_step_end_to_end(data_dir, tmp_path):
    out = tmp_path / "rows.json"
    options = (
        "--data_dir",
        data_dir,
        "--contestants",
        "sentiflow-none-original",
        "--batch_size",
        4,
    )
    options += ("--image_size", 64, "--backbone_options", "alpha=0.25", "--precision", "float32")
    result = invoke(training.main, *options, "--seconds", 0.3, "--json", out)
    assert result.exit_code == 0, result.output
    ceiling, fed = json.loads(out.read_text())
    assert (ceiling["contestant"], ceiling["utilisation"], ceiling["waiting_share"]) == (
        "constant",
        1.0,
        0.0,
    )
    assert (fed["contestant"], fed["work"], fed["emulate"]) == (
        "sentiflow-none-original",
        "training",
        None,
    )
    assert fed["utilisation"] == pytest.approx(
        fed["images_per_second"] / ceiling["images_per_second"]
    )
    assert (fed["backbone"], fed["precision"], fed["device"]) == (
        "mobilenet",
        "float32",
        step.precision.device(),
    )
    assert 0 <= fed["waiting_share"] <= 1


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (["--emulate", "fast"], "emulate must be numbers, separated by commas. Received: 'fast'"),
        (["--emulate", "250,-1"], "emulate must be above 0 images/s"),
        (["--emulate", "250", "--profile", "p"], "profile is of the real step"),
        (["--contestants", "nobody"], "contestants must be among original-1"),
        (["--backbone", "nobody"], "backbone must be one of"),
        (["--data_dir", "missing"], "is not in"),
        (["--rotation", "200"], "rotation must be in [0, 180] degrees"),
    ],
)
def test_user_errors_are_one_line(arguments, phrase):
    result = invoke(training.main, *arguments)
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert phrase in result.stderr


def test_too_large_a_batch_is_one_line(data_dir):
    result = invoke(training.main, "--data_dir", data_dir, "--batch_size", 64)
    assert (
        result.stderr
        == "Error: batch_size must be at most 30, the images of split 'train'. Received: 64\n"
    )


def test_a_step_that_fails_is_one_line(data_dir):
    result = invoke(
        training.main, "--data_dir", data_dir, "--batch_size", 4, "--weights", "none.txt"
    )
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: The training step cannot be timed: failed: ")
    assert "weights must be imagenet, none, or" in result.stderr


def test_the_smoke_compares_ratios():
    measured = [
        row(name, 1.0, ratio_to_original=floor + 0.1) for name, floor in smoke.FLOORS.items()
    ]
    assert smoke.below([row("original-1", 1.0, ratio_to_original=1.0), *measured]) == []
    slow, failed = (
        row("sentiflow-memory", 1.0, ratio_to_original=7.9),
        row("sentiflow-none-jpeg256", 1.0),
    )
    assert smoke.below([slow, failed]) == ["sentiflow-memory", "sentiflow-none-jpeg256"]


def test_the_ceiling_is_no_loader():
    assert isinstance(training.CEILING, Contestant)
    assert training.CEILING.name not in CONTESTANTS
