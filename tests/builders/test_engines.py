"""Builds by engines: the bytes of a build by threads, whoever is killed meanwhile."""

import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from archive_files import ROOT, build, image_of

from sentiflow.builders import emotionroi, photo_folder
from sentiflow.builders.reading.entries import Entry
from sentiflow.builders.sample import __main__ as sample
from sentiflow.builders.writing import reports, shards
from sentiflow.builders.writing.engines import EngineError
from sentiflow.builders.writing.errors import DatasetError
from sentiflow.builders.writing.shards import Task

FN_API = "apache_beam.runners.portability.fn_api_runner.FnApiRunner"
DASK = "apache_beam.runners.dask.dask_runner.DaskRunner"
PROCESSES = PipelineOptions.from_dictionary(
    {"runner": FN_API, "direct_running_mode": "multi_processing", "direct_num_workers": 2}
)
FILES = 12  # of a split
BUILD = """
import sys
import tensorflow_datasets as tfds
from sentiflow.builders import photo_folder
options = tfds.download.DownloadConfig(manual_dir=sys.argv[1], num_shards=12)
builder = photo_folder.Builder(data_dir=sys.argv[2], config="raw256")
builder.download_and_prepare(download_config=options)
"""


def tree(folder):
    """Every file below a folder, by its name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of classes, large enough for a build of it to be struck in the middle."""
    folder = tmp_path_factory.mktemp("photos")
    sample.main([str(folder), "--images", "240", "--dataset", "emotionroi"], standalone_mode=False)
    return folder / "EmotionROI" / "images"


@pytest.fixture(scope="module")
def by_threads(photos, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp("threads")
    build(photo_folder, photos, data_dir, num_shards=FILES)
    return tree(data_dir)


@pytest.fixture
def bad_archive(manual_dir):
    image_of(manual_dir, "joy/1.jpg").write_bytes(b"no picture")
    return manual_dir


def test_processes_write_the_same_bytes_and_quarantine(bad_archive, tmp_path):
    config = emotionroi.EmotionROIConfig(storage="original", on_bad_image="skip")
    build(emotionroi, bad_archive, tmp_path / "threads", config)
    build(emotionroi, bad_archive, tmp_path / "engine", config, beam_options=PROCESSES)
    written = tree(tmp_path / "threads")
    assert any(name.endswith("quarantine.tsv") for name in written)
    assert tree(tmp_path / "engine") == written


def test_processes_name_the_same_bad_images(bad_archive, tmp_path):
    messages = []
    for options in ({}, {"beam_options": PROCESSES}):
        with pytest.raises(DatasetError) as error:
            build(emotionroi, bad_archive, tmp_path / "data", **options)
        messages.append(str(error.value))
    assert messages[0] == messages[1]
    assert "joy/1.jpg" in messages[0]
    assert list((tmp_path / "data" / "emotionroi" / "raw256").iterdir()) == []


@pytest.fixture
def dask(tmp_path):
    """A scheduler and two workers, each a process: their ids, and the scheduler's address."""
    pytest.importorskip("distributed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    options = ["--host", "127.0.0.1", "--no-dashboard"]
    worker = ["worker", address, "--nworkers", "1", "--nthreads", "1", *options]
    commands = [["scheduler", "--port", str(port), *options], worker, worker]
    with contextlib.ExitStack() as running:
        processes = [
            running.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "dask", *command],
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd=tmp_path,
                    start_new_session=True,
                    env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
                )
            )
            for command in commands
        ]
        try:
            yield processes, address
        finally:
            for process in processes:
                kill(process)


def kill(process):
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def dask_options(address):
    options = {"runner": DASK, "dask_client_address": address, "dask_connection_timeout": "3"}
    return PipelineOptions.from_dictionary(options)


@contextlib.contextmanager
def striking(data_dir, strike):
    """Strikes as soon as the first shard is written."""
    ended = threading.Event()

    def watch():
        while not ended.wait(0.01):
            if any(Path(data_dir).glob(f"*/*/incomplete.*/{reports.FOLDER}/*")):
                return strike()
        return None

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_dask_writes_the_same_bytes_even_if_a_worker_is_killed(photos, by_threads, dask, tmp_path):
    processes, address = dask
    with striking(tmp_path, lambda: kill(processes[1])):
        options = {"num_shards": FILES, "beam_options": dask_options(address)}
        build(photo_folder, photos, tmp_path, **options)
    assert processes[1].returncode == -signal.SIGKILL
    assert tree(tmp_path) == by_threads


def test_what_a_dead_scheduler_leaves_is_taken_up(photos, by_threads, dask, tmp_path, capsys):
    processes, address = dask
    options = {"num_shards": FILES, "beam_options": dask_options(address)}
    with striking(tmp_path, lambda: kill(processes[0])), pytest.raises(EngineError) as error:
        build(photo_folder, photos, tmp_path, **options)
    assert "\n" not in str(error.value)
    for process in processes[1:]:
        kill(process)
    (stopped,) = (tmp_path / "photo_folder" / "raw256").iterdir()
    done = len(list((stopped / reports.FOLDER).glob("*.npz")))
    assert done > 0
    capsys.readouterr()
    build(photo_folder, photos, tmp_path, num_shards=FILES)
    assert f"{done} of {3 * FILES} files were written" in capsys.readouterr().out
    assert tree(tmp_path) == by_threads


def test_what_a_killed_build_leaves_is_taken_up(photos, by_threads, tmp_path, capsys):
    command = [sys.executable, "-c", BUILD, str(photos), str(tmp_path)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with (
        subprocess.Popen(command, cwd=ROOT, **quiet) as process,
        striking(tmp_path, lambda: process.send_signal(signal.SIGKILL)),
    ):
        assert process.wait() == -signal.SIGKILL
    build(photo_folder, photos, tmp_path, num_shards=FILES)
    taken = re.search(rf"(\d+) of {3 * FILES} files were written", capsys.readouterr().out)
    assert 0 < int(taken[1]) < 3 * FILES
    assert tree(tmp_path) == by_threads


def test_a_shard_of_changed_pictures_is_not_taken_up(manual_dir, tmp_path):
    recipe = emotionroi.Builder(data_dir=str(tmp_path), config="raw256")._recipe
    picture = image_of(manual_dir, "joy/1.jpg")
    earlier, later = tmp_path / "earlier", tmp_path / "later"
    earlier.mkdir()
    later.mkdir()
    name = "emotionroi-train.tfrecord-00000-of-00001"
    task = Task(str(earlier / name), "train", [Entry("joy/1.jpg", picture, "joy")])
    shards.write(task, recipe)
    shard = str(later / name)
    digest = shards.digest(task._replace(path=shard), recipe)
    os.utime(picture, (0, 0))
    changed = shards.digest(task._replace(path=shard), recipe)
    assert not reports.adopt(shard, changed, earlier)
    assert reports.adopt(shard, digest, earlier)
    assert reports.load(shard).records == 1
    assert not (earlier / name).exists()


def test_an_engine_that_cannot_be_reached_is_named_in_one_line(photos, tmp_path):
    pytest.importorskip("distributed")
    options = dask_options("tcp://127.0.0.1:9")
    with pytest.raises(EngineError) as error:
        build(photo_folder, photos, tmp_path, beam_options=options)
    assert "\n" not in str(error.value)
