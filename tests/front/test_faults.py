"""What a disk refuses, as every library tells it: one line with the path, and nothing is lost."""

import contextlib
import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import click
import keras
import numpy as np
import pytest
import tensorflow as tf
from click.testing import CliRunner
from PIL import Image

from sentiflow import cli, faults, files
from sentiflow.options import InputError

ROOM = 2**20  # bytes
LARGE = np.random.default_rng(0).integers(0, 256, (1024, 1024, 3), np.uint8)


@contextlib.contextmanager
def little_room():
    """No file of this process can grow beyond `ROOM`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def network():
    return keras.Sequential([keras.Input((1024,)), keras.layers.Dense(1024)])


def write_records(path):
    with tf.io.TFRecordWriter(str(path)) as writer:
        writer.write(LARGE.tobytes())
        writer.flush()


WRITERS = {
    "a.txt": lambda path: path.write_bytes(LARGE.tobytes()),
    "a.npy": lambda path: np.save(path, LARGE),
    "a.npz": lambda path: np.savez(path, LARGE),
    "a.png": lambda path: Image.fromarray(LARGE).save(path),
    "a.tfrecord": write_records,
    "a.keras": lambda path: network().save(path),
}


@pytest.mark.parametrize("name", WRITERS)
def test_what_was_there_stays_when_there_is_no_room(tmp_path, name):
    path = tmp_path / name
    path.write_text("before")
    with little_room(), pytest.raises(OSError, match=name) as refused:
        files.write_atomically(path, WRITERS[name])
    assert refused.value.errno in (errno.EFBIG, errno.ENOSPC)
    assert refused.value.filename == str(path)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    files.write_atomically(path, WRITERS[name])
    assert path.stat().st_size > ROOM


def test_links_lead_on_and_what_is_no_file_is_written_to(tmp_path):
    (tmp_path / "link").symlink_to("file")
    files.write_json(tmp_path / "link", [1])
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "file").read_text() == "[\n  1\n]\n"
    files.write_json(Path("/dev/null"), [1])
    assert Path("/dev/null").is_char_device()
    with pytest.raises(OSError, match="/dev/full") as refused:
        files.write_json(Path("/dev/full"), [1])
    assert refused.value.errno == errno.ENOSPC


def run(error):
    @click.command(cls=cli.Command)
    def command():
        raise error

    return CliRunner().invoke(command, [])


def of_tensorflow(number):
    text = f"{{{{function_node f}}}} /d/a.tfrecord; {os.strerror(number)}\n [[{{{{node a}}}}]]"
    return tf.errors.UnknownError(None, None, text)


@pytest.mark.parametrize("number", faults.REMEDIES, ids=errno.errorcode.get)
@pytest.mark.parametrize("tell", ["python", "tensorflow"])
def test_a_command_says_path_reason_and_remedy_in_one_line(number, tell):
    error = OSError(number, os.strerror(number), "/d/a.tfrecord")
    result = run(error if tell == "python" else of_tensorflow(number))
    remedy = f"{os.strerror(number)}. {faults.REMEDIES[number]}, and run the command again.\n"
    assert (result.exit_code, result.stderr) == (2, f"Error: /d/a.tfrecord: {remedy}")


def test_the_file_that_could_not_be_made_is_named_where_two_are_concerned():
    error = OSError(errno.ENOSPC, "No space left on device", "from", None, "to")
    assert run(error).stderr.startswith("Error: to: No space left on device.")


def test_what_is_no_fault_of_a_disk_keeps_its_traceback():
    for error in (OSError("a bug"), KeyError("a"), ConnectionRefusedError(111, "refused")):
        assert run(error).exception is error


def test_a_file_that_a_function_of_a_graph_lacks_is_named(tmp_path):
    def read():
        return np.frombuffer((tmp_path / "gone").read_bytes(), np.uint8)

    stream = tf.data.Dataset.range(1).map(lambda _: tf.numpy_function(read, [], tf.uint8))
    with pytest.raises(tf.errors.OpError) as raised:
        next(iter(stream))
    fault = faults.find(raised.value)
    assert (fault.errno, fault.filename) == (errno.ENOENT, str(tmp_path / "gone"))


def test_hdf5_tells_the_number_in_a_text():
    text = (
        "Can't write data (file write failed: time = Fri\n, filename = 'a.h5', errno = 28, error"
        " message = 'No space left on device', buf = 0x5621e04c9d48, total write size = 512)"
    )
    for error in (OSError(28, text), RuntimeError(text)):
        assert faults.line(faults.find(error)).startswith("No space left on device. Make room")


@pytest.mark.parametrize(
    ("free", "remedy"),
    [(0, "No inodes are left there: remove files"), (9, "No inodes"), (99, "Make room there")],
)
def test_a_lack_of_inodes_is_told_from_a_lack_of_room(free, remedy, tmp_path, monkeypatch):
    class State:
        f_files, f_favail, f_bavail = 100, free, 100

    monkeypatch.setattr(os, "statvfs", lambda path: State)
    line = faults.line(OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "a" / "b")))
    assert remedy in line


def test_messages_hold_no_addresses():
    texts = {
        "cannot identify image file <_io.BytesIO object at 0x7f08b9a7d760>": (
            "cannot identify image file <_io.BytesIO object>"
        ),
        "Can't write data (errno = 28, buf = 0x55D0, total write size = 9)": (
            "Can't write data (errno = 28, total write size = 9)"
        ),
    }
    for text, expected in texts.items():
        assert str(InputError(text)) == expected


def test_output_that_cannot_be_written_is_named():
    command = [sys.executable, "-m", "sentiflow", "completion", "bash"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("Error: standard output: No space left on device.")
