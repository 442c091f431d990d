"""What `bench/gpu.sh` runs, rehearsed on this machine; its budget, its rows and its page."""

import dataclasses
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from sentiflow.bench.campaign.inputs import register_backbone
from sentiflow.bench.gpu import context, page, picture, rows
from sentiflow.bench.gpu.__main__ import Part, plan, run
from sentiflow.bench.gpu.rows import Measurement
from sentiflow.bench.ours import profile

ROOT = Path(__file__).parents[2]
CARD = {"card": "NVIDIA H100", "driver": "580", "card_memory": "80 GiB"}
HOST = {"cpu": "x", "cores": 16, "memory_gib": 128.0, "python": "3.12", "numpy": "2"}
VERSIONS = {"jax": "0.11", "keras": "3.15", "tensorflow": "2.21", "torch": "2.11"}
MACHINE = {**CARD, **HOST, **VERSIONS}


def row(part, name, rate=None, **values):
    return Measurement(
        part=part, name=name, images_per_second=rate, machine=MACHINE, commit="abc", **values
    )


def rehearse(out, work):
    """Runs the rehearsal's commands, the measurements in this process, to share what is compiled.

    It is shorter than usual: a backbone of two layers, the step at one batch size, and one of the
    nine experiments.
    """
    register_backbone()
    shorter = {"backbone": "small", "backbone_options": (), "seconds": 0.1, "experiments": "7"}
    context.SCALES["small"] = dataclasses.replace(context.SCALES["small"], **shorter)
    for part in plan(Path(out), Path(work), "small"):
        for module, *arguments in (
            () if part.requires or part.name.endswith("-16") else part.commands
        ):
            if module.startswith("sentiflow.bench."):
                sys.argv = [module, *arguments]
                importlib.import_module(module).main()
            else:
                subprocess.run([sys.executable, "-m", module, *arguments], check=True)


