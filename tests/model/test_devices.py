"""Training on several devices and processes: the weights of one, whoever is killed meanwhile."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import tiny_dataset

from sentiflow.model.training import checkpoint, parallel
from sentiflow.pipeline import InputError

CHILD = """
from sentiflow import startup
startup.prepare()
import json, sys
from pathlib import Path
from sentiflow import pipeline
from sentiflow.bench.campaign.inputs import small_backbone
from sentiflow.model.networks import backbones
from sentiflow.model.settings import TrainSettings
from sentiflow.model.training import loop, parallel
backbones.BACKBONES["small"] = backbones.Backbone(small_backbone, "tf")
wanted = json.loads(sys.argv[1])
settings, inputs = TrainSettings(**wanted["train"]), pipeline.Settings(**wanted["inputs"])
with parallel.joined(**wanted["parallel"]), parallel.run_folder(Path(wanted["out"])) as out:
    loop.train(settings, inputs, out=out, resume=True)
"""
LIMIT = 240  # seconds
EPOCHS = 60  # of a run that is struck meanwhile


class Trainings:
    """Starts trainings of the small network in processes of their own."""

    def __init__(self, data_dir):
        self.train = {
            "dataset": tiny_dataset.NAME,
            "data_dir": str(data_dir),
            "backbone": "small",
            "weights": "none",
            "epochs": 3,
            "learning_rate": 0.05,
            "precision": "float32",
        }
        self.inputs = {"batch_size": 8, "image_size": tiny_dataset.IMAGE_SIZE}

    def start(self, out, *, devices=1, environment=None, **changes):
        """One process of a training."""
        wanted = {
            "train": self.train | changes,
            "inputs": self.inputs,
            "parallel": {
                "devices": "one" if devices == 1 else "all",
                "distributed": environment is not None,
            },
            "out": str(out),
        }
        flags = f"--xla_force_host_platform_device_count={devices}"
        variables = {"KERAS_BACKEND": "jax", "XLA_FLAGS": flags, "TF_CPP_MIN_LOG_LEVEL": "3"}
        return subprocess.Popen(
            [sys.executable, "-c", CHILD, json.dumps(wanted)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **variables, **(environment or {})},
        )

    def start_all(self, out, processes, **changes):
        """All processes of a training."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        return [
            self.start(
                out,
                environment={
                    "KERAS_DISTRIBUTION_JOB_ADDRESSES": address,
                    "KERAS_DISTRIBUTION_NUM_PROCESSES": str(processes),
                    "KERAS_DISTRIBUTION_PROCESS_ID": str(number),
                },
                **changes,
            )
            for number in range(processes)
        ]


def finish(*processes):
    """Waits for processes that are to end well; what the first printed."""
    outputs = [process.communicate(timeout=LIMIT) for process in processes]
    for process, (_, errors) in zip(processes, outputs, strict=True):
        assert process.returncode == 0, errors
    return outputs[0][0]


def trained(out):
    """What training changed, by name."""
    with np.load(out / checkpoint.STATE) as state:
        return {name: state[name] for name in state.files if name != "history"}


def epochs_in(out):
    """Epochs of which a row was written."""
    path = out / "history.csv"
    return len(path.read_text().splitlines()) - 1 if path.exists() else 0


def metrics(out):
    return json.loads((out / "metrics.json").read_text())


def assert_alike(one, other, *, atol=1e-6):
    assert trained(one).keys() == trained(other).keys()
    for name, values in trained(one).items():
        np.testing.assert_allclose(values, trained(other)[name], rtol=0, atol=atol, err_msg=name)


@pytest.fixture(scope="module")
def trainings(tiny_dir):
    return Trainings(tiny_dir)


@pytest.fixture(scope="module")
def of_one(trainings, tmp_path_factory):
    """The run of one device."""
    out = tmp_path_factory.mktemp("one") / "run"
    finish(trainings.start(out))
    return out


@pytest.mark.parametrize("devices", [2, 8])
def test_several_devices_train_what_one_trains(trainings, of_one, tmp_path, devices):
    finish(trainings.start(tmp_path / "run", devices=devices))
    assert_alike(tmp_path / "run", of_one)
    assert metrics(tmp_path / "run").keys() == metrics(of_one).keys()


def test_fit_on_several_devices_trains_what_one_trains(trainings, tmp_path):
    one, four = tmp_path / "one", tmp_path / "four"
    finish(trainings.start(one, fine_tune=2))
    finish(trainings.start(four, fine_tune=2, devices=4))
    assert_alike(four, one)


def test_processes_train_what_one_trains(trainings, of_one, tmp_path):
    out = tmp_path / "run"
    printed = finish(*trainings.start_all(out, 2))
    assert "epoch 3/3" in printed
    assert_alike(out, of_one)
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_the_others_end_when_one_is_killed_and_go_on_in_another_number(trainings, of_one, tmp_path):
    out = tmp_path / "run"
    processes = trainings.start_all(out, 2, epochs=EPOCHS)
    with contextlib.ExitStack() as running:
        for process in processes:
            running.enter_context(process)
            running.callback(process.kill)
        deadline = time.monotonic() + LIMIT
        while epochs_in(out) == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        processes[1].send_signal(signal.SIGKILL)
        killed = time.monotonic()
        _, errors = processes[0].communicate(timeout=LIMIT)
        assert time.monotonic() - killed < 30
    assert processes[0].returncode == 2
    assert [line for line in errors.splitlines() if line.startswith("Error: ")] == [
        "Error: another process of this training has ended; start all again with --resume."
    ]
    assert 0 < len(checkpoint.saved_history(out)) < EPOCHS
    finish(trainings.start(out, devices=4, epochs=EPOCHS))
    uninterrupted = tmp_path / "uninterrupted"
    finish(trainings.start(uninterrupted, epochs=EPOCHS))
    assert_alike(out, uninterrupted, atol=1e-5)


@pytest.mark.on_one_backend
def test_what_does_not_go_together_is_refused_in_one_line(monkeypatch):
    monkeypatch.setattr(parallel.keras.backend, "backend", lambda: "tensorflow")
    for options in ({"devices": "all"}, {"distributed": True}):
        with pytest.raises(InputError, match="KERAS_BACKEND=jax"), parallel.joined(**options):
            pass
