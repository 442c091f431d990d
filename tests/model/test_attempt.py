"""Runs that fail before their first epoch leave nothing; runs without room go on later."""

import dataclasses
import errno
import os
import shutil

import keras
import numpy as np
import pytest
from click.testing import CliRunner
from run_files import QUIET, assert_same_models, command, history

from sentiflow.model import train
from sentiflow.model.training import checkpoint, ending, lockstep, loop, shared, start
from sentiflow.model.training.groups import Job
from sentiflow.model.training.record import is_finished
from sentiflow.pipeline import InputError

pytestmark = pytest.mark.usefixtures("without_pictures")
FULL = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/full/state.npz")


@pytest.fixture(scope="module")
def settings(small):
    return dataclasses.replace(small, epochs=2)


@pytest.fixture
def train_in(settings, tiny_inputs):
    """Trains by the command in a folder, with more options."""

    def train_in(out, *more):
        arguments = ["--out", str(out), *command(settings, tiny_inputs), *more]
        return CliRunner().invoke(train.main, arguments)

    return train_in


def fail_at(monkeypatch, owner, name, error, *, call=1):
    """Makes one call of a function fail, the first unless told otherwise."""
    act, calls = getattr(owner, name), []

    def failing(*arguments, **options):
        calls.append(name)
        if len(calls) == call:
            raise error
        return act(*arguments, **options)

    monkeypatch.setattr(owner, name, failing)


@pytest.mark.parametrize(
    ("owner", "name", "error"),
    [
        (checkpoint, "save_state", FULL),
        (start, "write_record", KeyboardInterrupt()),
        (shared, "feed", InputError("it does not fit")),
        (shared, "feed", RuntimeError("out of the accelerator's memory")),
    ],
    ids=["full", "interrupted", "refused", "crash"],
)
def test_a_start_that_fails_leaves_nothing(train_in, tmp_path, owner, name, error):
    theirs = tmp_path / "theirs"
    (theirs / "checkpoint").mkdir(parents=True)
    (theirs / "notes.txt").write_text("mine")
    for out in (tmp_path / "a" / "b", theirs):
        with pytest.MonkeyPatch.context() as patch:
            fail_at(patch, owner, name, error)
            assert train_in(out).exit_code != 0
    assert not (tmp_path / "a").exists()
    assert sorted(path.name for path in theirs.rglob("*")) == ["checkpoint", "notes.txt"]


def test_a_first_epoch_without_a_loss_leaves_nothing(train_in, tmp_path):
    outcome = train_in(tmp_path / "run", "--learning_rate=1e38")
    assert outcome.exit_code == 2
    assert outcome.stderr.splitlines()[-1].startswith("Error: The loss of epoch 1 is not a number")
    assert not (tmp_path / "run").exists()


def test_a_run_without_room_goes_on_when_there_is_some(train_in, settings, tiny_inputs, tmp_path):
    """The disk is full after the first epoch, and when the network is written."""
    loop.train(settings, tiny_inputs, out=tmp_path / "whole", console=QUIET)
    out = tmp_path / "run"
    # The first state is that of the beginning.
    full = {(): (checkpoint, "save_state", 2), ("--resume",): (keras.Model, "save", 1)}
    for more, (owner, name, call) in full.items():
        with pytest.MonkeyPatch.context() as patch:
            fail_at(patch, owner, name, FULL, call=call)
            outcome = train_in(out, *more)
        assert (outcome.exit_code, outcome.stderr.count("\n")) == (2, 1), outcome.output
        assert "No space left on device. Make room there" in outcome.stderr
        assert "Pass --resume then." in outcome.stderr
    assert len(history(out)) == settings.epochs
    assert not is_finished(out)
    assert CliRunner().invoke(train.main, ["--out", str(out), "--resume"]).exit_code == 0
    assert_same_models(out, tmp_path / "whole")


def test_a_folder_that_vanishes_is_named_and_not_made_again(train_in, tmp_path, monkeypatch):
    keep, out = ending.keep_row, tmp_path / "run"

    def vanish(folder, record, model, rows, row):
        if row.epoch == 2:
            shutil.rmtree(folder)
        keep(folder, record, model, rows, row)

    monkeypatch.setattr(ending, "keep_row", vanish)
    outcome = train_in(out)
    assert (outcome.exit_code, outcome.stderr.count("\n")) == (2, 1)
    assert f"{out / 'settings.json'}: No such file or directory" in outcome.stderr
    assert not out.exists()


def test_heads_that_cannot_begin_leave_nothing(settings, tiny_inputs, tmp_path, monkeypatch):
    """The second of two fails when the first is begun."""
    jobs = []
    for number in range(2):
        out = tmp_path / "set" / str(number)
        rate = dataclasses.replace(settings, learning_rate=0.01 + number)
        jobs.append(Job(out, start.prepare(rate, tiny_inputs, out=out)))
    fail_at(monkeypatch, checkpoint, "save_initial", FULL, call=2)
    with pytest.raises(OSError, match="No space left"):
        lockstep.train_all(jobs, console=QUIET)
    assert (tmp_path / "set" / "0" / "settings.json").exists()  # it can go on
    assert not (tmp_path / "set" / "1").exists()
    shutil.rmtree(tmp_path / "set")
    fail_at(monkeypatch, checkpoint, "save_initial", InputError("it does not fit"), call=2)
    with pytest.raises(InputError, match="does not fit"):
        lockstep.train_all(jobs, console=QUIET)
    assert not (tmp_path / "set").exists()


def test_first_weights_as_version_0_1_0_kept_them_are_read(small, tiny_inputs, tmp_path):
    record = start.prepare(small, tiny_inputs, out=tmp_path)
    model = start.build_model(record, record.train)
    former = tmp_path / checkpoint.FORMER_INITIAL
    former.parent.mkdir()
    model.save_weights(former)
    first = model.get_weights()
    model.set_weights([weight + 1 for weight in first])
    checkpoint.load_initial(tmp_path, model)
    for one, other in zip(model.get_weights(), first, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("head", ["gap", "linear"])
def test_a_head_that_grows_with_the_square_of_the_classes_is_told(
    head, small, tiny_inputs, tmp_path, monkeypatch
):
    record = start.prepare(dataclasses.replace(small, head=head), tiny_inputs, out=tmp_path)
    model = start.build_model(record, record.train)
    assert len(start.describe(record, model, [])) == 2
    monkeypatch.setattr(start, "MOST_OF_GAP", 2)
    told = start.describe(record, model, [])[2:]
    assert [line.endswith("--head linear does not") for line in told] == [True] * (head == "gap")
