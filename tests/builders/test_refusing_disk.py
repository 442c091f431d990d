"""A disk that refuses a build: one line, nothing of it left, and nothing lost."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from archive_files import build

from sentiflow import index
from sentiflow.builders import emotionroi
from sentiflow.builders.writing import jpeg
from sentiflow.builders.writing.errors import DatasetError

REASON = os.strerror(errno.ENOSPC)


def refuse_records(path, records):
    next(iter(records))
    raise tf.errors.ResourceExhaustedError(None, None, f"{path}; {REASON}")


def refuse(*arguments, **options):
    raise OSError(errno.ENOSPC, REASON)


@pytest.mark.parametrize(
    ("owner", "name", "act", "named"),
    [
        (tfds.core.ExampleWriter, "write", lambda _, *given: refuse_records(*given), "tfrecord"),
        (index, "write", refuse, "raw256"),
        (tfds.core.DatasetInfo, "write_to_directory", refuse, "raw256"),
    ],
    ids=["records", "index", "info"],
)
def test_a_full_disk_is_named_and_loses_nothing(
    tmp_path, manual_dir, monkeypatch, owner, name, act, named
):
    build(emotionroi, manual_dir, tmp_path, "jpeg256")
    before = {path: path.read_bytes() for path in tmp_path.rglob("jpeg256/*/*.*")}
    monkeypatch.setattr(owner, name, act)
    with pytest.raises(DatasetError) as error:
        build(emotionroi, manual_dir, tmp_path, "raw256")
    line = str(error.value)
    assert line.startswith(str(tmp_path / "emotionroi" / "raw256"))
    assert named in line
    assert f": {REASON}. Make room there" in line
    assert "\n" not in line
    assert list((tmp_path / "emotionroi" / "raw256").iterdir()) == []
    assert {path: path.read_bytes() for path in tmp_path.rglob("jpeg256/*/*.*")} == before


def test_a_data_dir_that_is_no_folder_is_named(tmp_path, manual_dir):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DatasetError, match=f"^{tmp_path / 'file'}.*Not a directory"):
        build(emotionroi, manual_dir, tmp_path / "file" / "data")


def test_a_jpeg_of_which_the_disk_took_a_part_is_no_jpeg(monkeypatch):
    """Pillow takes a short write for a whole one."""
    monkeypatch.setattr(
        jpeg.Image.Image, "save", lambda image, file, *_, **__: file.write(b"\xff\xd8\xff\xe0")
    )
    with pytest.raises(OSError, match=REASON):
        jpeg.encode(np.zeros((16, 16, 3), np.uint8))


def test_a_dataset_is_shown_in_one_line(tmp_path, manual_dir):
    shown = repr(emotionroi.Builder(data_dir=str(tmp_path), config="raw256").info)
    assert shown == "emotionroi/raw256: not built"
    info = build(emotionroi, manual_dir, tmp_path, "raw256").info
    size = info.dataset_size
    counts = f"train 12, test 6 images, no bad files or lines, {size}"
    assert repr(info) == f"emotionroi/raw256: {counts}, in {info.data_dir}"
    again = emotionroi.Builder(data_dir=str(tmp_path), config="raw256").info
    assert repr(again) == repr(info)
    assert Path(info.data_dir).is_dir()
