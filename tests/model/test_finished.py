"""What a finished run holds, and what is made of it, on either Keras backend."""

import csv
import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tiny_dataset
from click.testing import CliRunner
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from run_files import history

from sentiflow.model import evaluate, predict
from sentiflow.model.networks import backbones
from sentiflow.model.reports import charts, plots
from sentiflow.model.scores import confusion, files, metrics, split
from sentiflow.model.scores.predictions import Predictions
from sentiflow.model.training import checkpoint
from sentiflow.model.training.record import METRICS, SETTINGS
from sentiflow.pipeline import InputError


def test_history_has_a_row_an_epoch(finished):
    out, text = finished
    rows = history(out)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    # 27 images: 3 updates of 8 an epoch, and lr / (1 + 0.0005 t) after them.
    for row in rows:
        assert row["learning_rate"] == pytest.approx(
            0.05 / (1 + 0.0005 * 3 * row["epoch"]), rel=1e-5
        )
        # Seconds are rounded to thousandths.
        rounded = 0.001 / row["seconds"]
        assert row["images_per_second"] == pytest.approx(24 / row["seconds"], rel=0.01 + rounded)
        assert 0 <= row["waiting_share"] <= 1
    assert "tiny/raw32: 3 classes; images: train 27, validation 7, test 10" in text
    assert text.count("images/s  waiting") == 3
    assert "epoch 3" in (out / "report.html").read_text()


def test_evaluation_counts_every_image_once(finished):
    """The same figures from Keras' own evaluation during training, and image by image."""
    out, _ = finished
    record, model = checkpoint.load(out)
    scores = split.evaluate(out, record, model, split="validation").scores
    assert scores.images == 7
    assert scores.accuracy == pytest.approx(history(out)[-1]["val_accuracy"], abs=1e-6)
    assert scores.loss == pytest.approx(history(out)[-1]["val_loss"], abs=1e-5)
    with (out / "predictions-validation.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["filename"] for row in rows) == sorted(
        f"validation/{tiny_dataset.CLASSES[i % 3]}-{i}.png" for i in range(7)
    )
    assert all(row["filename"].startswith(f"validation/{row['label']}-") for row in rows)


@pytest.mark.on_one_backend
def test_evaluate_prints_one_json_object(finished):
    out, _ = finished
    outcome = CliRunner().invoke(evaluate.main, ["--run", str(out), "--split", "test", "--json"])
    assert outcome.exit_code == 0
    printed = json.loads(outcome.stdout)
    assert printed["accuracy"] == json.loads((out / METRICS).read_text())["test"]["accuracy"]
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
    assert json.loads((out / METRICS).read_text())["best_epoch"] == best
    record, model = checkpoint.load(out, model="best")
    predictions = split.predict_split(record, model, split="validation")
    loss = -np.log(predictions.of_label).mean()
    assert loss == pytest.approx(history(out)[best - 1]["val_loss"], abs=1e-5)


@pytest.mark.on_one_backend
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


@pytest.mark.on_one_backend
def test_predict_shows_odd_names_as_text(finished, tmp_path):
    out, _ = finished
    Image.new("RGB", (50, 40)).save(tmp_path / "picture.png")
    (tmp_path / "picture.png").rename(tmp_path / os.fsdecode(b"a\x1b[31m\n\xe9.png"))
    (tmp_path / "b\x9b.png").write_bytes(b"no picture")
    outcome = CliRunner().invoke(predict.main, ["--run", str(out), str(tmp_path)])
    assert rf"{tmp_path}/a\x1b[31m\x0a\xe9.png: " in outcome.stdout
    assert r"b\x9b.png" in outcome.stderr
    assert (outcome.stdout.count("\n"), outcome.stderr.count("\n")) == (1, 1)


def test_predict_sees_the_pixels_that_the_pipeline_serves(finished, tmp_path):
    out, _ = finished
    record, model = checkpoint.load(out)
    pixels = np.random.default_rng(0).integers(0, 256, (36, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    ((_, probabilities),) = files.predict(record, model, [tmp_path / "a.png"])
    window = pixels[2:34, 4:36].astype("float32") / 127.5 - 1
    np.testing.assert_allclose(probabilities, model.predict_on_batch(window[None])[0], atol=1e-6)


def test_an_unfinished_run_cannot_be_loaded(finished, tmp_path):
    with pytest.raises(InputError, match="holds no run"):
        checkpoint.load(tmp_path)
    out, _ = finished
    (tmp_path / SETTINGS).write_bytes((out / SETTINGS).read_bytes())
    with pytest.raises(InputError, match=r"unfinished run: model.keras is missing.*--resume"):
        checkpoint.load(tmp_path)


@pytest.mark.on_one_backend
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


@pytest.mark.on_one_backend
def test_no_title_is_cut_off(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, path, **_: figures.append((figure, path.touch()))
    )
    title = "emotionroi/jpeg256, validation\naccuracy 100.0% of 1980 images"
    rng = np.random.default_rng(0)
    probabilities, labels = rng.dirichlet(np.ones(2), 50), rng.integers(0, 2, 50)
    predictions = Predictions.of([""] * 50, [(probabilities, labels)])
    calibration = metrics.calibration(predictions)
    diagram = charts.reliability(calibration)
    plots.draw_charts(diagram, tmp_path / "calibration.png", title=title, stacked=True)
    names = ["negative", "positive"]
    table = confusion.Table(names, names, np.eye(2, dtype=int))
    plots.draw_confusion(table, tmp_path / "confusion.png", title=title)
    assert len(figures) == 2
    for figure, _ in figures:
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        texts = [text for text in figure.findobj(Text) if text.get_text().startswith(title)]
        assert texts
        for text in texts:
            box = text.get_window_extent(canvas.get_renderer())
            assert box.x0 >= 0
            assert box.x1 <= figure.bbox.width


def test_the_network_is_that_of_the_settings(finished, small):
    out, _ = finished
    record, model = checkpoint.load(out)
    assert record.train == small
    assert record.inputs.preprocess == backbones.find_backbone("small").preprocess == "tf"
    assert model.output_shape == (None, 3)
    assert record.environment.backend == keras.backend.backend()
