"""Whole builds: what is written, what bad images lead to, and what a killed build leaves."""

import fcntl
import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import Image
from tensorflow_datasets.core import shuffle

from sentiflow.builders import emotionroi, twitter1
from sentiflow.builders.reading.sources import Entry, Source
from sentiflow.builders.writing import errors, locking, preparation, shards, storage
from sentiflow.builders.writing.config import StorageConfig
from sentiflow.builders.writing.errors import DatasetError

ROOT = Path(__file__).parents[2]
DUMMY = {name: ROOT / "builders" / name / "dummy_data" for name in ("emotionroi", "twitter1")}


def build(dataset, manual_dir, data_dir, config="raw256", **options):
    builder = dataset.Builder(data_dir=str(data_dir), config=config)
    options = tfds.download.DownloadConfig(manual_dir=str(manual_dir), **options)
    builder.download_and_prepare(download_config=options)
    return builder


def records(builder, split):
    """The records of a split as dicts of what is in the file, by file name."""
    paths = sorted(str(path) for path in builder.data_path.glob(f"*-{split}.tfrecord*"))
    examples = [
        tf.train.Example.FromString(data.numpy()) for data in tf.data.TFRecordDataset(paths)
    ]
    found = {}
    for example in examples:
        values = {
            name: getattr(kind, kind.WhichOneof("kind")).value
            for name, kind in example.features.feature.items()
        }
        found[values["filename"][0].decode()] = values
    return found


@pytest.fixture
def manual_dir(tmp_path):
    """A copy of EmotionROI's dummy data to be changed."""
    return Path(shutil.copytree(DUMMY["emotionroi"], tmp_path / "manual"))


def image_of(manual_dir, filename):
    return manual_dir / "EmotionROI" / "images" / filename


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


def spoil(manual_dir):
    """Makes one file of each split, one map and one line bad; returns names and reasons."""
    first = image_of(manual_dir, "anger/1.jpg")
    first.write_bytes(first.read_bytes()[:-40])
    image_of(manual_dir, "joy/2.jpg").write_bytes(b"")
    image_of(manual_dir, "fear/232.jpg").unlink()
    (manual_dir / "EmotionROI" / "ground_truth" / "fear" / "1.jpg").write_text("no map")
    testing = manual_dir / "EmotionROI" / "training_testing_split" / "testing.txt"
    testing.write_text(testing.read_text() + "happy/1.jpg\n")
    return {
        "happy/1.jpg": "unknown class 'happy' in testing.txt",
        "anger/1.jpg": "truncated",
        "joy/2.jpg": "zero bytes",
        "fear/1.jpg": "its map fear/1.jpg: not an image, or its header is damaged",
        "fear/232.jpg": "missing",
    }


def test_raise_names_every_bad_file_and_writes_nothing(tmp_path, manual_dir):
    earlier = build(emotionroi, manual_dir, tmp_path, "raw256")
    before = {path.name: path.read_bytes() for path in Path(earlier.data_path).rglob("*.*")}
    bad = spoil(manual_dir)
    with pytest.raises(DatasetError) as error:
        build(emotionroi, manual_dir, tmp_path, "original")
    lines = str(error.value).splitlines()
    assert lines[0] == "5 bad files or lines, nothing was written:"
    assert set(lines[1:-1]) == {f"  {name}: {reason}" for name, reason in bad.items()}
    assert """--config '{"on_bad_image": "skip"}'""" in lines[-1]
    assert list((tmp_path / "emotionroi" / "original").iterdir()) == []
    assert {path.name: path.read_bytes() for path in Path(earlier.data_path).rglob("*.*")} == before


