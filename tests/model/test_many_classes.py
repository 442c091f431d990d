"""What is kept, written and shown of many classes grows with images plus classes."""

import csv
import json
import tracemalloc

import keras
import many_classes
import numpy as np
import pytest
from PIL import Image
from scipy.sparse import csr_array

from sentiflow import pipeline
from sentiflow.model.reports import card, run_page
from sentiflow.model.scores import confusion, metrics, predictions, split
from sentiflow.model.scores.predictions import Predictions, read_predictions
from sentiflow.model.settings import TrainSettings
from sentiflow.model.training import targets
from sentiflow.model.training.history import EpochRow, write_history
from sentiflow.model.training.record import Environment, Record, write_record
from sentiflow.options import brief
from sentiflow.pipeline.pictures import spread

CLASSES, IMAGES = 10_000, 1_000
NAMES = many_classes.names(CLASSES)
FILES = [f"test/{number}.jpg" for number in range(IMAGES)]
# All probabilities of the images are 40 MB, the confusion matrix 800 MB.
MOST_BYTES = 36e6


@pytest.fixture
def bounded():
    """No more memory than `MOST_BYTES` may be taken at a time."""
    tracemalloc.start()
    yield
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < MOST_BYTES


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of a run whose network and dataset are nowhere."""
    place = tmp_path_factory.mktemp("run")
    settings = TrainSettings(dataset=many_classes.NAME, data_dir=str(place / "gone"), epochs=1)
    images = {"train": 3 * CLASSES, "validation": 0, "test": IMAGES}
    dataset = pipeline.Description(many_classes.NAME, NAMES, images, "raw", 32)
    environment = Environment.current(precision="float32", device="CPU")
    record = Record(settings, pipeline.Settings(), dataset, environment)
    write_record(place, record)
    figures = [field for field in EpochRow.__dataclass_fields__ if field != "epoch"]
    write_history(place, [EpochRow(epoch=1, **dict.fromkeys(figures, 0.5))])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(split, "predict_split", lambda *_, **__: drawn())
        split.evaluate(place, record, None, split="test")
    return place


def drawn():
    """Random predictions, of which four in five are right."""
    return Predictions.of(FILES, many_classes.batches(CLASSES, IMAGES, right=0.8))


def test_predictions_and_scores_of_10000_classes_are_small(bounded):
    made = drawn()
    scores = metrics.score(made, NAMES)
    assert made.probabilities.shape == (IMAGES, predictions.KEPT)
    assert scores.accuracy == pytest.approx(0.8, abs=0.03)
    assert sum(row["support"] for row in scores.per_class.values()) == IMAGES
    values = json.loads(json.dumps(scores.as_json()))
    assert len(values["confusion_triples"]) <= IMAGES
    again = metrics.Scores.read(values).confusion_matrix
    assert (again != scores.confusion_matrix).nnz == 0


def test_the_most_probable_classes_are_kept_with_what_the_loss_needs():
    whole = list(many_classes.batches(CLASSES, 100, right=0.8))
    made = Predictions.of(FILES[:100], whole)
    ((probabilities, labels),) = whole
    np.testing.assert_array_equal(made.predicted, probabilities.argmax(axis=1))
    np.testing.assert_array_equal(made.of_label, probabilities[np.arange(100), labels])
    np.testing.assert_array_equal(made.probabilities, -np.sort(-probabilities)[:, :10])
    assert metrics.score(made, NAMES).loss == pytest.approx(
        -np.log(probabilities[np.arange(100), labels]).mean(), rel=1e-5
    )


def test_of_a_hundred_classes_everything_is_kept():
    ((probabilities, labels),) = many_classes.batches(100, 100, right=0.5)
    made = Predictions.of(FILES[:100], [(probabilities, labels)])
    np.testing.assert_array_equal(made.by_class, probabilities)
    assert predictions.shown_labels(probabilities[0]) == list(range(100))
    written = confusion.as_json(confusion.count(labels, made.predicted, 100))
    assert list(written) == ["confusion_matrix"]
    assert np.array(written["confusion_matrix"])[7, 3] > 10


def test_predictions_are_read_back(folder):
    path = folder / "predictions-test.csv"
    with path.open(newline="") as file:
        header, first, *_ = csv.reader(file)
    assert header[:6] == [
        *("filename", "label", "predicted", "probability_of_label", "class_1", "probability_1")
    ]
    assert len(header) == len(first) == 24
    again, made = read_predictions(path, NAMES), drawn()
    assert again.filenames == FILES
    for name in ("labels", "classes"):
        np.testing.assert_array_equal(getattr(again, name), getattr(made, name))
    for name in ("of_label", "probabilities"):
        np.testing.assert_allclose(getattr(again, name), getattr(made, name), atol=1e-6)


def test_files_and_figures_of_10000_classes_are_bounded(folder):
    with Image.open(folder / "confusion-test.png") as picture:
        assert max(picture.size) < 3500
    values = json.loads((folder / "confusion-test.json").read_text())
    assert list(values) == ["class_names", "confusion_triples"]
    labels, _, images = np.array(values["confusion_triples"]).T
    assert images.sum() == IMAGES
    assert (np.diff(labels) >= 0).all()
    assert sum(path.stat().st_size for path in folder.iterdir()) < 6e6


def test_the_page_of_10000_classes_chooses(folder):
    page = run_page.write_run(folder).read_text()
    assert len(page) < 300_000
    assert "Shown are the 15 most confused of 10,000 classes." in page
    assert "9,985 others" in page
    assert "class 00007 for class 00003 (" in page
    assert page.count("<tr>") < 200


def test_the_table_shows_the_most_confused_and_counts_the_others():
    matrix = np.diag(np.arange(40))
    matrix[5, 6], matrix[8, 2], matrix[5, 30] = 9, 8, 1
    table = confusion.table(csr_array(matrix), [str(label) for label in range(40)])
    assert table.rows[:8] == ["5", "6", "8", "2", "30", "39", "38", "37"]
    assert table.columns == [*table.rows, "25 others"]
    assert table.images[0, :5].tolist() == [5, 9, 0, 0, 1]
    matrix[5, 0] = 4
    matrix[39, 9:30] = 1  # of these 21 classes, 8 are shown
    table = confusion.table(csr_array(matrix), [str(label) for label in range(40)])
    assert table.images.sum(axis=1).tolist() == [matrix[int(row)].sum() for row in table.rows]
    assert table.images[table.rows.index("39"), -1] == 13


def test_the_card_of_many_classes_sums_up():
    counts = {"train": list(range(150)), "test": [1] * 150}
    rows = card.Card(counts, {}, []).rows(many_classes.names(150))
    assert rows[0] == ("class 00149", [149, 1])
    assert rows[10] == ("130 classes between", [sum(range(10, 140)), 130])
    assert rows[-1] == ("class 00000", [0, 1])
    assert len(rows) == 21


def test_targets_of_10000_classes_are_small(bounded):
    settings = TrainSettings(label_smoothing=0.5, class_weights="balanced")
    labels = np.arange(CLASSES)
    made = targets.table(settings, labels, NAMES).vectors(np.array([1, 9_999]), ops=keras.ops)
    made = keras.ops.convert_to_numpy(made)
    assert made[0, 1] == made[1, 9_999] == pytest.approx(0.5 + 0.5 / CLASSES)
    np.testing.assert_allclose(made.sum(axis=1), 1, rtol=1e-3)


def test_images_take_turns_among_the_classes():
    labels = np.array([2, 0, 0, 1, 2, 0, 2])
    assert spread(labels, 6).tolist() == [1, 3, 0, 2, 4, 5]


def test_a_message_shows_the_beginning_of_a_long_list():
    assert brief(["a", "b"]) == "['a', 'b']"
    assert brief(NAMES).endswith("'class 00019'] and 9,980 more")
