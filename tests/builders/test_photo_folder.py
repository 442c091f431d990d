"""A user's own photographs: lists, class folders, splits, and whole builds."""

import json
from collections import Counter

import pytest
import tensorflow_datasets as tfds
from archive_files import touch
from PIL import Image

from sentiflow import pipeline
from sentiflow.builders import photo_folder
from sentiflow.builders.photo_folder import layouts
from sentiflow.builders.writing.errors import DatasetError


def names(source):
    return {
        split: [(entry.filename, entry.label) for entry in entries]
        for split, entries in source.splits.items()
    }


def listed(root, text, name="list.csv"):
    for file in ("a.jpg", "b.jpg", "sub/c.jpg", "d, e.jpg"):
        touch(root / file)
    (root / name).write_bytes(text.encode())
    return layouts.read(root, "auto")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("list.csv", "a.jpg,joy,train\nb.jpg,fear,train\nsub/c.jpg,joy,val\n"),
        (
            "list.csv",
            "\ufeffPath,Label,Split\r\n a.jpg , joy,Train\r\n\r\n"
            "b.jpg,fear,training\r\n./sub//c.jpg,joy,valid",
        ),
        (
            "labels.csv",
            'split,note,label,path\ntrain,"x, y",joy,a.jpg\n'
            'train,,fear,"b.jpg"\nvalidation,,joy,sub/c.jpg\n',
        ),
        ("labels.tsv", "a.jpg\tjoy\ttrain\nb.jpg\tfear\ttrain\nsub/c.jpg\tjoy\tVAL\n"),
    ],
)
def test_lists_with_splits(tmp_path, name, text):
    source, labels = listed(tmp_path, text, name)
    assert labels == ["fear", "joy"]
    assert source.bad == []
    assert names(source) == {
        "train": [("a.jpg", "joy"), ("b.jpg", "fear")],
        "validation": [("sub/c.jpg", "joy")],
    }
    assert source.splits["validation"][0].path == tmp_path / "sub" / "c.jpg"


def test_lines_that_cannot_be_used_are_bad(tmp_path):
    text = (
        "a.jpg,joy,train\nb.jpg,fear,train\nb.jpg,fear,train\nsub/c.jpg,joy,train\n./sub/c.jpg,joy,test\n"
        '"d, e.jpg",joy,dev\nx.jpg,,train\n,joy,train\ny.jpg\n../z.jpg,joy,train\n'
        "sub/unlike.anything,joy,test\n"
    )
    source, _ = listed(tmp_path, text)
    assert names(source) == {"train": [("a.jpg", "joy"), ("b.jpg", "fear")]}
    assert [(bad.filename, bad.reason.partition(";")[0], bad.location) for bad in source.bad] == [
        ("b.jpg", "listed twice (skip keeps it once)", "list.csv line 3, column 1"),
        (
            "./sub/c.jpg",
            "listed twice with different labels or splits",
            "list.csv line 5, column 1",
        ),
        ("d, e.jpg", "no split", "list.csv line 6, column 3 ('dev')"),
        ("x.jpg", "no label", "list.csv line 7, column 2"),
        ("", "no path", "list.csv line 8, column 1"),
        ("y.jpg", "no label", "list.csv line 9, column 2"),
        ("../z.jpg", "a path with .. in it", "list.csv line 10, column 1"),
        ("sub/unlike.anything", "missing", "list.csv line 11, column 1"),
    ]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("a.jpg,joy,train\nb.jpg,joy,train\n", "two classes or more are needed. Received: joy"),
        ('a.jpg,"joy\n', "list.csv: the list is not a table"),
        ("a.jpg,joy\nb.jpg,fear\n", "list.csv: .*needs 20 different images of every class"),
    ],
)
def test_lists_that_make_no_dataset(tmp_path, text, rule):
    with pytest.raises(DatasetError, match=rule):
        listed(tmp_path, text)


def test_two_lists_are_refused(tmp_path):
    (tmp_path / "labels.tsv").write_text("a.jpg\tjoy\n")
    with pytest.raises(DatasetError, match=r"list\.csv and .*labels\.tsv\. Remove one"):
        listed(tmp_path, "a.jpg,joy\n")


def test_numbers_are_ordered_as_numbers(tmp_path):
    for label in ("10", "9", "1"):
        touch(tmp_path / "train" / label / "a.jpg")
    assert layouts.read(tmp_path, "auto")[1] == ["1", "9", "10"]


