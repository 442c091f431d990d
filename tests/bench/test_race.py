"""`bench.race`: the same training by two, end to end, and what is said of it."""

import dataclasses
import json

import pytest

from sentiflow.bench import docs, race
from sentiflow.bench.show.race import OURS, REFERENCE, Finish


def finish(name, seconds, **changes):
    facts = {"commit": "abc", "environment": {"cpu": "x", "cores": 2}}
    values = {"spread": 0.1, "runs": 3, "accuracy": 0.5, "dataset": "emotionroi", "images": 420}
    setting = {"held_out": 180, "backbone": "resnet101", "epochs": 20, "backend": "tensorflow"}
    return Finish(name=name, seconds=seconds, device="CPU", **values, **setting, **facts, **changes)


def test_the_sentence_is_of_the_medians(tmp_path):
    path = tmp_path / "race.json"
    rows = [finish(REFERENCE, 100.0), finish(OURS, 8.0)]
    path.write_text(json.dumps([dataclasses.asdict(row) for row in rows]))
    page = docs.fill("<!-- race race.json -->\n<!-- end -->", tmp_path)
    assert "**The same training, 12.5 times sooner**: 100 s become 8 s, from the start" in page
    assert "| generator and fit | 100.0 | 10% | 3 | 0.500 |" in page
    assert "x, 2 cores; commit abc" in page


def test_both_train_the_same_network(data_dir, tmp_path, invoke):
    out = tmp_path / "rows.json"
    network = ("--backbone", "mobilenet", "--backbone_options", "alpha=0.25", "--weights", "none")
    options = (
        "--data_dir",
        data_dir,
        *network,
        "--epochs",
        1,
        "--batch_size",
        8,
        "--times",
        1,
        "--json",
        out,
    )
    result = invoke(race.main, *options)
    assert result.exit_code == 0, result.output
    reference, ours = json.loads(out.read_text())
    assert (reference["name"], ours["name"]) == (REFERENCE, OURS)
    assert reference["seconds"] > 0 < ours["seconds"]
    # Random features and one epoch: both say the same of most images.
    assert ours["accuracy"] == pytest.approx(reference["accuracy"], abs=0.5)
    assert f"{reference['seconds']:.0f} s become {ours['seconds']:.0f} s" in result.output