def test_skip_leaves_bad_files_out_and_lists_them(tmp_path, manual_dir, capsys):
    bad = spoil(manual_dir)
    builder = build(
        emotionroi, manual_dir, tmp_path, emotionroi.EmotionROIConfig(on_bad_image="skip")
    )
    train, test = records(builder, "train"), records(builder, "test")
    assert (len(train), len(test)) == (10, 5)
    assert not {"anger/1.jpg", "joy/2.jpg", "fear/232.jpg"} & {*train, *test}
    assert list(train["fear/1.jpg"]["stimuli_map"]) == []
    assert list(train["disgust/1.jpg"]["stimuli_map"]) != []
    table = [
        line.split("\t") for line in (builder.data_path / "quarantine.tsv").read_text().splitlines()
    ]
    assert table[0] == ["filename", "reason"]
    assert dict(table[1:]) == bad
    assert json.loads((builder.data_path / "metadata.json").read_text())["bad_images"] == 5
    assert "5 bad files or lines left out" in capsys.readouterr().out


def test_a_split_without_a_usable_image_is_named(tmp_path, manual_dir):
    for path in (manual_dir / "EmotionROI" / "images").glob("*/232.jpg"):
        path.write_bytes(b"")
    with pytest.raises(DatasetError, match="Split 'test' has no image that can be used"):
        build(
            emotionroi,
            manual_dir,
            tmp_path,
            emotionroi.EmotionROIConfig(storage="raw", on_bad_image="skip"),
        )
    with pytest.raises(DatasetError, match="6 bad files"):
        build(emotionroi, manual_dir, tmp_path, "raw256")


def test_empty_lists_do_not_hide_bad_files(tmp_path, manual_dir):
    image_of(manual_dir, "joy/2.jpg").write_bytes(b"")
    lists = manual_dir / "EmotionROI" / "training_testing_split"
    (lists / "testing.txt").write_text("happy/1.jpg\n")
    with pytest.raises(
        DatasetError,
        match=r"2 bad files[^:]*:\n  happy/1.jpg: unknown class.*\n  joy/2.jpg: zero bytes",
    ):
        build(emotionroi, manual_dir, tmp_path, "raw256")
    (lists / "testing.txt").write_text("")
    image_of(manual_dir, "joy/2.jpg").unlink()
    (lists / "training.txt").write_text("joy/1.jpg\n")
    with pytest.raises(DatasetError, match="Split 'test' has no image that can be used"):
        build(emotionroi, manual_dir, tmp_path, "raw256")
    assert list((tmp_path / "emotionroi" / "raw256").iterdir()) == []


def test_sixteen_bit_images_are_reported(tmp_path, manual_dir, capsys):
    Image.fromarray(np.full((9, 9), 40_000, np.uint16)).save(
        image_of(manual_dir, "joy/1.jpg"), "PNG"
    )
    builder = build(emotionroi, manual_dir, tmp_path, "raw256")
    assert "1 images have 16-bit grey levels" in capsys.readouterr().out
    assert json.loads((builder.data_path / "metadata.json").read_text())["clipped_images"] == 1


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


def test_a_file_of_bad_images_alone_is_refused(tmp_path, manual_dir):
    paths = (manual_dir / "EmotionROI" / "images").glob("*/232.jpg")
    entries = [Entry(f"{path.parent.name}/232.jpg", path, path.parent.name) for path in paths]
    for entry in shards.shuffled("test", entries)[:3]:
        entry.path.write_bytes(b"")
    config = emotionroi.EmotionROIConfig(storage="raw", on_bad_image="skip")
    with pytest.raises(
        DatasetError, match=r"Split 'test' has files of bad images alone.*fewer than --num_shards 2"
    ):
        build(emotionroi, manual_dir, tmp_path, config, num_shards=2)


@pytest.mark.parametrize(
    ("sizes", "files"),
    [((12, 6), 1), ((420, 180), 8), ((1386, 594), 8), ((40_000, 10_000), 40), ((882, 234, 40), 2)],
)
def test_default_number_of_files(sizes, files):
    entry = Entry("a", Path("a"), "joy")
    splits = {str(i): [entry] * size for i, size in enumerate(sizes)}
    assert preparation.default_shards(Source(splits, [], {}, [])) == files


def test_missing_data_says_where_to_get_it(tmp_path):
    (tmp_path / "empty").mkdir()
    for manual_dir in (tmp_path / "empty", tmp_path / "missing", tmp_path):
        for dataset, home in (
            (emotionroi, "chenlab.ece.cornell.edu"),
            (twitter1, "qzyou.github.io"),
        ):
            with pytest.raises(DatasetError, match=f"{manual_dir}.*{home}") as error:
                build(dataset, manual_dir, tmp_path / "data")
            assert "\n" not in str(error.value)


