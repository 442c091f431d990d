"""Sets of experiments on a tiny dataset: what is planned, written and compared."""

import csv
import json

import numpy as np
import pytest
from click.testing import CliRunner

from sentiflow import machine
from sentiflow.model import experiments
from sentiflow.model.reports import results
from sentiflow.model.scores import split
from sentiflow.model.training import checkpoint, protocols, recipe
from sentiflow.model.training.protocols import Experiment, Protocol
from sentiflow.pipeline import InputError

NINE = protocols.EXPERIMENTS
EXPERIMENTS = (Experiment(1, "tiny", 8, 0.05, 2, 0.54), Experiment(2, "tiny", 4, 0.01, 1))


@pytest.fixture(scope="module", autouse=True)
def few(small_backbone, without_pictures):
    """Two experiments for nine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(protocols, "EXPERIMENTS", EXPERIMENTS)
        yield


def invoke(out, data_dir, *more):
    options = [
        "--backbone=small",
        "--weights=none",
        "--precision=float32",
        "--image_size=32",
        "--config=raw32",
    ]
    return CliRunner().invoke(
        experiments.main, ["--out", str(out), "--data_dir", str(data_dir), *options, *more]
    )


@pytest.fixture(scope="module")
def finished(tiny_dir, tmp_path_factory):
    """A finished set, two seeds, and what it printed."""
    out = tmp_path_factory.mktemp("set")
    outcome = invoke(out, tiny_dir, "--seeds=2", "--seed=5")
    assert outcome.exit_code == 0, outcome.output
    return out, outcome.output


def test_every_run_has_a_row_and_an_ordinary_folder(finished):
    out, printed = finished
    rows = json.loads((out / results.RESULTS).read_text())
    assert [(row["experiment"], row["batch_size"], row["seed"]) for row in rows] == [
        (1, 8, 5),
        (1, 8, 6),
        (2, 4, 5),
        (2, 4, 6),
    ]
    assert [row["published"] for row in rows] == [0.54, 0.54, None, None]
    for row in rows:
        record, network = checkpoint.load(out / row["run"])
        assert (
            record.train.learning_rate
            == row["learning_rate"]
            == {1: 0.05, 2: 0.01}[row["experiment"]]
        )
        predictions = split.predict_split(record, network, split=row["split"])
        assert row["accuracy"] == np.mean(predictions.correct)
        assert (row["split"], row["images"], row["dataset_images"]) == ("test", 10, 44)
    # Two seeds; the second experiment rides along with the first.
    assert (
        "4 runs; through the backbone go 4 epochs (108 images) instead of 6 (162 images)" in printed
    )
    assert printed.count("accuracy 0") + printed.count("accuracy 1") >= 4


def test_the_table_tells_mean_and_deviation_beside_the_published_figure(finished):
    out, _ = finished
    rows = json.loads((out / results.RESULTS).read_text())
    first = [row["accuracy"] for row in rows[:2]]
    table = (out / results.TABLE).read_text()
    mean, deviation = np.mean(first), np.std(first, ddof=1)
    assert f"| 2 | test (10) | {mean:.1%} ± {deviation:.1%} |" in table
    assert "| 54% |" in table
    assert "They cannot be compared" in table
    *_, setting = table.splitlines()
    assert setting.startswith(f"CPU, {machine.cpu_model()}, {machine.cores()} cores; python 3.")
    assert setting.endswith(f"commit {machine.commit() or 'none'}")


def test_the_same_command_again_has_nothing_to_do_and_loses_nothing(finished, tiny_dir):
    out, _ = finished
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    outcome = invoke(out, tiny_dir, "--only=2", "--seed=6")
    assert outcome.exit_code == 0
    assert "[1/1] 2: batch 4" in outcome.output
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_other_settings_in_the_same_folder_are_refused(finished, tiny_dir):
    out, _ = finished
    outcome = invoke(out, tiny_dir, "--only=2", "--seed=6", "--rotation=0")
    assert outcome.exit_code == 2
    assert "started with rotation=20.0" in outcome.output


def test_an_ablation_has_a_run_for_each_variant(tiny_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(
        recipe, "ABLATION", {"reference": {}, "+ faster": {"learning_rate": 0.2, "epochs": 1}}
    )
    outcome = invoke(tmp_path, tiny_dir, "--ablation")
    assert outcome.exit_code == 0, outcome.output
    rows = json.loads((tmp_path / results.RESULTS).read_text())
    assert [(row["name"], row["learning_rate"], row["epochs"]) for row in rows] == [
        ("reference", 0.05, 2),
        ("+ faster", 0.2, 1),
    ]
    assert rows[0]["published"] is None
    assert rows[0]["experiment"] == "1 ablation"


def test_the_nine_experiments_are_those_of_the_reference_system():
    known = {each.number: each for each in NINE}
    assert len(known) == 9
    assert [known[n].batch_size for n in range(1, 10)] == [32, 64, 16, 32, 32, 32, 32, 32, 32]
    assert [known[n].learning_rate for n in range(1, 10)] == [
        1e-3,
        1e-3,
        1e-3,
        1e-3,
        1e-4,
        1e-4,
        1e-4,
        1e-4,
        1e-3,
    ]
    assert [known[n].epochs for n in range(1, 10)] == [20, 20, 20, 40, 20, 60, 20, 40, 60]
    assert {n: known[n].published for n in known if known[n].published} == {1: 0.54, 8: 0.81}
    passes = [
        max(each.epochs for each in NINE if each.dataset == name)
        for name in ("emotionroi", "twitter1")
    ]
    assert (sum(passes), sum(each.epochs for each in NINE)) == (120, 300)


def test_the_protocols_are_those_that_the_data_allows(data_dir):
    assert protocols.protocols("emotionroi", "raw256", data_dir, folds=True) == [
        Protocol("official", "emotionroi/raw256")
    ]
    first, *folds = protocols.protocols("twitter1", "raw256", data_dir, folds=True)
    assert first == Protocol(
        "first 20 %, agreement 5", "twitter1/raw256", {"agreement": 5, "fold": None}
    )
    assert [protocol.choice for protocol in folds] == [
        {"agreement": agreement, "fold": fold} for agreement in (5, 4, 3) for fold in range(5)
    ]
    assert {protocol.name for protocol in folds} == {f"5-fold, agreement {n}" for n in (5, 4, 3)}


def test_what_is_missing_is_named_with_the_command_that_prepares_it(tiny_dir, monkeypatch):
    monkeypatch.setattr(protocols, "EXPERIMENTS", NINE)
    outcome = invoke(tiny_dir / "set", tiny_dir)
    assert outcome.exit_code == 2
    for dataset in ("emotionroi", "twitter1"):
        assert f"prepare it with: tfds build builders/{dataset} --config raw32" in outcome.output
    with pytest.raises(InputError, match=r"numbers of 1, 2, .* Received: 1,10"):
        protocols.choose("1,10")


def test_published_figures_have_a_source():
    with results.PUBLISHED.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        assert row["dataset"] in {each.dataset for each in NINE}
        assert 0 < float(row["accuracy"]) < 1
        assert row["source"]
        assert row["note"] == "as reported, not rerun"
