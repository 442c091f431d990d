"""What reports of a run and of a set of experiments contain."""

import csv
import json
import re

import numpy as np
import pytest
import report_samples
import tiny_dataset
from click.testing import CliRunner
from PIL import Image
from scipy.sparse import csr_array

from sentiflow.model import report
from sentiflow.model.reports import card, charts, comparison, page, pictures, results, run_page
from sentiflow.model.scores import confusion, maps, metrics
from sentiflow.model.scores.predictions import Predictions, read_predictions
from sentiflow.model.training import checkpoint
from sentiflow.model.training.record import SETTINGS, read_record
from sentiflow.pipeline import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return report_samples.write_run(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def run_report(folder):
    return run_page.write_run(folder).read_text()


def text(page):
    """What a reader sees, blanks made even."""
    body = re.sub(r"<(style|title)>.*?</\1>", "", page, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", body).split())


def test_a_report_tells_the_figures_of_the_run(folder, run_report):
    result = json.loads((folder / "evaluation-test.json").read_text())
    shown = text(run_report)
    assert f"{100 * result['accuracy']:.1f} % of 10 test images classified correctly" in shown
    # The test split has 4 blue, 3 green and 3 red images; ln 3 is the loss of an even guess.
    assert "always the most frequent class: 40.0%" in shown
    assert "guessing: 1.099" in shown
    for name, row in result["per_class"].items():
        assert (
            f"{name} {row['f1-score']:.3f} {row['precision']:.1%} {row['recall']:.1%} "
            f"{row['support']:.0f}" in shown
        )
    assert "The validation loss was lowest after epoch 2 of 3" in shown
    # 20, 10 and 10 seconds, of which 1, 0.2 and 0.2 were spent waiting.
    assert "training waited for pictures 3.5% of the time" in shown.lower()
    assert "Training time 40.0 s" in shown


def test_settings_that_differ_from_experiment_1_come_first(folder):
    rows = run_page.compare_settings(read_record(folder))
    differ = {row.name: (row.value, row.reference) for row in rows if row.differs}
    assert differ["epochs"] == ("3", "20")
    assert differ["batch_size"] == ("8", "32")
    assert "learning_rate" not in differ
    assert "data_dir" not in differ


def test_the_dataset_card_counts_and_lists(run_report):
    shown = text(run_report)
    assert "blue 9 3 4 green 9 2 3 red 9 2 3 all 27 7 10" in shown
    assert "images 44" in shown
    assert "storage raw" in shown


def test_pictures_are_those_of_the_predictions(folder):
    """Every picture has the colour of its true class, however it was predicted."""
    record, network = checkpoint.load(folder)
    predictions = read_predictions(folder / "predictions-test.csv", tiny_dataset.CLASSES)
    right, wrong = pictures.most_confident(predictions)
    correct = predictions.predicted == predictions.labels
    assert len(right)
    assert correct[right].all()
    assert not correct[wrong].any()
    assert len(wrong) == min((~correct).sum(), pictures.WRONG) > 0
    for chosen in (right, wrong):
        confidence = predictions.confidence[chosen]
        assert (np.diff(confidence) <= 0).all()
    shown = pictures.photos(record, network, predictions, np.arange(10), split="test")
    for photo in shown:
        pixels = report_samples.decode(photo.picture)
        assert pixels.shape == (32, 32, 3)
        assert tiny_dataset.CLASSES[2 - pixels.mean(axis=(0, 1)).argmax()] == photo.label
        assert photo.filename.startswith(f"test/{photo.label}-")
        # What the map adds to the grey picture differs between its coolest and its hottest place.
        overlay, grey = (
            report_samples.decode(photo.map),
            np.asarray(Image.fromarray(pixels).convert("L")),
        )
        added = overlay.mean(axis=2) - (1 - maps.OPACITY) * grey
        assert np.ptp(added) > 60


def test_the_same_files_give_the_same_report(folder, run_report):
    _, network = checkpoint.load(folder)
    assert run_page.write_run(folder, network=network).read_text() == run_report
    outcome = CliRunner().invoke(report.main, ["--run", str(folder)])
    assert outcome.exit_code == 0
    assert (folder / page.REPORT).read_text() == run_report


def test_a_report_without_its_dataset_says_so(folder, tmp_path):
    lost = report_samples.copy_without_dataset(folder, tmp_path / "lost")
    report_page = run_page.write_run(lost).read_text()
    assert "<img" not in report_page
    assert "There are no pictures here: tiny/raw32 is not in" in text(report_page)
    assert "of 10 test images classified correctly" in text(report_page)


def test_what_is_no_finished_run_or_set_is_refused(folder, tmp_path):
    (tmp_path / SETTINGS).write_bytes((folder / SETTINGS).read_bytes())
    (tmp_path / page.REPORT).write_text("kept")
    for option, message in (("--run", "holds no epoch"), ("--set", "results.json is missing")):
        outcome = CliRunner().invoke(report.main, [option, str(tmp_path)])
        assert outcome.exit_code == 2
        assert message in outcome.stderr
        assert outcome.stderr.count("\n") == 1
    assert (tmp_path / page.REPORT).read_text() == "kept"
    (tmp_path / results.RESULTS).write_text("[]")
    outcome = CliRunner().invoke(report.main, ["--set", str(tmp_path)])
    assert "has no rows" in outcome.stderr


def test_left_out_files_are_listed_and_escaped(folder, tmp_path, monkeypatch):
    facts = card.describe(
        {
            "odd": {"a": 1},
            "source_sizes": {"width": {"median": 1600}, "height": {"median": 400}},
            "class_counts": {"blue": 1},
            "unknown": None,
        }
    )
    bad = [{"filename": "<script>x</script>.jpg", "reason": "truncated"}]
    made = card.Card({"train": [1, 1, 1]}, facts, bad)
    monkeypatch.setattr(card, "read_card", lambda record: made)
    report_page = run_page.write_run(report_samples.copy(folder, tmp_path / "run")).read_text()
    assert "<script" not in report_page
    assert "&lt;script&gt;x&lt;/script&gt;.jpg" in report_page
    assert "odd a 1" in text(report_page)
    assert "source sizes width: median 1,600; height: median 400" in text(report_page)


def test_confusions_are_the_most_frequent_mistakes():
    matrix = np.array([[5, 0, 2], [3, 4, 0], [0, 1, 9]])
    found = confusion.confusions(csr_array(matrix), ["a", "b", "c"])
    assert found == [
        confusion.Confusion("b", "a", 3, 7),
        confusion.Confusion("a", "c", 2, 7),
        confusion.Confusion("c", "b", 1, 10),
    ]


def test_a_curve_runs_where_its_values_say():
    y = charts.value_axis(0.0, 1.0, text=charts.percent, ticks=5)
    assert [label for _, label in y.ticks] == ["0%", "20%", "40%", "60%", "80%", "100%"]
    lines = [charts.Line("held out", "held-out", values) for values in ([0.25, 0.5], [0.75, 1.0])]
    chart = charts.by_epoch("Accuracy", lines, y=y, text=charts.percent)
    # Two epochs: their middles lie at a quarter and three quarters; y points down.
    assert chart.lines == [
        ("held-out", [(25.0, 75.0), (75.0, 50.0)]),
        ("held-out", [(25.0, 25.0), (75.0, 0.0)]),
    ]
    assert [(c.left, c.width, c.heading) for c in chart.columns] == [
        (0.0, 50.0, "epoch 1"),
        (50.0, 50.0, "epoch 2"),
    ]
    assert [mark.text for column in chart.columns for mark in column.marks] == ["50%", "75%"]
    assert chart.label == "Accuracy by epoch. After epoch 2: held out 75%."


def test_the_reliability_diagram_stands_on_the_bins():
    probabilities = np.array([[0.95, 0.05], [0.95, 0.05], [0.45, 0.55]])
    batches = [(probabilities, np.array([0, 1, 1]))]
    predictions = Predictions.of(["a", "b", "c"], batches)
    above, below = charts.reliability(metrics.calibration(predictions, bins=10))
    assert above.bars == [
        ("held-out", 50.0, 0.0, 10.0, 100.0),
        ("held-out", 90.0, 50.0, 10.0, 50.0),
    ]
    assert [bar[4] for bar in below.bars] == [50.0, 100.0]
    assert [mark.text for mark in above.columns[1].marks] == ["50.0%", "95.0%", "2"]


@pytest.fixture(scope="module")
def experiments(tmp_path_factory):
    return report_samples.write_set(tmp_path_factory.mktemp("set"))


def test_repeats_are_gathered(experiments):
    rows = results.read_rows(experiments / results.RESULTS)
    first, second, third = comparison.gather(experiments, rows)
    assert (first.title, second.title, third.title) == ("1", "8", "mixup")
    assert first.mean("accuracy") == pytest.approx(0.52)
    assert first.deviation == pytest.approx(0.02)  # of 0.50, 0.52 and 0.54
    assert first.published == 0.54
    assert second.published == pytest.approx(0.81)  # given as 81
    assert second.deviation is None
    # After the last epoch 0.9 of training and 0.6 of held-out images.
    assert first.gap == pytest.approx(0.3)
    assert first.links == [("seed\N{NO-BREAK SPACE}0", "runs/1%20seed%200/report.html")]
    ((shared, axis, members),) = comparison.ablations([first, second, third])
    assert shared == "emotionroi/raw256, official"
    assert members == [first, third]
    assert axis.low <= 0.5
    assert axis.high >= 0.58


def test_a_set_is_shown_beside_the_published_figures(experiments):
    shown = text(page.write_set(experiments).read_text())
    assert "3 experiments, 5 runs" in shown
    assert "52.0% ± 2.0 54.0% \N{MINUS SIGN}2.0" in shown
    assert "83.0% 81.0% +2.0" in shown
    assert "mixup 57.0% +5.0" in " ".join(shown.split("Ablations")[-1].split())


def test_curves_of_a_set_share_their_axes(experiments):
    rows = results.read_rows(experiments / results.RESULTS)
    shown = comparison.curves(comparison.gather(experiments, rows))
    for measure in ("accuracy", "loss"):
        axes = {
            (chart.x.low, chart.x.high, chart.y.low, chart.y.high) for _, chart in shown[measure]
        }
        assert len(axes) == 1
    (_, chart), *_ = shown["accuracy"]
    assert chart.x.high == 4.5  # the longest run has four epochs, this one two
    assert len(chart.lines) == 6  # three seeds, trained and held out
    assert len(chart.columns) == 2


def test_damaged_results_are_refused(experiments, tmp_path):
    rows = json.loads((experiments / results.RESULTS).read_text())
    rows[0]["accuracy"] = 54
    (tmp_path / results.RESULTS).write_text(json.dumps(rows))
    with pytest.raises(InputError, match=r"results.json is not the result.*Received: 54"):
        page.write_set(tmp_path)


def test_predictions_are_read_back(folder):
    with (folder / "predictions-test.csv").open() as file:
        rows = list(csv.reader(file))[1:]
    predictions = read_predictions(folder / "predictions-test.csv", tiny_dataset.CLASSES)
    assert predictions.filenames == [row[0] for row in rows]
    assert [tiny_dataset.CLASSES[i] for i in predictions.labels] == [row[1] for row in rows]
    assert [tiny_dataset.CLASSES[i] for i in predictions.predicted] == [row[2] for row in rows]
