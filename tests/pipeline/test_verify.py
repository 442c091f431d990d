"""Checksums and index of prepared shards: every damaged one is named, and nothing else."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner

from sentiflow import index, pipeline, tfrecord
from sentiflow.pipeline import InputError, records, verify

NAME = "emotionroi/raw256"


def run(data_dir, *names):
    options = [option for name in names for option in ("--dataset", name)]
    return CliRunner().invoke(verify.main, ["--data_dir", str(data_dir), *options])


def rows(data_dir):
    return pipeline.open(NAME, data_dir=str(data_dir)).records("all", pipeline.Settings())


def flip(path, position, bits=1):
    """Turns bits of one byte of a file around, the last one unless others are given."""
    data = bytearray(Path(path).read_bytes())
    data[position] ^= bits
    Path(path).write_bytes(data)


def spans(path):
    with records.map_shard(str(path)) as data:
        return list(tfrecord.records(data, str(path)))


def test_sound_datasets_are_one_line(data_dir):
    outcome = run(data_dir)
    # Three storages of two splits in two shards; Twitter I of three splits in one.
    expected = "15 shards of 4 datasets are as they were written.\n"
    assert (outcome.exit_code, outcome.stdout, outcome.stderr) == (0, expected, "")
    assert run(data_dir, NAME).stdout == "4 shards of 1 datasets are as they were written.\n"


@pytest.mark.parametrize("record", [0, 3, -1])
def test_a_flipped_pixel_is_found_and_its_image_named(copied_raw256, record):
    found = rows(copied_raw256)
    of_first = np.flatnonzero(found.shard == 0)
    row = of_first[record]
    flip(found.paths[0], found.offset[row] + 1000)
    outcome = run(copied_raw256, NAME)
    number = range(len(of_first))[record]
    named = f"{found.paths[0]}: record {number} ({found.filename[row]}) is damaged.\n"
    assert outcome.exit_code == 2
    assert outcome.stderr == named + "Error: 1 of 4 shards are damaged; rebuild the dataset.\n"
    assert outcome.stdout == ""


@pytest.mark.parametrize("part", ["checksum of the length", "checksum of the data"])
def test_a_flipped_checksum_is_found(copied_raw256, part):
    path = rows(copied_raw256).paths[1]
    start, length = spans(path)[2]
    flip(path, start - 1 if part == "checksum of the length" else start + length)
    outcome = run(copied_raw256)
    assert (outcome.exit_code, outcome.stderr.splitlines()[0].partition(" (")[0]) == (
        2,
        f"{path}: record 2",
    )


def test_a_flipped_length_is_found(copied_raw256):
    path = rows(copied_raw256).paths[1]
    start, _ = spans(path)[2]
    flip(path, start - tfrecord.HEADER + 3)
    outcome = run(copied_raw256)
    assert outcome.exit_code == 2
    assert outcome.stderr.startswith(f"{path}: record 2 is damaged.")


def test_every_damaged_shard_is_named(copied_raw256):
    found = rows(copied_raw256)
    flip(found.paths[0], 20)
    Path(found.paths[3]).unlink()
    with open(found.paths[2], "r+b") as file:
        file.truncate(Path(found.paths[2]).stat().st_size - 1)
    outcome = run(copied_raw256)
    lines = outcome.stderr.splitlines()
    assert outcome.exit_code == 2
    assert [line.partition(": ")[0] for line in lines[:2]] == [found.paths[0], found.paths[2]]
    assert lines[1].endswith(f": record {(found.shard == 2).sum() - 1} is damaged.")
    assert lines[2] == f"{found.paths[3]} is missing."
    assert lines[3] == "Error: 3 of 4 shards are damaged; rebuild the dataset."


@pytest.mark.parametrize("column", ["offset", "label", "names", "name_begin", "shape"])
def test_an_index_that_tells_something_else_is_found(copied_raw256, column):
    path = next(copied_raw256.glob(f"{NAME}/*/{index.FOLDER}/{column}.npy"))
    values = np.load(path)
    values.flat[1] += 1
    np.save(path, values)
    outcome = run(copied_raw256)
    assert outcome.exit_code == 2
    assert f"-00000-of-00002: the index has another {column}; remove the" in outcome.stderr
    assert "1 of 4 shards" in outcome.stderr


def test_a_dataset_without_index_is_said_to_have_none(copied_raw256):
    shutil.rmtree(next(copied_raw256.glob(f"{NAME}/*/{index.FOLDER}")))
    outcome = run(copied_raw256)
    assert outcome.exit_code == 0
    assert outcome.stdout.endswith("as they were written; 4 have no index of theirs.\n")


@pytest.mark.parametrize("byte", [0, 4], ids=["format", "length of the first segment"])
def test_a_photograph_that_cannot_be_decoded_any_more_is_named(byte, data_dir, tmp_path):
    name = "emotionroi/original"
    shutil.copytree(Path(data_dir) / name, tmp_path / name)
    dataset = pipeline.open(name, data_dir=str(tmp_path))
    found = dataset.records("train", pipeline.Settings())
    flip(found.paths[1], found.offset[found.shard == 1][2] + byte, bits=0xFF)
    photograph = found.filename[np.flatnonzero(found.shard == 1)[2]]
    named = rf"{found.paths[1]}: record 2 \({photograph}\) is damaged. Rebuild the dataset"
    for cache in ("none", "memory"):
        with pytest.raises(InputError, match=named), dataset.naming_damage():
            for _ in dataset.load("train", batch_size=8, cache=cache):
                pass
    sound = pipeline.open(name, data_dir=data_dir)
    with pytest.raises(tf.errors.InvalidArgumentError, match="mine"), sound.naming_damage():
        raise tf.errors.InvalidArgumentError(None, None, "mine")


def test_a_folder_without_datasets_is_refused(tmp_path):
    outcome = run(tmp_path)
    assert outcome.exit_code == 2
    assert outcome.stderr == f"Error: No prepared dataset in {tmp_path}.\n"
