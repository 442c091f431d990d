"""Whole builds: what is written, and where."""

import io
import itertools
import json
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from archive_files import DUMMY, build, records
from PIL import Image
from tensorflow_datasets.core import shuffle

from sentiflow.builders import emotionroi, twitter1
from sentiflow.builders.reading.entries import Entry
from sentiflow.builders.reading.sources import Source
from sentiflow.builders.writing import shards, storage
from sentiflow.builders.writing.config import StorageConfig
from sentiflow.builders.writing.errors import DatasetError


def test_emotionroi_as_written(tmp_path):
    images = DUMMY["emotionroi"] / "EmotionROI" / "images"
    maps = DUMMY["emotionroi"] / "EmotionROI" / "ground_truth"
    original = records(build(emotionroi, DUMMY["emotionroi"], tmp_path, "original"), "train")
    raw = records(build(emotionroi, DUMMY["emotionroi"], tmp_path, "raw256"), "train")
    jpeg = records(build(emotionroi, DUMMY["emotionroi"], tmp_path, "jpeg256"), "train")
    assert (
        set(original)
        == set(raw)
        == set(jpeg)
        == {f"{c}/{n}.jpg" for c in os.listdir(images) for n in (1, 2)}
    )
    for name, record in original.items():
        pixels = np.asarray(storage.cover_resize(Image.open(images / name).convert("RGB")))
        assert record["image"] == [(images / name).read_bytes()]
        assert record["label"] == [sorted(os.listdir(images)).index(name.split("/")[0])]
        assert list(record["stimuli_map"]) == (
            [(maps / name).read_bytes()] if (maps / name).exists() else []
        )
        assert raw[name]["image/value"] == [pixels.tobytes()]
        assert list(raw[name]["image/shape"]) == list(pixels.shape)
        assert (
            np.abs(
                np.asarray(Image.open(io.BytesIO(jpeg[name]["image"][0]))) - pixels.astype(int)
            ).mean()
            < 2
        )


def test_twitter1_as_written(tmp_path):
    builder = build(twitter1, DUMMY["twitter1"], tmp_path, "original")
    lines = {
        level: (
            DUMMY["twitter1"] / "twitter_dataset" / "ground_truth" / f"twitter_{name}_agrees.txt"
        )
        .read_text()
        .split("\n")
        for level, name in ((5, "five"), (4, "four"), (3, "three"))
    }
    listed = {level: dict(line.split() for line in text if line) for level, text in lines.items()}
    seen = {}
    for agreement in (5, 4, 3):
        for name, record in records(builder, f"agree{agreement}").items():
            assert (
                record["agreement"]
                == [agreement]
                == [max(level for level in listed if name in listed[level])]
            )
            assert record["label"] == [int(listed[3][name])]
            assert list(record["validation"]) == [
                name in list(listed[level])[: int(0.2 * len(listed[level]))] for level in (5, 4, 3)
            ]
            seen[name] = record["fold"][0]
    assert seen.keys() == listed[3].keys()
    assert seen["004.jpg"] == seen["005.jpg"]
    assert set(seen.values()) == set(range(5))


def test_metadata_tells_how_the_pixels_were_made(tmp_path):
    configs = {
        "original": ("original", None, None, None),
        "raw64": ("raw", 64, 0.875, "lanczos"),
        "jpeg256": ("jpeg", 256, 0.875, "lanczos"),
    }
    for name, expected in configs.items():
        config = StorageConfig(storage="raw", image_size=64) if name == "raw64" else name
        builder = build(twitter1, DUMMY["twitter1"], tmp_path, config)
        assert builder.data_path == tmp_path / "twitter1" / name / "1.1.0"
        metadata = json.loads((builder.data_path / "metadata.json").read_text())
        assert (
            tuple(
                metadata[key] for key in ("storage", "image_size", "crop_fraction", "interpolation")
            )
            == expected
        )
        assert metadata["duplicates"] == {"five": 1, "four": 1, "three": 1}
        assert metadata["bad_images"] == 0
    assert next(iter(records(builder, "agree5").values()))["image"]


def test_a_custom_configuration_equal_to_a_known_one_is_that_one(tmp_path):
    builder = emotionroi.Builder(
        data_dir=str(tmp_path), config=emotionroi.EmotionROIConfig(storage="raw")
    )
    assert builder.builder_config is emotionroi.Builder.BUILDER_CONFIGS[1]
    config = emotionroi.EmotionROIConfig(storage="raw", split="official", on_bad_image="skip")
    assert (
        emotionroi.Builder(data_dir=str(tmp_path), config=config).builder_config.name
        == "raw256_official_skip"
    )


def test_number_of_files(tmp_path):
    builder = build(emotionroi, DUMMY["emotionroi"], tmp_path / "a", num_shards=3)
    assert {name: split.num_shards for name, split in builder.info.splits.items()} == {
        "train": 3,
        "test": 3,
    }
    with pytest.raises(
        DatasetError,
        match=r"7 files for the 6 images of split 'test'\. Give --num_shards 6 or fewer",
    ):
        build(emotionroi, DUMMY["emotionroi"], tmp_path / "b", num_shards=7)
    builder = build(emotionroi, DUMMY["emotionroi"], tmp_path / "c", max_examples_per_split=2)
    assert builder.info.splits.total_num_examples == 4


def test_a_build_leaves_no_temporary_files(tmp_path, monkeypatch):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    build(twitter1, DUMMY["twitter1"], tmp_path, "raw256")
    assert list(temporary.iterdir()) == []


def test_records_lie_where_tfds_would_write_them(tmp_path):
    builder = build(emotionroi, DUMMY["emotionroi"], tmp_path, num_shards=5)
    listed = DUMMY["emotionroi"] / "EmotionROI" / "training_testing_split" / "training.txt"
    shuffler = shuffle.Shuffler(dirpath=tmp_path, hash_salt="train")
    for name in listed.read_text().split():
        shuffler.add(name, name.encode())
    expected = [name.decode() for _, name in shuffler]
    stored = []
    for path in sorted(builder.data_path.glob("*-train.tfrecord*")):
        examples = [
            tf.train.Example.FromString(data.numpy()) for data in tf.data.TFRecordDataset(str(path))
        ]
        stored.append(
            [
                example.features.feature["filename"].bytes_list.value[0].decode()
                for example in examples
            ]
        )
    assert [len(names) for names in stored] == [2, 3, 2, 3, 2]
    assert list(itertools.chain(*stored)) == expected


@pytest.mark.parametrize(
    ("sizes", "files"),
    [((12, 6), 1), ((420, 180), 8), ((1386, 594), 8), ((40_000, 10_000), 40), ((882, 234, 40), 2)],
)
def test_default_number_of_files(sizes, files):
    entry = Entry("a", Path("a"), "joy")
    splits = {str(i): [entry] * size for i, size in enumerate(sizes)}
    assert shards.default(Source(splits, [], {}, [])) == files