def test_folders_are_splits_and_their_copies_are_bad(tmp_path):
    for path in ("train/joy/a.jpg", "train/train/b.jpg", "valid/joy/c.jpg", "test/train/d.jpg"):
        touch(tmp_path / path)
    touch(tmp_path / "train/joy/copy.jpg", str(tmp_path / "test/train/d.jpg"))
    touch(tmp_path / "test/fear/e.jpg")
    source, labels = layouts.read(tmp_path, "auto")
    assert labels == ["joy", "train"]
    assert names(source) == {
        "train": [("train/joy/a.jpg", "joy"), ("train/train/b.jpg", "train")],
        "validation": [("valid/joy/c.jpg", "joy")],
        "test": [("test/train/d.jpg", "train")],
    }
    assert [(bad.filename, bad.reason) for bad in source.bad] == [
        ("test/fear/", "unknown class folder"),
        ("train/joy/copy.jpg", "same bytes as test/train/d.jpg (skip keeps the latter)"),
    ]
    assert source.facts["conflicting_duplicates"] == [["train/joy/copy.jpg", "test/train/d.jpg"]]


def test_class_folders_are_split_by_class_with_copies_together(tmp_path):
    for label in ("train", "ship"):  # without split folders `train` is a class like any other
        for n in range(40):
            touch(tmp_path / label / f"{n:02}.jpg", f"{label} {n // 2 if label == 'ship' else n}")
    source, labels = layouts.read(tmp_path, "auto")
    assert labels == ["ship", "train"]
    split_of = {name: split for split, found in names(source).items() for name, _ in found}
    assert len(split_of) == 80
    for n in range(0, 40, 2):
        assert split_of[f"ship/{n:02}.jpg"] == split_of[f"ship/{n + 1:02}.jpg"]
    assert Counter(split for name, split in split_of.items() if name.startswith("train")) == {
        "train": 32,
        "validation": 6,
        "test": 2,
    }
    assert source.facts["duplicate_groups"] == 20
    assert source.facts["duplicate_groups_across_splits"] == 0


def test_an_empty_folder_says_what_was_looked_for(tmp_path):
    with pytest.raises(DatasetError, match=r"Looked for a list of images \(list\.csv.*\{class\}/"):
        layouts.read(tmp_path, "auto")


def build(manual_dir, data_dir, **config):
    builder = photo_folder.Builder(
        data_dir=str(data_dir), config=photo_folder.PhotoFolderConfig(**config)
    )
    builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(manual_dir=str(manual_dir))
    )
    return builder


@pytest.fixture
def photos(tmp_path):
    """Three splits of two classes; one training file is no image, one is grey and wide."""
    for split, count in (("train", 3), ("test", 1)):
        for label in ("calm", "lively"):
            for n in range(count):
                path = tmp_path / "photos" / split / label / f"{n}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                colour = (40 * n, 90 * (label == "calm"), len(split) * 20)
                Image.new("RGB", (30 + n, 20), colour).save(path)
    Image.new("L", (90, 10), 7).save(tmp_path / "photos" / "train" / "calm" / "grey.jpg")
    (tmp_path / "photos" / "train" / "lively" / "0.png").write_text("no image")
    return tmp_path / "photos"


def test_a_built_folder_is_read_by_the_pipeline_and_has_a_card(tmp_path, photos):
    config = {"storage": "raw", "image_size": 16, "on_bad_image": "skip"}
    builder = build(photos, tmp_path / "data", **config)
    assert builder.data_path == tmp_path / "data" / "photo_folder" / "raw16_skip" / "1.1.0"
    metadata = json.loads((builder.data_path / "metadata.json").read_text())
    assert metadata["class_counts"] == {
        "train": {"calm": 4, "lively": 2},
        "test": {"calm": 1, "lively": 1},
    }
    assert metadata["source_sizes"]["width"] | {"p75": 0} == {
        "min": 30, "p5": 30, "p25": 30, "median": 31, "p75": 0, "p95": 90, "max": 90,
    }  # fmt: skip
    assert metadata["source_sizes"]["short_side"]["min"] == 10
    assert (metadata["formats"], metadata["modes"]) == ({"PNG": 7, "JPEG": 1}, {"RGB": 7, "L": 1})
    assert metadata["bad_images"] == 1
    options = {
        "split": "train",
        "data_dir": str(tmp_path / "data"),
        "image_size": 16,
        "batch_size": 6,
    }
    (batch,) = pipeline.load("photo_folder/raw16_skip", training=False, preprocess=None, **options)
    assert Counter(batch[1].numpy().tolist()) == {0: 4, 1: 2}
    assert batch[0].shape == (6, 16, 16, 3)


def test_another_folder_is_refused_where_one_was_built(tmp_path, photos):
    config = {"storage": "jpeg", "image_size": 16, "on_bad_image": "skip"}
    build(photos, tmp_path / "data", **config)
    build(photos, tmp_path / "data", **config)
    with pytest.raises(DatasetError, match=r"was built from .*photos\. Give another --data_dir"):
        build(tmp_path, tmp_path / "data", **config)