@pytest.fixture(scope="module")
def rehearsed(tmp_path_factory):
    """The rows of the rehearsal, on JAX; what needs torch is left out."""
    out, work = tmp_path_factory.mktemp("out"), tmp_path_factory.mktemp("work")
    code = f"import keras, test_gpu; test_gpu.rehearse({str(out)!r}, {str(work)!r})"
    quick = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1", "KERAS_BACKEND": "jax", "COMMIT": "abc"}
    quick |= {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    folders = (ROOT, ROOT / "tests", ROOT / "tests" / "bench")
    path = {"PYTHONPATH": os.pathsep.join(map(str, folders))}
    command = [sys.executable, "-c", code]
    done = subprocess.run(
        command,
        cwd=work,
        env=os.environ | quick | path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert any((work / "compiled-experiment").iterdir())  # what the second experiment 1 finds
    return {measured.key: measured for measured in rows.read(out / rows.FILE)}


def test_the_rehearsal_measures_the_chip(rehearsed):
    product, forward = rehearsed["chip", "product", None, ""], rehearsed["chip", "forward", 8, ""]
    assert product.tflops > 0
    assert rehearsed["chip", "copy", None, ""].gigabytes_per_second > 0
    assert forward.share == pytest.approx(forward.tflops / product.tflops)
    # Two convolutions: of 64 x 64 pixels they make 16 x 16, then 7 x 7 positions of 8 channels,
    # each of 3 x 3 x 3, then of 3 x 3 x 8 values.
    operations = forward.tflops * 1e12 / forward.images_per_second
    assert operations == pytest.approx(2 * (16 * 16 * 8 * 27 + 7 * 7 * 8 * 72))
    (told,) = rehearsed["chip", "error", None, "folded"].words
    errors = [float(number) for number in re.findall(r"\d\.\d+e[+-]\d+", told)]
    assert len(errors) == 2
    assert max(errors) < 1e-4  # float32 on this machine; tenths of a percent and more in bfloat16
    tried = {key[2:] for key in rehearsed if key[1] == "forward"}
    assert tried == {(8, ""), (16, ""), (8, "folded"), (16, "folded")}


def test_the_rehearsal_feeds_the_step_from_every_tier(rehearsed):
    ceiling = rehearsed["step", "constant", 8, ""]
    assert (ceiling.utilisation, ceiling.waiting_share) == (1.0, 0.0)
    for name in ("memory, raw", "none, raw", "none, jpeg", "device, raw"):
        fed = rehearsed["step", name, 8, ""]
        assert fed.utilisation == pytest.approx(fed.images_per_second / ceiling.images_per_second)
        assert 0 <= fed.waiting_share <= 1
        assert fed.cpu_seconds_per_image > 0
    assert rehearsed["step", "profile", 8, ""].words[0].count("% of the time: ") == 1


def test_the_rehearsal_tries_every_switch(rehearsed):
    tried = {key[1:] for key in rehearsed if key[0] == "switches"}
    variants = {
        ("constant", ""),
        ("constant", "not folded"),
        ("constant", "not folded, by fit"),
        ("constant", "8 steps a call"),
        ("device, raw", "8 steps a call"),
    }
    assert tried == {(name, 8, variant) for name, variant in variants}


def test_the_rehearsal_trains_from_end_to_end(rehearsed):
    cold, warm = (
        rehearsed["experiment", "experiment 1", 8, f"{kind} cache"] for kind in ("cold", "warm")
    )
    for measured in (cold, warm):
        parts = (measured.data_seconds, measured.compile_seconds, measured.training_seconds)
        assert all(seconds > 0 for seconds in parts)
        assert measured.images == 2 * 40  # of 42 training images, 5 batches of 8
    nine = rehearsed["nine", "experiments in one pass", None, ""]
    # Of 42 photographs of Twitter I, the first 20 % of the list are held out.
    assert nine.images == 20 * 34
    assert {measured.commit for measured in rehearsed.values()} == {"abc"}
    assert rehearsed["prepare", "build emotionroi/jpeg64", None, ""].images == 60


def test_the_plan_begins_with_what_tells_most(tmp_path):
    names = [part.name for part in plan(tmp_path, tmp_path, "full")]
    assert names[:4] == ["prepare", "chip", "step-32", "experiment-cold"]
    switches = {"switches-32", "switches-256"}
    torch = {"torch-forward", "torch-training"}
    assert set(names[4:]) == {"experiment-warm", "step-256", "nine", *switches, *torch}
    assert len(set(names)) == len(names)
    modules = {command[0] for part in plan(tmp_path, tmp_path, "full") for command in part.commands}
    for module in modules:
        assert importlib.util.find_spec(module), module


@pytest.mark.parametrize(
    ("part", "seconds", "status"),
    [
        (Part("a", (("platform",),), 0), 60, "ok"),
        (
            Part("a", (("platform",), ("timeit", "-n1", "-r1", "import time; time.sleep(60)")), 0),
            2,
            "cut: ",
        ),
        (
            Part("a", (("timeit", "-n1", "-r1", "import time; time.sleep(60)"),), 0, most=1),
            60,
            "cut: ",
        ),
        (Part("a", (("no_such_module",), ("platform",)), 0), 60, "failed: "),
        (Part("a", (("platform",),), 90), 60, "skipped: 60 s of the budget were left, it needs 90"),
        (Part("a", (("platform",),), 0, requires="no_such_module"), 60, "absent: no_such_module"),
    ],
    ids=["ok", "budget", "limit", "failure", "too late", "absent"],
)
def test_parts_keep_to_the_budget(tmp_path, part, seconds, status):
    began = time.monotonic()
    ended = run(part, tmp_path, tmp_path, began + seconds, patient=False)
    assert ended.startswith(status)
    assert time.monotonic() - began < 30
    if status == "failed: ":
        assert "No module named no_such_module" in ended


def test_a_result_is_written_at_once_and_replaces_an_older_one(tmp_path):
    for measured in (
        row("chip", "forward", 1.0, batch_size=8),
        row("chip", "copy"),
        row("chip", "forward", 2.0, batch_size=8),
    ):
        rows.keep(tmp_path, measured)
    assert rows.read(tmp_path / rows.FILE) == [
        row("chip", "copy"),
        row("chip", "forward", 2.0, batch_size=8),
    ]
    assert json.loads((tmp_path / rows.FILE).read_text())[1]["machine"]["card"] == "NVIDIA H100"
    assert rows.read(tmp_path / "nothing.json") == []


def test_calls_are_timed_in_windows():
    asked, waited = [], []

    def call():
        asked.append(time.perf_counter())
        return len(asked)

    taken, spread = rows.time_calls(
        call, lambda result: (waited.append(result), time.sleep(0.002)), seconds=0.1
    )
    # A window is waited for once, at its end; two calls before the first tell how long a window has
    # to be.
    assert waited[:2] == [1, 2]
    assert len(waited) == 2 + rows.WINDOWS
    per_window = (len(asked) - 2) // rows.WINDOWS
    assert waited[2:] == [2 + per_window * (i + 1) for i in range(rows.WINDOWS)]
    assert 0 < taken <= 0.02 / per_window + 0.002
    assert spread >= 0


SAMPLE = [
    row("chip", "product", tflops=800.0, share=1.0),
    row("chip", "forward", 10_000.0, batch_size=32, tflops=200.0, share=0.25, compile_seconds=20.0),
    row("step", "constant", 8_000.0, batch_size=32, utilisation=1.0, waiting_share=0.0),
    row("step", "memory, raw", 7_960.0, batch_size=32, utilisation=0.995, waiting_share=0.0),
    row("step", "none, jpeg", 4_000.0, batch_size=32, utilisation=0.5, waiting_share=0.48),
    row("step", "device, raw", 6_000.0, batch_size=32, utilisation=0.75, waiting_share=0.01),
    row("step", "profile", batch_size=32, words=("60.0% of the time: nothing at all.",)),
    row("switches", "constant", 12_000.0, batch_size=32, variant="not folded", utilisation=0.7),
    row("torch-training", "torch training", 2_000.0, batch_size=32),
    row(
        "experiment",
        "experiment 1",
        variant="cold cache",
        seconds=50.0,
        training_seconds=5.0,
        compile_seconds=20.0,
    ),
    row("nine", "part", status="skipped: 10 s of the budget were left, it needs 90"),
]


def test_the_page_has_tables_sentences_and_what_is_missing(tmp_path):
    for measured in SAMPLE:
        rows.keep(tmp_path, measured)
    picture.draw(SAMPLE, tmp_path / "gpu.png")
    text = page.markdown(tmp_path / rows.FILE)
    assert text.startswith("NVIDIA H100 (80 GiB), driver 580; x, 16 cores; python 3.12")
    for phrase in (
        "![The same rates as bars](gpu.png)",
        "| forward | 32 | 10,000 | 200.0 | 25.0% | 20.0 |",
        "| none, jpeg | 32 | 4,000 | 50.0% | 48.0% |",
        "* Batch 32: a constant batch is trained at 8,000 images/s, 80.0% of the forward pass",
        "* Batch 32, fed by memory, raw: 99.5% busy, the accelerator limits it.",
        "* Batch 32, fed by none, jpeg: 50.0% busy, the input limits it, for which it waits 48.0%",
        "* Batch 32, fed by device, raw: 75.0% busy, though it seldom waits for input",
        "* Batch 32, not folded: 0.70 times the constant batch as it is.",
        "* Batch 32, trained from tier memory: 3.98 times PyTorch's 2,000 images/s.",
        "by the profiler: 60.0% of the time: nothing at all.",
        "* Experiment 1 with a cold cache takes 50 s: training is 10% of that, the compiler 40%.",
        "* nine: skipped: 10 s of the budget were left, it needs 90",
    ):
        assert phrase in text
    assert "NVIDIA H100: 8,000 images/s in batches of 32" in page.limit(tmp_path / rows.FILE)
    with Image.open(tmp_path / "gpu.png") as image:
        assert image.width == 9 * 130


def test_a_step_that_beats_its_own_forward_pass_is_not_believed():
    slow = row("chip", "forward", 1_000.0, batch_size=32)
    (told,) = page.sentences(
        [slow, row("step", "constant", 1_100.0, batch_size=32, utilisation=1.0)]
    )
    assert told.endswith("so the machine was not left alone; measure again.")


def test_without_rows_the_pages_say_so(tmp_path):
    assert page.markdown(tmp_path / rows.FILE) == page.UNMEASURED
    assert page.limit(tmp_path / rows.FILE).startswith("* It has not run on a GPU yet: ")
    picture.draw([row("chip", "copy")], tmp_path / "gpu.png")
    assert not (tmp_path / "gpu.png").exists()


def test_a_profile_is_told_in_words():
    kinds = {
        "cudnn-conv-bias-activation": 60.0,
        "loop_add_fusion": 30.0,
        "input_gather_fusion": 10.0,
    }
    done, end = [], 0.0
    for kind, length in kinds.items():
        done.append(profile.Operation(kind, end, end + length))
        end += length
    done.append(profile.Operation("MemcpyH2D", 195.0, 200.0))  # after as long without anything
    told = profile.words(profile.summarise(done))
    assert told[0].startswith("47.5% of the time: nothing at all (it waits for calls from the host")
    assert [sentence.partition(" (")[0] for sentence in told[1:4]] == [
        "30.0% of the time: convolutions and matrix products",
        "15.0% of the time: other kernels, element by element",
        "5.0% of the time: gathers",
    ]
    assert profile.words(profile.summarise([])) == ["The profiler saw no operation."]
