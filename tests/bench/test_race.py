"""`bench.race`: the same training by two, end to end, and what is said of it."""

import dataclasses
import itertools
import json

import numpy as np

from sentiflow import pipeline
from sentiflow.bench import docs, race
from sentiflow.bench.contestants import original
from sentiflow.bench.harness.inputs import export_photos
from sentiflow.bench.ours import reference
from sentiflow.bench.show.race import OURS, REFERENCE, Finish
from sentiflow.model.settings import TrainSettings
from sentiflow.model.training import start


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


def test_the_reference_is_shown_what_ours_is(data_dir, tmp_path):
    """The same held-out photographs with the same values, in an order of its own."""
    settings = TrainSettings(backbone="mobilenet", data_dir=data_dir)
    record = start.make_record(settings, pipeline.Settings(batch_size=8))
    folders = {
        split: export_photos("emotionroi", split=split, data_dir=data_dir, folder=tmp_path / split)
        for split in ("train", "test")
    }
    task = race.make_task(record, folders["train"])
    try:
        reference.set_preprocessing(task, record.inputs.preprocess)
        batches = list(itertools.islice(reference.read_held_out(task, str(folders["test"])), 2))
    finally:
        original.directory_iterator.cache_clear()
    theirs, labels = (np.concatenate(parts) for parts in zip(*batches, strict=True))
    stream = record.data.load("test", settings=record.inputs).as_numpy_iterator()
    ours, same_labels = (np.concatenate(parts) for parts in zip(*stream, strict=True))
    assert len(ours) == len(theirs) == 12
    for image, label in zip(ours, same_labels, strict=True):
        errors = np.abs(theirs - image).max(axis=(1, 2, 3))
        assert errors.min() < 1e-5
        assert labels[errors.argmin()] == label


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
    theirs, ours = json.loads(out.read_text())
    assert (theirs["name"], ours["name"]) == (REFERENCE, OURS)
    assert theirs["seconds"] > 0 < ours["seconds"]
    assert 0 <= theirs["accuracy"] <= 1 >= ours["accuracy"] >= 0
    assert f"{theirs['seconds']:.0f} s become {ours['seconds']:.0f} s" in result.output
