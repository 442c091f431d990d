"""What the kernel is asked to read for coming batches."""

import errno
import os
from collections import Counter

import pytest
from streams import STORAGES, load

from sentiflow import pipeline
from sentiflow.pipeline import readahead

pytestmark = pytest.mark.skipif(not readahead.IS_POSSIBLE, reason="the system has no such calls")
EPOCHS = 3


@pytest.fixture
def asked(monkeypatch):
    """What the kernel is asked for, from now on: path, first byte, bytes."""
    calls = []

    def advise(file, begin, length, advice):
        assert advice == os.POSIX_FADV_WILLNEED
        calls.append((os.readlink(f"/proc/self/fd/{file}"), begin, length))

    monkeypatch.setattr(os, "posix_fadvise", advise)
    return calls


def answer(monkeypatch, number):
    """Makes the kernel say this error of pages; 0: they are in memory."""
    probed = []

    def probe(file, buffers, offset, flags):
        assert flags == os.RWF_NOWAIT
        probed.append(offset)
        if number:
            raise OSError(number, os.strerror(number))
        return 1

    monkeypatch.setattr(os, "preadv", probe)
    return probed


def stream(storage, data_dir):
    options = {"epochs": EPOCHS, "batch_size": 5, "cache": "none", "training": True}
    return load(storage, data_dir, **options)


@pytest.mark.parametrize("storage", STORAGES)
def test_what_is_not_in_memory_is_asked_for_once_an_epoch(storage, data_dir, asked, monkeypatch):
    answer(monkeypatch, errno.EAGAIN)
    monkeypatch.setattr(readahead, "_MOST", 2**14)
    assert sum(1 for _ in stream(storage, data_dir)) == EPOCHS * 6
    records = pipeline.open(f"emotionroi/{storage}", data_dir=data_dir).records(
        "train", pipeline.Settings()
    )
    expected = Counter()
    for shard, offset, length in zip(records.shard, records.offset, records.length, strict=True):
        path = os.path.realpath(records.paths[shard])
        for first in range(offset, offset + length, 2**14):
            size = min(2**14, int(offset + length) - first)
            expected[path, first, size] += EPOCHS
    if storage != "raw256":
        assert Counter(asked) == expected
        return
    # Of raw pixels only the rows of the window.
    assert sum(length for *_, length in asked) == EPOCHS * 256 * 3 * records.shape[:, 1].sum()
    inside = {}
    for path, first, size in expected:
        inside.setdefault(path, set()).update(range(first, first + size))
    assert all({first, first + size - 1} <= inside[path] for path, first, size in asked)


def test_what_is_in_memory_is_looked_at_now_and_then(data_dir, asked, monkeypatch):
    monkeypatch.setattr(readahead, "_RARELY", 4)
    probed = answer(monkeypatch, 0)
    assert sum(1 for _ in stream("jpeg256", data_dir)) == 18
    assert asked == []
    assert len(probed) == 5 * len(range(0, 18, 4))


def test_a_file_system_that_cannot_say_is_left_alone(data_dir, asked, monkeypatch):
    answer(monkeypatch, errno.EOPNOTSUPP)
    assert sum(1 for _ in stream("jpeg256", data_dir)) == 18
    assert asked == []
