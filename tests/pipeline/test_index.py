"""The index beside the shards: as the builder writes it, as a scan finds it, of other shards."""

import contextlib
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from hypothesis import given
from hypothesis import strategies as st

from sentiflow import index, pipeline, tfrecord
from sentiflow.builders import emotionroi
from sentiflow.pipeline import records

DATASETS = ("emotionroi/original", "emotionroi/raw256", "emotionroi/jpeg256", "twitter1/raw256")
VERSION = "1.1.0"


def folder_of(name, data_dir):
    return Path(data_dir) / name / VERSION


def opened(name, data_dir, split="all"):
    return pipeline.open(name, data_dir=str(data_dir)).records(
        split, pipeline.Settings(agreement=3)
    )


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("name", DATASETS)
def test_the_builder_writes_what_a_scan_finds(name, copied):
    folder = folder_of(name, copied) / index.FOLDER
    written = files(folder)
    shutil.rmtree(folder)
    opened(name, copied)
    assert files(folder) == written
    assert [path for path in folder.parent.iterdir() if path.name.startswith("index.")] == []


@pytest.mark.parametrize("name", DATASETS)
def test_rows_lead_to_the_values_that_tensorflow_reads(name, data_dir):
    rows = opened(name, data_dir)
    examples = [
        tf.train.Example.FromString(data.numpy()).features.feature
        for data in tf.data.TFRecordDataset(list(rows.paths))
    ]
    assert len(rows) == len(examples)
    for row, example in enumerate(examples):
        value = example["image/value"] if "image/value" in example else example["image"]
        shard = Path(rows.paths[rows.shard[row]]).read_bytes()
        first = rows.offset[row]
        assert shard[first : first + rows.length[row]] == value.bytes_list.value[0]
        assert rows.filename[row] == example["filename"].bytes_list.value[0].decode()
        assert rows.label[row] == example["label"].int64_list.value[0]
        assert list(rows.shape[row]) == (
            list(example["image/shape"].int64_list.value)[:2] or [0, 0]
        )
        for feature in ("agreement", "validation", "fold"):
            if feature in rows.extra:
                assert list(rows.extra[feature][row]) == list(example[feature].int64_list.value)


def test_stimuli_maps_are_found(tmp_path):
    """Of the builder's own example data, in which some photographs have none."""
    example_data = Path(emotionroi.__file__).parent / "dummy_data"
    options = tfds.download.DownloadConfig(manual_dir=str(example_data))
    builder = emotionroi.Builder(data_dir=str(tmp_path), config="original")
    builder.download_and_prepare(download_config=options)
    rows = opened("emotionroi/original", tmp_path)
    maps = example_data / "EmotionROI" / "ground_truth"
    has_map = [(maps / name).is_file() for name in rows.filename]
    assert 0 < sum(has_map) < len(rows)
    for row, (offset, length) in enumerate(rows.extra["stimuli_map"]):
        shard = Path(rows.paths[rows.shard[row]]).read_bytes()
        expected = (maps / rows.filename[row]).read_bytes() if has_map[row] else b""
        assert shard[offset : offset + length] == expected
        assert (offset == 0) == (not has_map[row])


@pytest.mark.parametrize("name", DATASETS)
def test_a_row_takes_less_than_100_bytes_beside_the_name(name, data_dir):
    folder = folder_of(name, data_dir) / index.FOLDER
    columns = {path.stem: np.load(path) for path in folder.glob("*.npy")}
    rows = len(columns["label"])
    per_row = sum(c.nbytes for n, c in columns.items() if not n.startswith(("names", "shard_")))
    assert per_row < 64 * (rows + 1)


def test_columns_are_mapped_and_a_stored_split_copies_none(data_dir):
    rows = opened("emotionroi/raw256", data_dir, split="train")
    for column in (rows.offset, rows.length, rows.shape, rows.label, rows.filename.text):
        while isinstance(column.base, np.ndarray):
            column = column.base
        assert isinstance(column, np.memmap)


def test_an_index_of_other_shards_is_made_anew(copied):
    folder = folder_of("emotionroi/raw256", copied)
    right = files(folder / index.FOLDER)
    for path in (folder / index.FOLDER).iterdir():
        path.unlink()
        other = folder_of("emotionroi/jpeg256", copied) / index.FOLDER / path.name
        shutil.copy(other, path)
    opened("emotionroi/raw256", copied)
    assert files(folder / index.FOLDER) == right


@pytest.mark.parametrize("damage", ["missing", "short", "no array"])
def test_half_an_index_is_made_anew(copied, damage):
    folder = folder_of("emotionroi/raw256", copied) / index.FOLDER
    right = files(folder)
    if damage == "missing":
        (folder / "label.npy").unlink()
    elif damage == "short":
        np.save(folder / "label.npy", np.load(folder / "label.npy")[:-1])
    else:
        (folder / "label.npy").write_bytes(b"no array")
    opened("emotionroi/raw256", copied)
    assert files(folder) == right


