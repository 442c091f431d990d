"""A run of 150 classes from its dataset to its report and its predictions."""

import json

import many_classes
import numpy as np
import pytest
import tiny_dataset
from click.testing import CliRunner
from PIL import Image
from run_files import QUIET

from sentiflow import pipeline
from sentiflow.model import evaluate, predict
from sentiflow.model.reports import plots
from sentiflow.model.settings import TrainSettings
from sentiflow.model.training import ending, loop
from sentiflow.model.training.record import METRICS

INPUTS = pipeline.Settings(batch_size=32, image_size=tiny_dataset.IMAGE_SIZE)


@pytest.fixture(scope="module")
def without_figures():
    """Nothing is drawn as PNG, which other tests look at."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("draw_charts", "draw_confusion"):
            patch.setattr(plots, name, lambda *_, **__: None)
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory, small_backbone, without_figures):
    """A run that died in its evaluation, and was resumed."""
    place = tmp_path_factory.mktemp("many")
    many_classes.write(place)
    settings = TrainSettings(
        dataset=many_classes.NAME,
        data_dir=str(place),
        backbone="small",
        weights="none",
        head="linear",
        epochs=1,
        label_smoothing=0.1,
        precision="float32",
    )
    out = place / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ending, "evaluate", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            loop.train(settings, INPUTS, out=out, console=QUIET)
    assert not (out / METRICS).exists()
    loop.train(settings, INPUTS, out=out, resume=True, console=QUIET)
    return out


def test_it_is_finished_with_a_report(run):
    assert json.loads((run / METRICS).read_text())["test"]["accuracy"] <= 1
    page = (run / "report.html").read_text()
    assert "130 classes between" in page
    assert "Shown are the 15 most confused of 150 classes." in page
    assert len(page) < 1_000_000


def test_evaluate_prints_the_figures_and_sparse_json(run):
    arguments = ["--run", str(run), "--split", "test"]
    printed = CliRunner().invoke(evaluate.main, arguments).stdout
    assert len(printed.splitlines()) == 2
    values = json.loads(CliRunner().invoke(evaluate.main, [*arguments, "--json"]).stdout)
    assert np.array(values["confusion_triples"])[:, 2].sum() == values["images"] == 120
    assert "confusion_matrix" not in values
    assert len(values["per_class"]) == 150


def test_predict_tells_the_ten_most_probable(run, tmp_path):
    Image.new("RGB", (50, 40), (200, 30, 60)).save(tmp_path / "a.png")
    arguments = ["--run", str(run), str(tmp_path / "a.png")]
    (row,) = json.loads(CliRunner().invoke(predict.main, [*arguments, "--json"]).stdout)
    shares = list(row["probabilities"].values())
    assert len(shares) == 10
    assert shares == sorted(shares, reverse=True)
    assert row["label"] == next(iter(row["probabilities"]))
    line = CliRunner().invoke(predict.main, [*arguments, "--explain", str(tmp_path / "e")]).stdout
    assert line.count("class ") == 10
    assert len(list((tmp_path / "e").iterdir())) == 1
