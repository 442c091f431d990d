"""The index over prepared shards: what a dataset holds, which images belong to a split, damaged shards."""

import itertools
import os
import shutil

import pytest
import tensorflow_datasets as tfds

import pipeline
from pipeline.records import open_records


def test_describe(data_dir):
    found = pipeline.describe("emotionroi/jpeg256", data_dir=data_dir)
    assert found.splits == {"train": 30, "test": 12}
    assert (found.storage, found.image_size, len(found.class_names)) == ("jpeg", 256, 6)
    assert pipeline.describe("emotionroi/original", data_dir=data_dir).image_size is None


def test_twitter_selection(data_dir):
    described = {level: pipeline.describe("twitter1/raw256", data_dir=data_dir, agreement=level) for level in (5, 4, 3)}
    sizes = [described[level].splits["all"] for level in (5, 4, 3)]
    assert sizes == sorted(sizes)
    for level in (5, 4, 3):
        splits = described[level].splits
        assert splits["train"] + splits["validation"] == splits["all"]
        assert splits["validation"] == int(0.2 * splits["all"])
    held_out = [
        pipeline.filenames("twitter1/raw256", split="validation", data_dir=data_dir, agreement=3, fold=fold)
        for fold in range(5)
    ]
    everything = pipeline.filenames("twitter1/raw256", split="all", data_dir=data_dir, agreement=3)
    assert sorted(itertools.chain(*held_out)) == sorted(everything)


def test_missing_dataset_names_the_command(tmp_path):
    with pytest.raises(pipeline.InputError, match="tfds build builders/emotionroi --config jpeg256"):
        pipeline.load("emotionroi/jpeg256", split="train", data_dir=str(tmp_path))


def test_damaged_shard_is_named(data_dir, tmp_path):
    copy = shutil.copytree(os.path.join(data_dir, "emotionroi", "raw256"), tmp_path / "emotionroi" / "raw256")
    shard = next(copy.glob("*/*train.tfrecord-00001*"))
    os.truncate(shard, shard.stat().st_size - 100)
    with pytest.raises(pipeline.InputError, match=shard.name):
        pipeline.load("emotionroi/raw256", split="train", data_dir=str(tmp_path))


def test_fields_of_records(photos, data_dir):
    """The index agrees with TFDS's own reader."""
    records = open_records("emotionroi/raw256", split="all", data_dir=data_dir, settings=pipeline.Settings())
    builder = tfds.builder_from_directory(os.path.join(data_dir, "emotionroi", "raw256", "1.0.0"))
    read = {
        element["filename"].decode(): (element["label"], element["image"].shape[:2])
        for element in tfds.as_numpy(builder.as_dataset(split="all"))
    }
    indexed = zip(records.filename, records.label, map(tuple, records.shape), strict=True)
    assert {name: (label, shape) for name, label, shape in indexed} == read