def test_where_nothing_can_be_written_the_scan_is_kept_in_memory(copied, monkeypatch):
    def refuse(columns, folder):
        raise OSError(30, "Read-only file system")

    folder = folder_of("emotionroi/raw256", copied)
    right = opened("emotionroi/raw256", copied)
    shutil.rmtree(folder / index.FOLDER)
    monkeypatch.setattr(index, "write", refuse)
    found = records.read_index(right.paths, storage="raw")
    assert list(found.filename) == list(right.filename)
    np.testing.assert_array_equal(found.offset, right.offset)
    assert not (folder / index.FOLDER).exists()


def test_a_damaged_record_is_named(copied):
    folder = folder_of("emotionroi/raw256", copied)
    shutil.rmtree(folder / index.FOLDER)
    shard = next(folder.glob("*train.tfrecord-00001*"))
    data = bytearray(shard.read_bytes())
    data[12:20] = b"\xff" * 8
    shard.write_bytes(data)
    with pytest.raises(pipeline.InputError, match=f"{shard.name} is damaged at byte 12"):
        opened("emotionroi/raw256", copied)


def test_of_two_versions_the_higher_is_read_unless_one_is_named(copied, capsys):
    """The old one lies beside the new one, without an index."""
    new = folder_of("emotionroi/raw256", copied)
    old = shutil.copytree(new, new.with_name("1.0.0"))
    shutil.rmtree(old / index.FOLDER)
    info = json.loads((old / "dataset_info.json").read_text())
    (old / "dataset_info.json").write_text(json.dumps(info | {"version": "1.0.0"}))
    highest = pipeline.open("emotionroi/raw256", data_dir=str(copied))
    named = pipeline.open("emotionroi/raw256:1.0.0", data_dir=str(copied))
    assert (highest.folder, named.folder) == (str(new), str(old))
    assert not (old / index.FOLDER).exists()
    assert highest.files("all")
    assert capsys.readouterr().err == ""
    assert named.files("all") == highest.files("all")
    printed = capsys.readouterr().err
    assert printed.startswith(f"{old} has no index of its shards")
    assert printed.count("\n") == 1
    assert (old / index.FOLDER).exists()
    os.rename(new, new.with_name("moved"))
    alone = pipeline.open("emotionroi/raw256", data_dir=str(copied))
    assert alone.files("train") == named.files("train")
    with pytest.raises(pipeline.InputError, match=r"raw256:1\.1\.0 is not in"):
        pipeline.open("emotionroi/raw256:1.1.0", data_dir=str(copied))


INTEGERS = st.lists(st.integers(-(2**63), 2**63 - 1), max_size=4)
BYTES = st.lists(st.binary(max_size=300), max_size=3)


@given(st.dictionaries(st.text(max_size=5), st.one_of(INTEGERS, BYTES), max_size=5))
def test_features_are_those_of_protobuf(values):
    example = tf.train.Example()
    for name, numbers in values.items():
        if numbers and isinstance(numbers[0], int):
            example.features.feature[name].int64_list.value.extend(numbers)
        else:
            example.features.feature[name].bytes_list.value.extend(numbers)
    data = b"head" + example.SerializeToString()
    found = tfrecord.features(data, 4, len(data) - 4)
    read = {
        name: [data[v[0] : sum(v)] if isinstance(v, tuple) else v for v in numbers]
        for name, numbers in found.items()
    }
    assert read == values


@given(st.binary(max_size=60))
def test_bytes_that_are_no_example_raise_valueerror_alone(data):
    with contextlib.suppress(ValueError):
        assert isinstance(tfrecord.features(data, 0, len(data)), dict)


def test_names_are_decoded_when_they_are_asked_for():
    text = np.frombuffer("añ.jpgb.jpg日.png".encode(), np.uint8)
    ends = np.cumsum([0, 7, 5, 7])
    names = index.Names(text, ends[:-1], ends[1:])
    assert list(names) == ["añ.jpg", "b.jpg", "日.png"]
    assert (names[1], names[np.int64(-1)], len(names)) == ("b.jpg", "日.png", 3)
    assert list(names[np.array([True, False, True])]) == ["añ.jpg", "日.png"]
    assert list(names[np.array([2, 0])]) == ["日.png", "añ.jpg"]
    assert list(names[1:]) == ["b.jpg", "日.png"]


def test_a_column_with_a_damaged_header_is_no_index(tmp_path):
    """NumPy takes it for Python, and raises what Python's tokenizer does."""
    (tmp_path / "index").mkdir()
    column = tmp_path / "index" / "label.npy"
    np.save(column, np.zeros(3, np.int32))
    column.write_bytes(column.read_bytes().replace(b"}", b"{"))
    assert index.read([str(tmp_path / "a.tfrecord")]) is None
