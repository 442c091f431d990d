"""Heads trained in lockstep, against runs of their own, on either Keras backend."""

import dataclasses
import itertools
import json
from typing import Any

import numpy as np
import pytest
import tiny_dataset
from run_files import QUIET, history, weights

from sentiflow import pipeline
from sentiflow.model.networks import network
from sentiflow.model.training import checkpoint, groups, lockstep, loop, shared, start, stepping
from sentiflow.model.training.groups import Job
from sentiflow.model.training.record import METRICS, MODELS, is_finished
from sentiflow.pipeline import InputError

pytestmark = pytest.mark.usefixtures("without_pictures")


@pytest.fixture(scope="module")
def settings(small):
    return dataclasses.replace(small, epochs=2)


INPUTS = pipeline.Settings(batch_size=8, image_size=tiny_dataset.IMAGE_SIZE, seed=3)
# Other batches, schedules, ends and heads; 27 images are 3, 6 and 6 updates an epoch.
VARIANTS: tuple[tuple[dict[str, Any], int], ...] = (
    ({}, 8),
    (
        {
            "epochs": 3,
            "dropout": 0.3,
            "label_smoothing": 0.1,
            "class_weights": "balanced",
            "average_weights": 2,
        },
        4,
    ),
    ({"epochs": 1, "learning_rate": 0.01, "standardise": True, "head": "wscnet"}, 4),
    (
        {
            "epochs": 4,
            "early_stopping": 1,
            "standardise": True,
            "optimizer": "adamw",
            "schedule": "cosine",
        },
        8,
    ),
)


def jobs(settings, folder, variants=VARIANTS, inputs=INPUTS):
    made = []
    for number, (changes, batch_size) in enumerate(variants):
        out = folder / str(number)
        sized = dataclasses.replace(inputs, batch_size=batch_size)
        made.append(
            Job(out, start.prepare(dataclasses.replace(settings, **changes), sized, out=out))
        )
    return made


@pytest.fixture(scope="module")
def alone(settings, without_pictures, tmp_path_factory):
    """Each run by Keras' `fit`, on the backbone as it is."""
    folder = tmp_path_factory.mktemp("alone")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Job, "is_whole", True)
        lockstep.train_all(jobs(settings, folder), sequential=True, console=QUIET)
    return folder


def assert_same(folder, other, *, numbers=(0, 1, 2, 3)):
    for number in map(str, numbers):
        for name in MODELS.values():
            pairs = zip(
                weights(folder / number / name), weights(other / number / name), strict=True
            )
            for ours, theirs in pairs:
                np.testing.assert_allclose(ours, theirs, atol=1e-4)
        figures = ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate")
        rows, expected = history(folder / number), history(other / number)
        assert len(rows) == len(expected)
        for row, wanted in zip(rows, expected, strict=True):
            assert [row[name] for name in figures] == pytest.approx(
                [wanted[name] for name in figures], abs=1e-4
            )


@pytest.fixture
def images(monkeypatch):
    """Numbers of images that went through the backbone, call by call."""
    counts, make = [], stepping.forward

    def counted(model, **options):
        forward = make(model, **options)
        return lambda batches: counts.append(sum(map(len, batches))) or forward(batches)

    monkeypatch.setattr(stepping, "forward", counted)
    return counts


def test_each_head_gets_the_updates_that_it_gets_alone(settings, alone, tmp_path, images):
    finished = []
    lockstep.train_all(
        jobs(settings, tmp_path),
        console=QUIET,
        on_finished=lambda job: finished.append(job.out.name),
    )
    assert_same(tmp_path, alone)
    epochs = [len(history(tmp_path / str(number))) for number in range(len(VARIANTS))]
    assert finished == sorted("0123", key=lambda name: epochs[int(name)])
    # 27 images are four blocks of 8; the 7 of the validation split are one, seen once.
    assert sum(images) == max(epochs) * 4 * 8 + 8


@pytest.mark.parametrize("steps_per_execution", [1, 2, 5])
def test_one_run_is_a_lockstep_of_one(settings, alone, tmp_path, images, steps_per_execution):
    """Neither two nor five divide the three steps of an epoch."""
    settings = dataclasses.replace(settings, steps_per_execution=steps_per_execution)
    loop.train(settings, INPUTS, out=tmp_path / "0", console=QUIET)
    assert_same(tmp_path, alone, numbers=[0])
    assert sum(images) == settings.epochs * 3 * 8 + 8


