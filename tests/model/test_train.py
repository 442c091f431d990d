"""Training runs on a tiny prepared dataset. Runs on either Keras backend (see test_jax.py)."""

import dataclasses
import itertools
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from run_files import QUIET, assert_same_models, command, history, weights

from sentiflow import pipeline
from sentiflow.model import train
from sentiflow.model.networks import device
from sentiflow.model.training import checkpoint, ending, loop, whole
from sentiflow.model.training.history import HISTORY, EpochRow, best_epoch, should_stop
from sentiflow.model.training.record import is_finished
from sentiflow.pipeline import InputError

ROOT = Path(__file__).parents[2]


def test_a_folder_that_holds_a_run_is_left_alone(finished, small, tiny_inputs):
    out, _ = finished
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    outcome = CliRunner().invoke(train.main, ["--out", str(out), *command(small, tiny_inputs)])
    assert outcome.exit_code == 2
    assert outcome.stderr.count("\n") == 1
    assert "holds a run" in outcome.stderr
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_resuming_a_finished_run_says_so(finished):
    out, _ = finished
    outcome = CliRunner().invoke(train.main, ["--out", str(out), "--resume"])
    assert outcome.exit_code == 0
    assert "this run is finished" in outcome.stdout


@pytest.mark.parametrize(
    ("option", "message"),
    [("--epochs=5", "Received: epochs=5"), ("--rotation=0", "started with rotation=20.0")],
)
def test_resuming_with_other_settings_names_the_field(finished, option, message):
    out, _ = finished
    outcome = CliRunner().invoke(train.main, ["--out", str(out), "--resume", option])
    assert outcome.exit_code == 2
    assert message in outcome.stderr


def test_the_device_tier_trains_the_same_and_resumes(small, tiny_inputs, tmp_path, monkeypatch):
    """Three updates a call; interrupted after the second epoch. The dataset is not saved."""
    loop.train(small, tiny_inputs, out=tmp_path / "memory", console=QUIET)
    inputs = dataclasses.replace(tiny_inputs, cache="device")
    settings = dataclasses.replace(small, steps_per_execution=3)
    out = tmp_path / "device"
    save, epochs = checkpoint.save_state, itertools.count()

    def interrupted(*arguments, **options):
        save(*arguments, **options)
        if next(epochs) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save_state", interrupted)
    with pytest.raises(KeyboardInterrupt):
        loop.train(settings, inputs, out=out, console=QUIET)
    loop.train(settings, inputs, out=out, resume=True, console=QUIET)
    networks = [weights(tmp_path / tier / "model.keras") for tier in ("memory", "device")]
    for one, other in zip(*networks, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    losses = [[row["val_loss"] for row in history(tmp_path / t)] for t in ("memory", "device")]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_pixels_that_do_not_fit_name_the_tier_to_use(small, tiny_inputs, monkeypatch):
    def full(*_, **__):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    monkeypatch.setattr(device.OnDevice, "add_weight", full)
    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten()])
    data = pipeline.open(small.dataset, data_dir=small.data_dir)
    with pytest.raises(
        InputError, match=r"do not fit into the accelerator's memory; use cache='memory'"
    ):
        device.OnDevice(model, data, dataclasses.replace(tiny_inputs, cache="device"))


def test_a_batch_larger_than_the_split_is_refused(small, tiny_inputs, tmp_path):
    with pytest.raises(InputError, match="27 training images, less than a batch"):
        loop.train(small, dataclasses.replace(tiny_inputs, batch_size=28), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_no_number_ends_the_run_in_one_line(small, tiny_inputs, tmp_path):
    settings = dataclasses.replace(small, learning_rate=1e38)
    with pytest.raises(
        InputError, match=r"The loss of epoch 1 is not a number.*learning_rate below 1e\+38"
    ):
        loop.train(settings, tiny_inputs, out=tmp_path, console=QUIET)
    assert not is_finished(tmp_path)


def row(val_loss):
    names = [field.name for field in dataclasses.fields(EpochRow)]
    return EpochRow(**(dict.fromkeys(names, 0.0) | {"val_loss": val_loss}))


def test_early_stopping_counts_epochs_without_a_lower_val_loss():
    rows = [row(val_loss) for val_loss in (3.0, 2.0, 2.0, 2.5, 2.1)]
    stopped = [should_stop(rows[:epochs], 2) for epochs in range(6)]
    assert stopped == [False, False, False, False, True, True]
    assert not should_stop(rows, 0)
    assert best_epoch(rows) == 2


def test_early_stopping_padding_scaling_and_tensorboard_in_one_run(
    small, tiny_inputs, tmp_path, monkeypatch
):
    for module in (ending, whole):
        monkeypatch.setattr(
            module, "should_stop", lambda history, patience: len(history) == patience
        )
    changed = dataclasses.replace(
        small, epochs=9, early_stopping=1, precision="float16", tensorboard=True
    )
    outcome = loop.train(
        changed,
        dataclasses.replace(tiny_inputs, last_batch="pad"),
        out=tmp_path,
        console=QUIET,
    )
    assert outcome.epochs == 1
    assert outcome.stopped_early
    # 27 images fill three batches of 8 and, padded, a fourth.
    assert history(tmp_path)[0]["learning_rate"] == pytest.approx(0.05 / (1 + 0.0005 * 4), rel=1e-5)
    assert list((tmp_path / "tensorboard").rglob("events.*"))


TRAIN_SMALL = """
import sys
from sentiflow.bench.campaign.inputs import register_backbone
from sentiflow.model import train
register_backbone()
train.main(sys.argv[1:])
"""


@pytest.mark.on_one_backend
def test_killed_at_any_moment_a_run_resumes_to_the_same_weights(small, tiny_inputs, tmp_path):
    """The moment varies with the machine's speed: in the third epoch, or soon after it."""
    settings = dataclasses.replace(small, epochs=15, dropout=0.3, fine_tune=5)
    reference, killed = tmp_path / "reference", tmp_path / "killed"
    loop.train(settings, tiny_inputs, out=reference, console=QUIET)
    options = ["--out", str(killed), *command(settings, tiny_inputs)]
    folders = os.pathsep.join(map(str, (ROOT, ROOT / "tests")))
    with subprocess.Popen(
        [sys.executable, "-c", TRAIN_SMALL, *options],
        env=os.environ | {"PYTHONPATH": folders},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        _wait_for_rows(killed, 2, process)
        time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not is_finished(killed)
    outcome = CliRunner().invoke(train.main, ["--out", str(killed), "--resume"])
    assert outcome.exit_code == 0
    assert_same_models(killed, reference)
    figures = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
    assert [[row[name] for name in figures] for row in history(killed)] == [
        [row[name] for name in figures] for row in history(reference)
    ]


def _wait_for_rows(out, rows, process):
    """Waits until the history has so many rows, and a state file goes with it."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if (out / HISTORY).exists() and len(history(out)) >= rows:
            return
        time.sleep(0.01)
    raise AssertionError(f"no {rows} epochs in time; exit status {process.poll()}")
