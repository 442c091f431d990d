"""What bad files, missing ones and other errors lead to."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from archive_files import DUMMY, ROOT, build, image_of, records
from PIL import Image

from sentiflow.builders import emotionroi, twitter1
from sentiflow.builders.reading.entries import Entry
from sentiflow.builders.writing import errors, shards
from sentiflow.builders.writing.errors import DatasetError


def spoil(manual_dir):
    """Makes one file of each split, one map and one line bad; returns names and reasons."""
    first = image_of(manual_dir, "anger/1.jpg")
    first.write_bytes(first.read_bytes()[:-40])
    image_of(manual_dir, "joy/2.jpg").write_bytes(b"")
    image_of(manual_dir, "fear/232.jpg").unlink()
    (manual_dir / "EmotionROI" / "ground_truth" / "fear" / "1.jpg").write_text("no map")
    testing = manual_dir / "EmotionROI" / "training_testing_split" / "testing.txt"
    listed = testing.read_text()
    testing.write_text(listed + "happy/1.jpg\n")
    location = f"testing.txt line {len(listed.splitlines()) + 1}"
    return {
        "happy/1.jpg": f"unknown class 'happy', in {location}",
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


def test_sixteen_bit_images_are_reported_with_their_classes(tmp_path, manual_dir, capsys):
    deep = Image.fromarray(np.arange(81, dtype=np.uint16).reshape(9, 9) * 10)
    for name in ("joy/1.jpg", "joy/2.jpg", "fear/1.jpg"):
        deep.save(image_of(manual_dir, name), "PNG")
    builder = build(emotionroi, manual_dir, tmp_path, "raw256")
    printed = capsys.readouterr().out
    assert "3 images have more than 8 bits a value" in printed
    assert "Classes: joy 2, fear 1. Modes: I;16 3." in printed
    assert json.loads((builder.data_path / "metadata.json").read_text())["clipped_images"] == 3


def test_more_than_a_few_images_that_end_in_one_colour_are_bad(tmp_path, manual_dir):
    flat = Image.fromarray(np.full((9, 9), 40_000, np.uint16))
    names = [f"{label}/1.jpg" for label in ("joy", "fear", "anger", "disgust", "sadness")]
    for name in names[:3]:
        flat.save(image_of(manual_dir, name), "PNG")
    build(emotionroi, manual_dir, tmp_path / "few", "raw256")
    for name in names:
        flat.save(image_of(manual_dir, name), "PNG")
    reason = "cut off at 255, its values of mode I;16 became one flat colour, as 3 others before it"
    with pytest.raises(DatasetError, match=f"2 bad files[^:]*:\n  .*1.jpg: {reason}"):
        build(emotionroi, manual_dir, tmp_path / "many", "raw256")
    config = emotionroi.EmotionROIConfig(storage="raw", on_bad_image="skip")
    builder = build(emotionroi, manual_dir, tmp_path / "many", config)
    assert json.loads((builder.data_path / "metadata.json").read_text())["bad_images"] == 2


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
    paths = os.environ | {"PYTHONPATH": str(ROOT)}
    ended = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, env=paths
    )
    assert ended.returncode == 2
    assert (
        "Error: 1 bad files or lines, nothing was written:\n  joy/1.jpg: zero bytes\nRepair"
        in ended.stderr
    )
    assert "Traceback" not in ended.stderr
    assert "[" not in ended.stdout.rpartition("Loading dataset")[2]
    (summary,) = (line for line in ended.stdout.splitlines() if line.startswith("twitter1/raw64: "))
    assert summary.startswith("twitter1/raw64: agree5 10, agree4 2, agree3 2 images, no bad files")
    assert "DatasetInfo(" not in ended.stdout
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
