"""Training runs on a tiny prepared dataset. Runs on either Keras backend (see test_jax.py)."""

import csv
import dataclasses
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
from io import StringIO

import keras
import numpy as np
import pytest
import tiny_dataset
from click.testing import CliRunner
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from rich.console import Console

from sentiflow import pipeline
from sentiflow.model import backbones, device, evaluate, metrics, plots, predict, run, train
from sentiflow.model.settings import TrainSettings
from sentiflow.pipeline import InputError

INPUTS = pipeline.Settings(batch_size=8, image_size=tiny_dataset.IMAGE_SIZE)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    tiny_dataset.write(folder)
    return folder


@pytest.fixture(scope="module")
def settings(data_dir):
    return TrainSettings(
        dataset=tiny_dataset.NAME,
        data_dir=str(data_dir),
        backbone="mobilenet",
        backbone_options=("alpha=0.25",),
        weights="none",
        epochs=3,
        learning_rate=0.05,
        precision="float32",
    )


@pytest.fixture(scope="module")
def finished(settings, tmp_path_factory):
    """A finished run: its folder and what it printed."""
    out, text = tmp_path_factory.mktemp("runs") / "finished", StringIO()
    train.train(settings, INPUTS, out=out, console=Console(file=text))
    return out, text.getvalue()


def history(out):
    with (out / run.HISTORY).open() as file:
        return [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]


def weights(path):
    return keras.saving.load_model(path, compile=False).get_weights()


def command(settings, *more):
    pairs = dataclasses.asdict(settings) | {
        "batch_size": INPUTS.batch_size,
        "image_size": INPUTS.image_size,
    }
    pairs |= {"backbone_options": settings.backbone_options[0]}
    options = [
        f"--{name}={value}" for name, value in pairs.items() if not isinstance(value, bool)
    ]  # flags are off
    return [*options, *map(str, more)]


def test_history_has_a_row_an_epoch(finished):
    out, text = finished
    rows = history(out)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    # 27 images: 3 updates of 8 an epoch, and lr / (1 + 0.0005 t) after them.
    for row in rows:
        assert row["learning_rate"] == pytest.approx(
            0.05 / (1 + 0.0005 * 3 * row["epoch"]), rel=1e-5
        )
        assert row["images_per_second"] == pytest.approx(24 / row["seconds"], rel=0.05)
        assert 0 <= row["waiting_share"] <= 1
    assert "tiny/raw32: 3 classes; images: train 27, validation 7, test 10" in text
    assert text.count("images/s  waiting") == 3
    assert "epoch 3" in (out / "report.html").read_text()


def test_evaluation_counts_every_image_once(finished):
    """The same figures from Keras' own evaluation during training, and image by image."""
    out, _ = finished
    record, model = run.load(out)
    result = evaluate.evaluate(out, record, model, split="validation")
    assert result["images"] == 7
    assert result["accuracy"] == pytest.approx(history(out)[-1]["val_accuracy"], abs=1e-6)
    assert result["loss"] == pytest.approx(history(out)[-1]["val_loss"], abs=1e-5)
    with (out / "predictions-validation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["filename"] for row in rows) == sorted(
        f"validation/{tiny_dataset.CLASSES[i % 3]}-{i}.png" for i in range(7)
    )
    assert all(row["filename"].startswith(f"validation/{row['label']}-") for row in rows)


def test_evaluate_prints_one_json_object(finished):
    out, _ = finished
    outcome = CliRunner().invoke(evaluate.main, ["--run", str(out), "--split", "test", "--json"])
    assert outcome.exit_code == 0
    printed = json.loads(outcome.stdout)
    assert printed["accuracy"] == json.loads((out / run.METRICS).read_text())["test"]["accuracy"]
    assert printed["images"] == 10
    assert np.sum(printed["confusion_matrix"]) == 10
    for name in ("confusion-test.png", "calibration-test.png", "curves.png"):
        with Image.open(out / name) as picture:
            assert picture.size[0] > 500
    assert (
        json.loads((out / "confusion-test.json").read_text())["confusion_matrix"]
        == printed["confusion_matrix"]
    )


def test_best_is_the_epoch_with_the_lowest_val_loss(finished):
    out, _ = finished
    best = 1 + int(np.argmin([row["val_loss"] for row in history(out)]))
    assert json.loads((out / run.METRICS).read_text())["best_epoch"] == best
    record, model = run.load(out, model="best")
    probabilities, labels = evaluate.predict_split(record, model, split="validation")
    loss = -np.log(probabilities[np.arange(len(labels)), labels]).mean()
    assert loss == pytest.approx(history(out)[best - 1]["val_loss"], abs=1e-5)