SLOW_BUILD = """
import sys, time
import tensorflow_datasets as tfds
from sentiflow.builders import emotionroi
from sentiflow.builders.writing import storage
storage.store = lambda *_: time.sleep(600)
options = tfds.download.DownloadConfig(manual_dir=sys.argv[1])
builder = emotionroi.Builder(data_dir=sys.argv[2], config="raw256")
builder.download_and_prepare(download_config=options)
"""


def test_a_killed_build_is_cleared_away_and_a_running_one_is_not(tmp_path):
    folder = tmp_path / "emotionroi" / "raw256"
    command = [sys.executable, "-c", SLOW_BUILD, str(DUMMY["emotionroi"]), str(tmp_path)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=ROOT
    )
    with process:
        for line in process.stdout:
            if line.startswith("EmotionROI:"):  # printed while the folder is locked
                break
        (dead,) = folder.glob("incomplete.*")
        assert not may_lock(dead)
        process.send_signal(signal.SIGKILL)
    assert dead.exists()
    running = folder / "incomplete.ABCDEF_1.1.0"
    with locking.lock_folder(running):
        builder = build(emotionroi, DUMMY["emotionroi"], tmp_path)
        assert sorted(path.name for path in folder.iterdir()) == ["1.1.0", running.name]
    assert len(records(builder, "train")) == 12
    assert not [path for path in builder.data_path.iterdir() if "lock" in path.name]


def may_lock(folder):
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    finally:
        os.close(descriptor)
    return True


def test_a_folder_removed_before_it_was_locked_is_made_again(tmp_path, monkeypatch):
    folder, flock = tmp_path / "incomplete.A_1.1.0", fcntl.flock

    def removed_meanwhile(descriptor, operation):
        monkeypatch.setattr(fcntl, "flock", flock)
        folder.rmdir()
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", removed_meanwhile)
    with locking.lock_folder(folder):
        assert folder.is_dir()
        assert not may_lock(folder)
    assert may_lock(folder)


def test_the_command_builds_and_its_errors_are_short_and_have_status_2(tmp_path, manual_dir):
    image_of(manual_dir, "joy/1.jpg").write_bytes(b"")
    shutil.copytree(DUMMY["twitter1"], manual_dir, dirs_exist_ok=True)
    tfds_command = Path(sys.executable).with_name("tfds")
    command = [
        tfds_command,
        "build",
        "builders/twitter1",
        "builders/emotionroi",
        "--num_shards",
        "2",
    ]
    command += ["--manual_dir", manual_dir, "--data_dir", tmp_path / "data"]
    command += ["--config", '{"storage": "raw", "image_size": 64}']
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert (
        "Error: 1 bad files or lines, nothing was written:\n  joy/1.jpg: zero bytes\nRepair"
        in ended.stderr
    )
    assert "Traceback" not in ended.stderr
    written = {
        path.relative_to(tmp_path / "data").as_posix()
        for path in (tmp_path / "data").glob("*/raw64/1.1.0/*")
    }
    assert {path for path in written if "record" in path} == {
        f"twitter1/raw64/1.1.0/twitter1-{split}.tfrecord-0000{i}-of-00002"
        for split in ("agree5", "agree4", "agree3")
        for i in range(2)
    }
    assert not any(path.startswith("emotionroi") for path in written)


def test_only_our_errors_are_shortened(monkeypatch, capsys):
    seen = []
    monkeypatch.setattr(sys, "excepthook", lambda *error: seen.append(error))
    errors.report_errors_in_one_line.__wrapped__()
    sys.excepthook(KeyError, KeyError("a"), None)
    assert [kind for kind, *_ in seen] == [KeyError]
    with pytest.raises(SystemExit) as end:
        sys.excepthook(DatasetError, DatasetError("rule. Received: 1"), None)
    assert end.value.code == 2
    assert capsys.readouterr().err == "Error: rule. Received: 1\n"
