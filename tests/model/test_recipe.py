"""Options of training beyond the reference system's, on either Keras backend."""

import dataclasses
import itertools

import numpy as np
import pytest
import tiny_dataset
from click.testing import CliRunner
from run_files import QUIET, assert_same_models, history, interrupt_after, keep_states, weights

from sentiflow import pipeline
from sentiflow.model import evaluate, train
from sentiflow.model.networks import network
from sentiflow.model.scores import split
from sentiflow.model.settings import TrainSettings
from sentiflow.model.training import checkpoint, ending, feed, loop, recipe, start
from sentiflow.model.training.history import best_epoch
from sentiflow.model.training.record import read_record

INPUTS = pipeline.Settings(batch_size=8, image_size=tiny_dataset.IMAGE_SIZE)
NAMES = tiny_dataset.CLASSES


pytestmark = pytest.mark.usefixtures("without_pictures")


@pytest.fixture(scope="module")
def settings(small):
    return dataclasses.replace(small, learning_rate=0.02)


OTHERWISE = {
    **{"label_smoothing": 0.1, "class_weights": "balanced", "mixup": 0.3, "standardise": True},
    **{"optimizer": "adamw", "schedule": "cosine", "warmup": 1.5, "weight_decay": 0.01},
}
STAGED = {"fine_tune": 5, "fine_tune_after": 2, "average_weights": 2, "dropout": 0.2}


@pytest.mark.parametrize(
    ("changes", "last_batch", "epochs"),
    [(OTHERWISE, "pad", [2]), (STAGED, "auto", [2, 3])],
    ids=["otherwise", "staged"],
)
def test_an_interrupted_run_resumes_to_the_same_bits(
    changes, last_batch, epochs, settings, tmp_path, monkeypatch
):
    """Interrupted after each of the epochs: between two stages, while weights are averaged."""
    settings = dataclasses.replace(settings, epochs=4, **changes)
    inputs = dataclasses.replace(INPUTS, last_batch=last_batch)
    loop.train(settings, inputs, out=tmp_path / "whole", console=QUIET)
    for epoch in epochs:
        with monkeypatch.context() as patch:
            interrupt_after(patch, epoch=epoch)
            with pytest.raises(KeyboardInterrupt):
                loop.train(settings, inputs, out=tmp_path / "parts", resume=True, console=QUIET)
    loop.train(settings, inputs, out=tmp_path / "parts", resume=True, console=QUIET)
    assert_same_models(tmp_path / "parts", tmp_path / "whole")