@pytest.mark.on_one_backend
@pytest.mark.parametrize("cache", ["none", "device"])
def test_every_tier_feeds_all_heads(settings, alone, tmp_path, cache):
    inputs = dataclasses.replace(INPUTS, cache=cache)
    lockstep.train_all(jobs(settings, tmp_path, VARIANTS[:3:2], inputs=inputs), console=QUIET)
    (tmp_path / "1").rename(tmp_path / "2")
    assert_same(tmp_path, alone, numbers=(0, 2))


def test_a_head_begins_with_the_weights_that_it_has_alone(settings):
    changed = dataclasses.replace(settings, dropout=0.5)
    record = start.make_record(changed, INPUTS)
    alone = start.build_model(record, changed)
    shared = network.Shared.make(settings, image_size=tiny_dataset.IMAGE_SIZE, seed=3)
    for _ in range(2):
        for ours, theirs in zip(
            start.build_model(record, changed, shared).weights, alone.weights, strict=True
        ):
            np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


@pytest.mark.on_one_backend
def test_stopped_between_two_heads_of_an_epoch_it_goes_on_to_the_same_weights(
    settings, alone, tmp_path, monkeypatch
):
    """The first head has saved its second epoch, the others have not; the third is finished."""
    save, count = checkpoint.save_state, itertools.count(1)

    def interrupted(*arguments, **options):
        save(*arguments, **options)
        if (
            next(count) == 4 + 4 + 1
        ):  # states at the start, after the first epoch, and one after the second
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save_state", interrupted)
    with pytest.raises(KeyboardInterrupt):
        lockstep.train_all(jobs(settings, tmp_path), console=QUIET)
    assert [len(history(tmp_path / str(number))) for number in range(4)] == [2, 1, 1, 1]
    assert [is_finished(tmp_path / str(number)) for number in range(4)] == [
        False,
        False,
        True,
        False,
    ]
    lockstep.train_all(jobs(settings, tmp_path), console=QUIET)
    assert_same(tmp_path, alone)


@pytest.mark.on_one_backend
def test_only_runs_that_differ_behind_the_backbone_share_it(settings, tmp_path):
    variants = [
        ({}, 16),
        ({"learning_rate": 1.0}, 8),
        ({"fine_tune": 1}, 16),
        ({"precision": "float16"}, 16),
        ({}, 12),
    ]
    grouped = groups.groups(jobs(settings, tmp_path, [*variants, ({"epochs": 60}, 4)]))
    assert [[job.out.name for job in group] for group in grouped] == [
        ["0", "1", "5"],
        ["4"],
        ["2"],
        ["3"],
    ]
    assert [groups.work(group) for group in grouped] == [60 * 27, 2 * 27, 2 * 27, 2 * 27]
    (one,) = jobs(settings, tmp_path, [({}, 8)])
    (other,) = jobs(settings, tmp_path, [({}, 8)], inputs=dataclasses.replace(INPUTS, seed=4))
    assert len(groups.groups([one, other])) == 2


@pytest.mark.on_one_backend
def test_a_head_that_diverges_does_not_stop_the_others(settings, alone, tmp_path):
    variants = [VARIANTS[0], ({"learning_rate": 1e38}, 8)]
    with pytest.raises(InputError, match=r"1: The loss of epoch 1 is not a number"):
        lockstep.train_all(jobs(settings, tmp_path, variants), console=QUIET)
    assert_same(tmp_path, alone, numbers=[0])
    assert not (tmp_path / "1").exists()


@pytest.mark.on_one_backend
def test_features_of_a_large_held_out_split_are_computed_again(
    settings, alone, tmp_path, monkeypatch
):
    monkeypatch.setattr(shared, "KEPT_BYTES", 0)
    lockstep.train_all(jobs(settings, tmp_path, VARIANTS[:2]), console=QUIET)
    assert_same(tmp_path, alone, numbers=[0, 1])
    assert json.loads((tmp_path / "1" / METRICS).read_text())["epochs"] == 3
