"""What a killed build leaves, and who may clear it away."""

import fcntl
import os
import signal
import subprocess
import sys
import time

import pytest
from archive_files import DUMMY, ROOT, build, records

from sentiflow.builders import emotionroi, twitter1
from sentiflow.builders.writing import locking
from sentiflow.builders.writing.errors import DatasetError

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


def test_the_slower_of_two_builds_at_once_is_refused(tmp_path, monkeypatch):
    finish = twitter1.Builder._finish
    final = tmp_path / "twitter1" / "raw256" / "1.1.0"

    def finish_later(builder, outcome):
        finish(builder, outcome)
        (final / "of the other").mkdir(parents=True)

    monkeypatch.setattr(twitter1.Builder, "_finish", finish_later)
    with pytest.raises(DatasetError, match=r"1\.1\.0 was built by another process in the meantime"):
        build(twitter1, DUMMY["twitter1"], tmp_path, "raw256")
    assert [path.name for path in final.parent.iterdir()] == ["1.1.0"]
    assert [path.name for path in final.iterdir()] == ["of the other"]


@pytest.mark.parametrize(
    ("machine", "seconds", "stays"), [("other", 60, True), ("other", 7200, False)]
)
def test_a_build_on_another_machine_is_alive_while_it_gives_signs_of_life(
    tmp_path, machine, seconds, stays
):
    folder = tmp_path / "emotionroi" / "raw256" / "incomplete.ABCDEF_1.1.0"
    folder.mkdir(parents=True)
    file = folder / locking.HEARTBEAT
    file.write_text(machine)
    os.utime(file, (time.time() - seconds,) * 2)
    build(emotionroi, DUMMY["emotionroi"], tmp_path)
    assert folder.exists() == stays


def test_a_build_gives_signs_of_life(tmp_path, monkeypatch):
    monkeypatch.setattr(locking, "_BEAT", 0.01)
    folder = tmp_path / "incomplete.A_1.1.0"
    with locking.lock_folder(folder):
        file = folder / locking.HEARTBEAT
        os.utime(file, (0, 0))
        deadline = time.monotonic() + 60
        while file.stat().st_mtime == 0 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert time.time() - file.stat().st_mtime < 60
    assert not file.exists()
