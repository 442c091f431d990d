"""The benchmark's own parts: the clock, the rows, the process of a contestant, the command lines."""

import csv
import dataclasses
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path

import click.testing
import numpy as np
import pytest
from PIL import Image

from sentiflow import pipeline
from sentiflow.bench import limits, memory, stages, throughput
from sentiflow.bench.contestants import CONTESTANTS, bounds
from sentiflow.bench.contestants.task import Contestant, find_loader
from sentiflow.bench.harness import inputs, rows, runner
from sentiflow.bench.harness.settings import Settings
from sentiflow.bench.show.publish import publish
from sentiflow.bench.worker import clock
from sentiflow.bench.worker.evidence import gather_evidence

LOADERS = """
import numpy as np

def endless(task):
    while True:
        yield np.zeros((task.batch_size, 2, 2, 3), np.uint8), np.zeros(task.batch_size, np.int32)

def broken(task):
    raise ValueError("no such shard")
"""


@pytest.fixture
def loaders(tmp_path, monkeypatch):
    """A module of loaders that a worker process can import."""
    (tmp_path / "loaders.py").write_text(LOADERS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


def entry(function, requires=("numpy",)):
    return Contestant(
        name="it", kind="peer", function=function, storage="-", requires=requires, works=("crop",)
    )


def run(contestant, judge=None):
    settings = Settings(seconds=0.05, batch_size=4)
    task = runner.make_task(contestant, settings, work="crop", data_dir="", photos="", images=8)
    return runner.run(contestant, task, settings, judge)


def row(contestant="original-1", work="crop", rate=100.0, **values):
    values = {"status": "ok", "windows": (rate or 0.0, (rate or 0.0) + 1), **values}
    return rows.Row(
        contestant=contestant,
        work=work,
        tier="none",
        storage="raw256",
        batch_size=32,
        images_per_second=rate,
        dataset="emotionroi",
        images=600,
        seconds=10.0,
        commit="abc",
        environment={"cpu": "x", "cores": 2},
        **values,
    )


def test_a_window_ends_with_a_batch_and_is_divided_by_its_own_length(monkeypatch):
    seconds = itertools.count(0, 3)
    monkeypatch.setattr(time, "perf_counter", lambda: next(seconds))
    batches = itertools.repeat((None, np.zeros(7)))
    assert clock.time_window(batches, 10.0) == (28, 12)


def test_median_spread_and_processor_time(monkeypatch):
    answers = iter(
        [(1, 1.0), (100, 1.0), (110, 1.0), (500, 1.0), (90, 1.0), (200, 2.0)]
    )  # the first does not count
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


def test_ratios_are_to_the_original_of_the_same_work():
    measured = [
        row(rate=50.0),
        row("a", rate=500.0),
        row("b", "augmented", rate=10.0),
        row("c", rate=None),
    ]
    assert [each.ratio_to_original for each in rows.with_ratios(measured)] == [
        1.0,
        10.0,
        None,
        None,
    ]


def test_a_row_without_a_kind_has_that_of_its_contestant(tmp_path):
    names = (
        "original-all",
        "sentiflow-memory",
        "limit-copy-memory",
        "dali-files",
        "constant",
        "build-1-core",
    )
    rows.write_json([row(name) for name in names], tmp_path / "rows.json")
    stored = json.loads((tmp_path / "rows.json").read_text())
    kinds = ["replaced", "ours", "bound", "peer", "bound", "ours"]
    assert [values.pop("kind") for values in stored] == kinds
    (tmp_path / "rows.json").write_text(json.dumps(stored))
    assert [each.kind for each in rows.read_json(tmp_path / "rows.json")] == kinds
    assert row("sentiflow-memory", kind="peer").kind == "peer"


def test_rows_as_json_and_csv(tmp_path):
    measured = [row(), row("sentiflow-memory", rate=None, status="absent: no data", windows=())]
    rows.write_json(measured, tmp_path / "new" / "rows.json")
    assert rows.read_json(tmp_path / "new" / "rows.json") == measured
    rows.write_csv(measured, tmp_path / "rows.csv")
    with open(tmp_path / "rows.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert first["windows"] == "100.00 101.00"
    assert (first["environment_cores"], second["images_per_second"], second["status"]) == (
        "2",
        "",
        "absent: no data",
    )


def test_table_and_plot_show_what_is_absent(tmp_path, capsys):
    measured = [row(), row("peer", rate=None, status="absent: No module named 'peer'", windows=())]
    publish(measured, Settings(plot=tmp_path / "plots" / "bars.png"))
    printed = capsys.readouterr().out
    assert "absent: No module named 'peer'" in printed
    with Image.open(tmp_path / "plots" / "bars.png") as plot:
        assert plot.width >= 1000


def test_a_right_contestant_gets_a_number(loaders):
    seen = {}
    measured = run(entry("loaders:endless"), judge=lambda evidence, task: seen.update(evidence))
    assert measured.status == "ok"
    assert measured.images_per_second > 0
    assert len(measured.windows) == 5
    assert measured.peak_total_mib > 10
    assert seen["labels"].tolist() == [0] * 8


def test_a_wrong_contestant_gets_none(loaders):
    measured = run(entry("loaders:endless"), judge=lambda evidence, task: "pictures are black")
    assert measured.status == "wrong: pictures are black"
    assert measured.images_per_second is None


@pytest.mark.parametrize(
    ("contestant", "status"),
    [
        (
            entry("loaders:endless", requires=("no_such_peer",)),
            "absent: No module named 'no_such_peer'",
        ),
        (entry("loaders:broken"), "failed: ValueError: no such shard"),
    ],
)
def test_an_absent_or_failing_contestant_says_why(loaders, contestant, status):
    assert run(contestant).status == status


def test_throughput_end_to_end(data_dir, tmp_path):
    files = {name: tmp_path / f"rows.{name}" for name in ("json", "csv")}
    arguments = ["--data_dir", data_dir, "--work", "crop", "--seconds", "0.2", "--batch-size", "8"]
    arguments += [
        "--contestants",
        "original-1,sentiflow-none-jpeg256",
        "--plot",
        str(tmp_path / "bars.png"),
    ]
    arguments += [word for name, path in files.items() for word in (f"--{name}", str(path))]
    result = click.testing.CliRunner().invoke(throughput.main, arguments)
    assert result.exit_code == 0, result.output
    first, second = json.loads(files["json"].read_text())
    assert (first["contestant"], first["storage"], first["ratio_to_original"]) == (
        "original-1",
        "files",
        1.0,
    )
    assert second["contestant"] == "sentiflow-none-jpeg256"
    assert second["status"] == "ok"
    assert second["ratio_to_original"] == pytest.approx(
        second["images_per_second"] / first["images_per_second"]
    )
    assert second["images"] == 30
    assert (
        min(
            second["cpu_seconds_per_image"], second["first_batch_seconds"], second["peak_total_mib"]
        )
        > 0
    )
    assert {field.name for field in dataclasses.fields(rows.Row)} == set(second)
    assert (tmp_path / "bars.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("command", "arguments", "phrase"),
    [
        (throughput.main, ["--contestants", "nobody"], "contestants must be among original-1"),
        (
            throughput.main,
            ["--contestants", "limit-copy-memory"],
            "crop; this one does memory alone. Received: 'limit",
        ),
        (throughput.main, ["--contestants", "sentiflow-device"], "this one does training alone"),
        (throughput.main, ["--windows", "3"], "windows must be at least 5"),
        (throughput.main, ["--work", "resize"], "'resize' is not one of 'augmented', 'crop'"),
        (throughput.main, ["--data_dir", "missing"], "emotionroi/original is not in"),
        (
            throughput.main,
            ["--data_dir", "missing", "--manual_dir", "missing", "--dataset", "mnist"],
            "has a builder",
        ),
        (limits.main, ["--data_dir", "missing"], "emotionroi/jpeg256 is not in"),
        (memory.main, ["--plot", "a.png"], "No such option"),
    ],
)
def test_user_errors_are_one_line(command, arguments, phrase):
    result = click.testing.CliRunner().invoke(command, arguments)
    assert result.exit_code == 2
    assert phrase in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_storage_that_is_not_built_is_absent(data_dir, tmp_path):
    for storage in ("original", "jpeg256"):
        memory.grow(f"emotionroi/{storage}", data_dir=data_dir, times=1, target=tmp_path)
    settings = Settings(
        data_dir=str(tmp_path), work=("crop",), contestants="sentiflow-memory", batch_size=8
    )
    (absent,) = throughput.compare(settings)
    assert absent.status.startswith("absent: emotionroi/raw256 is not in")


def test_a_grown_dataset_holds_every_record_several_times(data_dir, tmp_path):
    memory.grow("emotionroi/jpeg256", data_dir=data_dir, times=3, target=tmp_path)
    once, thrice = (
        sorted(
            (bytes(file), label)
            for file, label in inputs.read_stored("emotionroi/jpeg256", split="train", data_dir=d)
        )
        for d in (data_dir, str(tmp_path))
    )
    assert thrice == sorted(once * 3)
    described = pipeline.open("emotionroi/jpeg256", data_dir=str(tmp_path)).describe()
    assert described.splits["train"] == 90


def test_samples_of_any_number_lie_side_by_side(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for images in (60, 90, 60):
        found, reasons = inputs.prepare(Settings(images=images), ("raw256",))
        described = pipeline.open("emotionroi/raw256", data_dir=found).describe()
        assert (reasons, sum(described.splits.values())) == ({}, images)


def test_exported_photos_are_the_source_files(data_dir, photos, tmp_path):
    folder = inputs.export_photos(
        "emotionroi", split="train", data_dir=data_dir, folder=tmp_path / "photos"
    )
    exported = sorted((path.parent.name[4:], path.read_bytes()) for path in folder.glob("*/*.jpg"))
    lines = (photos / "training_testing_split" / "training.txt").read_text().split()
    assert exported == sorted(
        (Path(line).parent.name, (photos / "images" / line).read_bytes()) for line in lines
    )


def test_every_bound_yields_what_it_counts(data_dir):
    settings = Settings(batch_size=8)
    for contestant in CONTESTANTS.values():
        if contestant.kind == "bound":
            task = runner.make_task(
                contestant,
                settings,
                work=contestant.works[0],
                data_dir=data_dir,
                photos="",
                images=30,
            )
            batches = find_loader(contestant.function)(task)
            counts = [len(next(batches)[1]) for _ in range(3)]
            batches.close()
            assert min(counts) > 0, contestant.name


def test_bounds_in_words():
    measured = [
        row("a", "decode", 1000.0),
        row("b", "decode", 3838.4),
        row("c", "copy", 79500.0),
        row("d", "memory", None, status="failed: x"),
    ]
    assert limits.summarise(measured) == [
        "bound of JPEG decoding: 3,838 images/s (b)",
        f"bound of copying windows: 79,500 images/s, {79500 * bounds.WINDOW_BYTES / 1e9:.1f} GB/s (c)",
    ]


def test_stages_name_where_the_time_goes(data_dir, tmp_path):
    options = ["--data_dir", data_dir, "--work", "crop", "--batch_size", "8", "--seconds", "0.25"]
    outcome = click.testing.CliRunner().invoke(
        stages.main, [*options, "--json", str(tmp_path / "stages.json")]
    )
    assert outcome.exit_code == 0, outcome.output
    found = json.loads((tmp_path / "stages.json").read_text())
    streams = {
        storage: {
            row["stage"]: row for row in found if (row["tier"], row["storage"]) == ("none", storage)
        }
        for storage in inputs.STORAGES
    }
    assert list(streams["raw256"]) == ["plan", "cut", "view"]
    assert streams["raw256"]["view"]["bytes_per_image"] == 256 * 256 * 3 + 4  # pixels and a label
    *_, handed = (row for row in found if row["tier"] == "device")
    assert handed["stage"] == "places"
    assert 8 < handed["bytes_per_image"] < 100
    assert "| device, raw256 | crop | " in stages.markdown(found)
    for storage in ("original", "jpeg256"):
        costs = {name: row["cpu_milliseconds_per_image"] for name, row in streams[storage].items()}
        assert list(costs) == ["plan", "decode", "view"]
        assert costs["decode"] == max(costs.values()) > 3 * costs["plan"]
        assert (
            streams[storage]["plan"]["images_per_second"]
            > streams[storage]["decode"]["images_per_second"]
        )