def test_stages_and_the_mean_of_the_last_epochs(settings, tmp_path, monkeypatch):
    """The head alone, then the last layers too; the final network is the mean."""
    kept = keep_states(monkeypatch)
    changes = {
        "epochs": 4,
        "fine_tune": 5,
        "fine_tune_after": 2,
        "fine_tune_rate": 0.005,
        "average_weights": 2,
    }
    changes["head"] = "linear"  # the maps of the other heads may be dead by chance
    loop.train(dataclasses.replace(settings, **changes), INPUTS, out=tmp_path, console=QUIET)
    backbone = len(kept[0]) - 2
    changed = [
        sum(
            not np.array_equal(old, new)
            for old, new in zip(before[:backbone], after[:backbone], strict=True)
        )
        for before, after in itertools.pairwise(kept)
    ]
    assert changed[:2] == [0, 0]
    assert changed[2] > 0
    assert max(changed) <= 2  # a kernel and a bias
    rates = [row["learning_rate"] for row in history(tmp_path)]
    # 27 images: 3 updates an epoch.
    expected = [0.02 / (1 + 0.0005 * t) for t in (3, 6)] + [
        0.005 / (1 + 0.0005 * t) for t in (3, 6)
    ]
    assert rates == pytest.approx(expected, rel=1e-5)
    for mean, one, other in zip(weights(tmp_path / "model.keras"), kept[3], kept[4], strict=True):
        np.testing.assert_allclose(mean, (one + other) / 2, atol=1e-6)
    best = best_epoch(checkpoint.saved_history(tmp_path))
    for ours, theirs in zip(weights(tmp_path / "best.keras"), kept[best], strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.on_one_backend
def test_the_best_epoch_may_lie_before_the_fine_tuning(settings, tmp_path, monkeypatch):
    for module in (checkpoint, ending):
        monkeypatch.setattr(module, "best_epoch", lambda history: 1)
    kept = keep_states(monkeypatch)
    changes = {"epochs": 3, "fine_tune": 5, "fine_tune_after": 2}
    loop.train(dataclasses.replace(settings, **changes), INPUTS, out=tmp_path, console=QUIET)
    for ours, theirs in zip(weights(tmp_path / "best.keras"), kept[1], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_device_tier_mixes_and_fine_tunes_the_same(settings, tmp_path):
    changes = {"epochs": 2, "mixup": 0.4, "fine_tune": 5, "fine_tune_after": 1}
    settings = dataclasses.replace(settings, **changes)
    for tier in ("memory", "device"):
        loop.train(
            settings, dataclasses.replace(INPUTS, cache=tier), out=tmp_path / tier, console=QUIET
        )
    host, on_device = (weights(tmp_path / tier / "model.keras") for tier in ("memory", "device"))
    for one, other in zip(host, on_device, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.on_one_backend
def test_training_reports_the_loss_that_it_lowers_and_validation_the_plain_one(settings, tmp_path):
    changed = dataclasses.replace(
        settings, epochs=1, learning_rate=1e-9, label_smoothing=0.9, average_weights=1
    )
    loop.train(changed, INPUTS, out=tmp_path, console=QUIET)
    (row,) = checkpoint.saved_history(tmp_path)
    record, model = checkpoint.load(tmp_path)
    images, labels = zip(*feed.training_batches(record, epoch=0).as_numpy_iterator(), strict=True)
    p = model.predict_on_batch(np.concatenate(images))
    assert row.loss == pytest.approx(
        -(np.concatenate(labels) * np.log(p)).sum(axis=1).mean(), rel=1e-4
    )
    predictions = split.predict_split(record, model, split="validation")
    assert row.val_loss == pytest.approx(-np.log(predictions.of_label).mean(), rel=1e-4)


def test_views_are_the_center_crop_its_mirror_image_and_random_crops(settings, tmp_path):
    record = start.make_record(settings, INPUTS)
    model = network.build(settings, classes=3, image_size=32)
    ((center, truth),) = split.evaluation_batches(record, split="validation").as_numpy_iterator()
    ((crops, _),) = split.evaluation_batches(record, split="validation", crop=1).as_numpy_iterator()
    assert not np.array_equal(center, crops)
    views = [center, center[:, :, ::-1], crops, crops[:, :, ::-1]]
    for count in (1, 2, 3, 4):
        expected = np.mean([model.predict_on_batch(view) for view in views[:count]], axis=0)
        predictions = split.predict_split(record, model, split="validation", views=count)
        np.testing.assert_allclose(predictions.by_class, expected, atol=1e-6)
        np.testing.assert_array_equal(predictions.labels, truth)


@pytest.mark.on_one_backend
def test_a_recipe_is_a_preset_that_options_override(settings, tiny_dir, tmp_path):
    best = recipe.preset("best", dropout=0.5)
    for name, value in (recipe.RECIPES["best"] | {"dropout": 0.5, "recipe": "best"}).items():
        assert getattr(best, name) == value
    assert recipe.preset("reference") == TrainSettings()
    out = tmp_path / "run"
    given = [
        "--epochs=2",
        "--learning_rate=0.5",
        "--backbone=small",
        "--weights=none",
    ]
    given += [
        f"--dataset={tiny_dataset.NAME}",
        f"--data_dir={tiny_dir}",
        "--image_size=32",
        "--batch_size=8",
    ]
    outcome = CliRunner().invoke(
        train.main, ["--out", str(out), "--recipe=best", "--average_weights=1", *given]
    )
    assert outcome.exit_code == 0, outcome.stderr
    stored = dataclasses.asdict(read_record(out).train)
    assert (stored["learning_rate"], stored["average_weights"], stored["recipe"]) == (
        0.5,
        1,
        "best",
    )
    for name in recipe.RECIPES["best"].keys() - {"learning_rate", "average_weights", "epochs"}:
        assert stored[name] == recipe.RECIPES["best"][name]
    # Resuming needs no option, and evaluating otherwise leaves the run's own figures alone.
    assert CliRunner().invoke(train.main, ["--out", str(out), "--resume"]).exit_code == 0
    outcome = CliRunner().invoke(evaluate.main, ["--run", str(out), "--views=3"])
    assert "evaluation-test-3views.json" in {path.name for path in out.iterdir()}
    assert outcome.exit_code == 0


@pytest.mark.on_one_backend
@pytest.mark.parametrize("name", recipe.ABLATION)
def test_every_row_of_the_ablation_can_be_trained(name, settings):
    """A network of each is made and updated: trained weights change, its loss is a number."""
    shared = ("dataset", "data_dir", "backbone", "weights", "precision")
    of_data = {field: getattr(settings, field) for field in shared}
    settings = TrainSettings(**{**of_data, **recipe.ABLATION[name]})
    (first, *later) = recipe.stages(settings)
    assert sum(stage.epochs for stage in (first, *later)) == 20
    record = start.make_record(
        dataclasses.replace(settings, fine_tune=min(settings.fine_tune, 2)), INPUTS
    )
    model = start.build_model(record, record.train)
    before = [weight.numpy() for weight in model.trainable_weights]
    batch = next(feed.training_batches(record, epoch=0).as_numpy_iterator())
    trained = feed.fed_by(model, record)
    # Two updates: a warm-up begins with a learning rate of zero.
    for _ in range(2):
        loss, _ = trained.train_on_batch(*batch)
    assert 0 < loss < 10
    assert any(
        np.any(old != weight.numpy())
        for old, weight in zip(before, model.trainable_weights, strict=True)
    )
