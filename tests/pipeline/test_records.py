"""The index over prepared shards: what a dataset holds, a split's images, damaged shards."""

import dataclasses
import gc
import itertools
import os
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds

from sentiflow import pipeline
from sentiflow.pipeline import dataset
from sentiflow.pipeline.records import read_index


def test_describe(data_dir):
    data = pipeline.open("emotionroi/jpeg256", data_dir=data_dir)
    found = data.describe()
    assert found.splits == {"train": 30, "test": 12}
    assert (found.storage, found.image_size, len(found.class_names)) == ("jpeg", 256, 6)
    assert pipeline.open("emotionroi/original", data_dir=data_dir).image_size is None


def test_twitter_selection(data_dir):
    data = pipeline.open("twitter1/raw256", data_dir=data_dir)
    described = {level: data.describe(pipeline.Settings(agreement=level)) for level in (5, 4, 3)}
    sizes = [described[level].splits["all"] for level in (5, 4, 3)]
    assert sizes == sorted(sizes)
    for level in (5, 4, 3):
        splits = described[level].splits
        assert splits["train"] + splits["validation"] == splits["all"]
        assert splits["validation"] == int(0.2 * splits["all"])
    held_out = [data.files("validation", agreement=3, fold=fold) for fold in range(5)]
    everything = data.files("all", agreement=3)
    assert sorted(itertools.chain(*held_out)) == sorted(everything)


def test_the_same_dataset_is_indexed_once_and_anew_when_it_was_built_anew(
    data_dir, tmp_path, monkeypatch
):
    shutil.copytree(
        os.path.join(data_dir, "emotionroi", "raw256"), tmp_path / "emotionroi" / "raw256"
    )
    indexed = []
    monkeypatch.setattr(
        dataset,
        "read_index",
        lambda paths, **of: indexed.append(len(paths)) or read_index(paths, **of),
    )
    for _ in range(2):
        data = pipeline.open("emotionroi/raw256", data_dir=str(tmp_path))
        pipeline.load("emotionroi/raw256", split="train", data_dir=str(tmp_path), cache="none")
        assert sorted(data.files("train") + data.files("test")) == sorted(data.files("all"))
    assert indexed == [4]  # two shards of each split
    info = next(tmp_path.rglob("dataset_info.json"))
    os.utime(info, ns=(0, 0))
    assert pipeline.open("emotionroi/raw256", data_dir=str(tmp_path)).files("train") == data.files(
        "train"
    )
    assert indexed == [4, 4]


def test_a_dataset_that_was_built_anew_does_not_keep_the_one_before(data_dir, tmp_path):
    copy = shutil.copytree(
        os.path.join(data_dir, "emotionroi", "raw256"), tmp_path / "emotionroi" / "raw256"
    )

    def kept():
        gc.collect()
        return sum(isinstance(thing, tfds.core.DatasetInfo) for thing in gc.get_objects())

    def open_anew(number):
        os.utime(next(copy.rglob("metadata.json")), ns=(number, number))
        return pipeline.open("emotionroi/raw256", data_dir=str(tmp_path)).files("train")

    files, before = open_anew(0), kept()
    for number in range(1, 4):
        assert open_anew(number) == files
    assert kept() == before


def test_a_split_maps_its_own_shards_alone(data_dir):
    data = pipeline.open("emotionroi/raw256", data_dir=data_dir)
    for split in ("train", "test"):
        paths = data.records(split, pipeline.Settings()).paths
        assert len(paths) == 2
        assert all(f"-{split}." in path for path in paths)
    whole, test = (data.records(split, pipeline.Settings()) for split in ("all", "test"))
    np.testing.assert_array_equal(whole.number, np.arange(42))
    np.testing.assert_array_equal(test.number, np.arange(30, 42))
    assert [whole.paths[i] for i in whole.shard[30:]] == [test.paths[i] for i in test.shard]


@pytest.mark.parametrize(
    "damaged",
    [
        "[]",
        '{"storage": "RAW"}',
        '{"storage": "raw"}',
        '{"storage": "jpeg", "image_size": "256"}',
        '{"storage": "jpeg", "image_size": 256, "crop_fraction": NaN}',
    ],
)
def test_metadata_that_no_builder_writes_are_damaged(data_dir, tmp_path, damaged):
    copy = shutil.copytree(
        os.path.join(data_dir, "emotionroi", "raw256"), tmp_path / "emotionroi" / "raw256"
    )
    next(copy.rglob("metadata.json")).write_text(damaged)
    with pytest.raises(pipeline.InputError, match=r"metadata\.json is missing or damaged"):
        pipeline.open("emotionroi/raw256", data_dir=str(tmp_path))


def test_missing_dataset_names_the_command(tmp_path):
    with pytest.raises(
        pipeline.InputError, match="tfds build builders/emotionroi --config jpeg256"
    ):
        pipeline.load("emotionroi/jpeg256", split="train", data_dir=str(tmp_path))


def test_damaged_shard_is_named(data_dir, tmp_path):
    copy = shutil.copytree(
        os.path.join(data_dir, "emotionroi", "raw256"), tmp_path / "emotionroi" / "raw256"
    )
    shard = next(copy.glob("*/*train.tfrecord-00001*"))
    os.truncate(shard, shard.stat().st_size - 100)
    with pytest.raises(pipeline.InputError, match=shard.name):
        pipeline.load("emotionroi/raw256", split="train", data_dir=str(tmp_path))


def test_fields_of_records(photos, data_dir):
    """The index agrees with TFDS's own reader."""
    records = pipeline.open("emotionroi/raw256", data_dir=data_dir).records(
        "all", pipeline.Settings()
    )
    builder = tfds.builder_from_directory(os.path.join(data_dir, "emotionroi", "raw256", "1.1.0"))
    read = {
        element["filename"].decode(): (element["label"], element["image"].shape[:2])
        for element in tfds.as_numpy(builder.as_dataset(split="all"))
    }
    indexed = zip(records.filename, records.label, map(tuple, records.shape), strict=True)
    assert {name: (label, shape) for name, label, shape in indexed} == read


@pytest.mark.parametrize(
    ("column", "wrong"), [("length", 2**50), ("offset", 2**50), ("offset", -1)]
)
def test_an_index_that_leads_out_of_its_shard_gets_no_memory(data_dir, column, wrong):
    data = pipeline.open("emotionroi/original", data_dir=data_dir)
    records = data.records("train", pipeline.Settings())
    assert records.value(3).startswith(b"\xff\xd8")
    moved = getattr(records, column).copy()
    moved[3] = wrong
    with pytest.raises(ValueError, match="the index leads beyond its end"):
        dataclasses.replace(records, **{column: moved}).value(3)
