"""What the benchmark reads: grown datasets, sample photographs, exported files."""

from pathlib import Path

import pytest

from sentiflow import pipeline
from sentiflow.bench.contestants import task
from sentiflow.bench.harness import inputs, modules, storages
from sentiflow.bench.harness.grown import grow
from sentiflow.bench.harness.settings import Settings
from sentiflow.builders import emotionroi
from sentiflow.builders.writing.config import StorageConfig
from sentiflow.pipeline import InputError


def stored_in(data_dir):
    examples = inputs.read_stored("emotionroi/jpeg256", split="train", data_dir=data_dir)
    return [(bytes(file), label) for file, label in examples]


def test_a_grown_dataset_holds_every_record_several_times(data_dir, tmp_path):
    grow("emotionroi/jpeg256", data_dir=data_dir, times=3, target=tmp_path)
    once = stored_in(data_dir)
    assert sorted(stored_in(str(tmp_path))) == sorted(once * 3)
    described = pipeline.open("emotionroi/jpeg256", data_dir=str(tmp_path)).describe()
    assert described.splits["train"] == 90


def test_samples_of_any_number_lie_side_by_side(tmp_path, monkeypatch, in_this_process):
    monkeypatch.chdir(tmp_path)
    for images in (60, 66, 60):
        data_dir, reasons = inputs.prepare(Settings(images=images), ("raw256",))
        described = pipeline.open("emotionroi/raw256", data_dir=data_dir).describe()
        assert (reasons, sum(described.splits.values())) == ({}, images)


def test_exported_photos_are_the_source_files(exported, photos):
    files = [(path.parent.name[4:], path.read_bytes()) for path in exported.glob("*/*.jpg")]
    lines = (photos / "training_testing_split" / "training.txt").read_text().split()
    sources = [(Path(name).parent.name, (photos / "images" / name).read_bytes()) for name in lines]
    assert sorted(files) == sorted(sources)


@pytest.mark.parametrize(
    ("name", "options", "small"),
    [
        ("raw448", {"storage": "raw", "image_size": 448}, "raw64"),
        ("jpeg256", {"storage": "jpeg", "image_size": 256}, "jpeg64"),
        ("original", {"storage": "original"}, "original"),
        (
            storages.SMALLER,
            {"storage": "jpeg", "image_size": 256, "quality": 90, "subsampling": "4:2:0"},
            "jpeg64_q90_420",
        ),
    ],
)
def test_names_of_storages_say_what_their_builder_is_told(name, options, small):
    storage = storages.parse(name)
    assert storage.name == StorageConfig(**options).name == name
    assert storage.options == options
    assert storages.resized(name, 64) == small


def test_plain_files_are_made_of_pixels_or_of_source_files():
    sources = {
        name: storages.plain_source(name)
        for name in ("jpeg448", "raw256", storages.SMALLER, "files")
    }
    assert sources == {
        "jpeg448": "raw448",
        "raw256": "raw256",
        storages.SMALLER: "raw256",
        "files": "files",
    }


def test_a_module_that_fails_is_one_line_with_its_reason():
    with pytest.raises(
        InputError, match=r"^`python -m no_such_module x` failed: .*No module named"
    ):
        modules.run_module("no_such_module", "x")
    with pytest.raises(InputError, match=r"^the search failed: "):
        modules.run_module("no_such_module", task="the search")


def test_the_geometry_of_strangers_is_that_of_pipeline_and_builders():
    """Strangers' Pythons import neither room, so the numbers stand in each of the three."""
    ours = pipeline.Settings().evaluation()
    assert (ours.image_size, ours.crop_fraction) == (task.IMAGE_SIZE, task.CROP_FRACTION)
    assert ours.interpolation == task.INTERPOLATION
    for config in ("raw256", "jpeg256"):
        metadata = emotionroi.Builder(config=config).info.metadata
        assert metadata["image_size"] == task.IMAGE_SIZE
        assert metadata["crop_fraction"] == task.CROP_FRACTION
        assert metadata["interpolation"] == task.INTERPOLATION