def test_predict_reads_what_it_can_and_reports_the_rest(finished, tmp_path):
    out, _ = finished
    (tmp_path / "more").mkdir()
    for name in ("a.png", "more/b.jpg"):
        Image.new("RGB", (50, 40), (200, 30, 60)).save(tmp_path / name)
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    (tmp_path / "more" / "notes.txt").write_text("clutter")
    outcome = CliRunner().invoke(
        predict.main, ["--run", str(out), "--json", str(tmp_path), str(tmp_path / "missing.jpg")]
    )
    assert outcome.exit_code == 1
    rows = json.loads(outcome.stdout)
    assert [row["file"] for row in rows] == [
        str(tmp_path / "a.png"),
        str(tmp_path / "more" / "b.jpg"),
    ]
    for row in rows:
        assert list(row["probabilities"]) == tiny_dataset.CLASSES
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert row["label"] == max(row["probabilities"], key=row["probabilities"].get)
    errors = outcome.stderr.splitlines()
    assert len(errors) == 2
    assert "broken.jpg" in errors[0]
    assert "missing.jpg" in errors[1]


def test_predict_sees_the_pixels_that_the_pipeline_serves(finished, tmp_path):
    out, _ = finished
    record, model = run.load(out)
    pixels = np.random.default_rng(0).integers(0, 256, (36, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    ((_, probabilities),) = predict.predict(record, model, [tmp_path / "a.png"])
    window = pixels[2:34, 4:36].astype("float32") / 127.5 - 1
    np.testing.assert_allclose(probabilities, model.predict_on_batch(window[None])[0], atol=1e-6)


def test_a_folder_that_holds_a_run_is_left_alone(finished, settings):
    out, _ = finished
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    outcome = CliRunner().invoke(train.main, ["--out", str(out), *command(settings)])
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


def test_an_unfinished_run_cannot_be_loaded(finished, tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        run.load(tmp_path)
    out, _ = finished
    (tmp_path / run.SETTINGS).write_bytes((out / run.SETTINGS).read_bytes())
    with pytest.raises(InputError, match=r"unfinished run: model.keras is missing.*--resume"):
        run.load(tmp_path)


def test_an_error_is_one_line_on_standard_error(tmp_path):
    """In a process of its own: libraries, too, have nothing to add."""
    arguments = [sys.executable, "-m", "model.evaluate", "--run", str(tmp_path)]
    # A user's environment: JAX has set a level in this process.
    user = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    outcome = subprocess.run(arguments, capture_output=True, text=True, check=False, env=user)
    assert outcome.returncode == 2
    assert outcome.stdout == ""
    assert outcome.stderr.startswith(f"Error: {tmp_path} holds no run")
    assert outcome.stderr.count("\n") == 1


def test_no_title_is_cut_off(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(plots, "_save", lambda figure, path: figures.append(figure))
    title = "emotionroi/jpeg256, validation\naccuracy 100.0% of 1980 images"
    rng = np.random.default_rng(0)
    probabilities, labels = rng.dirichlet(np.ones(2), 50), rng.integers(0, 2, 50)
    plots.draw_calibration(metrics.calibration(probabilities, labels), tmp_path, title=title)
    plots.draw_confusion(np.eye(2, dtype=int), ["negative", "positive"], tmp_path, title=title)
    for figure in figures:
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        texts = [figure._suptitle, *(axes.title for axes in figure.axes)]
        for text in filter(None, texts):
            box = text.get_window_extent(canvas.get_renderer())
            assert box.x0 >= 0
            assert box.x1 <= figure.bbox.width


def test_the_device_tier_trains_the_same_and_resumes(finished, settings, tmp_path, monkeypatch):
    """Three updates a call; interrupted after the second epoch. What is saved does not hold the dataset."""
    out, _ = finished
    inputs = dataclasses.replace(INPUTS, cache="device")
    settings = dataclasses.replace(settings, steps_per_execution=3)
    save, epochs = run.save_state, itertools.count()

    def interrupted(*arguments, **options):
        save(*arguments, **options)
        if next(epochs) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(run, "save_state", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train.train(settings, inputs, out=tmp_path, console=Console(quiet=True))
    train.train(settings, inputs, out=tmp_path, resume=True, console=Console(quiet=True))
    for one, other in zip(
        weights(out / "model.keras"), weights(tmp_path / "model.keras"), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-4)
    assert [row["val_loss"] for row in history(tmp_path)] == pytest.approx(
        [row["val_loss"] for row in history(out)], abs=1e-4
    )


def test_pixels_that_do_not_fit_name_the_tier_to_use(settings, monkeypatch):
    def full(*_, **__):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    monkeypatch.setattr(device.OnDevice, "add_weight", full)
    model = keras.Sequential([keras.Input((32, 32, 3)), keras.layers.Flatten()])
    with pytest.raises(
        InputError, match=r"do not fit into the accelerator's memory; use cache='memory'"
    ):
        device.OnDevice(model, pipeline.open(settings.dataset, data_dir=settings.data_dir), INPUTS)


def test_a_batch_larger_than_the_split_is_refused(settings, tmp_path):
    with pytest.raises(InputError, match="27 training images, less than a batch"):
        train.train(settings, dataclasses.replace(INPUTS, batch_size=28), out=tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_loss_that_is_no_number_ends_the_run_in_one_line(settings, tmp_path):
    settings = dataclasses.replace(settings, learning_rate=1e38)
    with pytest.raises(
        InputError, match=r"The loss of epoch 1 is not a number.*learning_rate below 1e\+38"
    ):
        train.train(settings, INPUTS, out=tmp_path, console=Console(quiet=True))
    assert not run.finished(tmp_path)


def test_early_stopping_counts_epochs_without_a_lower_val_loss():
    rows = [{"val_loss": loss} for loss in (3.0, 2.0, 2.0, 2.5, 2.1)]
    assert [train.should_stop(rows[:n], 2) for n in range(6)] == [
        False,
        False,
        False,
        False,
        True,
        True,
    ]
    assert not train.should_stop(rows, 0)
    assert run.best_epoch(rows) == 2


def test_early_stopping_padding_scaling_and_tensorboard_in_one_run(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "should_stop", lambda history, patience: len(history) == patience)
    changed = dataclasses.replace(
        settings, epochs=9, early_stopping=1, precision="float16", tensorboard=True
    )
    metrics = train.train(
        changed,
        dataclasses.replace(INPUTS, last_batch="pad"),
        out=tmp_path,
        console=Console(quiet=True),
    )
    assert metrics["epochs"] == 1
    assert metrics["stopped_early"]
    # 27 images fill three batches of 8 and, padded, a fourth.
    assert history(tmp_path)[0]["learning_rate"] == pytest.approx(0.05 / (1 + 0.0005 * 4), rel=1e-5)
    assert list((tmp_path / "tensorboard").rglob("events.*"))


def test_killed_at_any_moment_a_run_resumes_to_the_same_weights(settings, tmp_path):
    """The moment is another in every run of this test: before, in or between epochs."""
    settings = dataclasses.replace(settings, epochs=8, dropout=0.3, fine_tune=5)
    reference, killed = tmp_path / "reference", tmp_path / "killed"
    train.train(settings, INPUTS, out=reference, console=Console(quiet=True))
    arguments = [sys.executable, "-m", "model.train", "--out", str(killed), *command(settings)]
    with subprocess.Popen(
        arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        _wait_for_rows(killed, random.randint(0, 6), process)
        time.sleep(random.uniform(0, 0.1))
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert not run.finished(killed)
    outcome = CliRunner().invoke(train.main, ["--out", str(killed), "--resume"])
    assert outcome.exit_code == 0
    for name in run.MODELS.values():
        for ours, theirs in zip(weights(killed / name), weights(reference / name), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    figures = ("epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
    assert [[row[name] for name in figures] for row in history(killed)] == [
        [row[name] for name in figures] for row in history(reference)
    ]


def _wait_for_rows(out, rows, process):
    """Waits until the history has so many rows, and a state file goes with it."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        if (out / run.HISTORY).exists() and len(history(out)) >= rows:
            return
        time.sleep(0.01)
    raise AssertionError(f"no {rows} epochs in time; exit status {process.poll()}")


def test_the_network_is_that_of_the_settings(finished, settings):
    out, _ = finished
    record, model = run.load(out)
    assert record.train == settings
    assert record.inputs.preprocess == backbones.find_backbone("mobilenet").preprocess == "tf"
    assert model.output_shape == (None, 3)
    assert record.environment["backend"] == keras.backend.backend()
