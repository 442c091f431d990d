"""Options of training beyond the reference system's. Runs on either Keras backend (see test_jax.py)."""

import dataclasses
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_dataset
from click.testing import CliRunner
from rich.console import Console

from sentiflow import pipeline
from sentiflow.model import evaluate, network, recipe, run, targets, train
from sentiflow.model.backbones import make_backbone
from sentiflow.model.settings import TrainSettings
from sentiflow.pipeline import InputError

INPUTS = pipeline.Settings(batch_size=8, image_size=tiny_dataset.IMAGE_SIZE)
NAMES = tiny_dataset.CLASSES
QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    tiny_dataset.write(folder)
    return folder


@pytest.fixture(scope="module")
def settings(data_dir, tmp_path_factory):
    """A backbone whose features do not vanish, as those of Keras' initial weights do, and gradients with them."""
    settings = TrainSettings(
        dataset=tiny_dataset.NAME,
        data_dir=str(data_dir),
        backbone="mobilenet",
        backbone_options=("alpha=0.25",),
        weights=str(tmp_path_factory.mktemp("backbone") / "live.weights.h5"),
        epochs=3,
        learning_rate=0.02,
        precision="float32",
    )
    backbone = make_backbone(
        dataclasses.replace(settings, weights="none"), image_size=tiny_dataset.IMAGE_SIZE
    )
    rng = np.random.default_rng(0)
    for weight in backbone.weights:
        if "kernel" in weight.path:
            places = (
                1 if "_dw_" in weight.path else weight.shape[2]
            )  # of 3 x 3, most lie beyond the border
            weight.assign(rng.normal(scale=np.sqrt(2 / places), size=weight.shape))
    backbone.save_weights(settings.weights)
    return settings


def weights(path):
    return keras.saving.load_model(path, compile=False).get_weights()


def interrupt_after(monkeypatch, epoch):
    """Interrupts the next run once the state after that epoch is saved."""
    save = run.save_state

    def interrupted(folder, model, history, **options):
        save(folder, model, history, **options)
        if len(history) == epoch:
            raise KeyboardInterrupt

    monkeypatch.setattr(run, "save_state", interrupted)


def test_target_vectors_by_hand():
    labels = np.array([0, 0, 0, 1, 2, 2])
    smooth = targets.table(TrainSettings(label_smoothing=0.3), labels, NAMES)
    np.testing.assert_allclose(
        smooth, [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]], rtol=1e-6
    )
    balanced = targets.table(TrainSettings(class_weights="balanced"), labels, NAMES)
    np.testing.assert_allclose(balanced, np.diag([6 / 9, 6 / 3, 6 / 6]), rtol=1e-6)
    with pytest.raises(InputError, match=r"class_weights must be none .* Received: \['red'\]"):
        targets.table(TrainSettings(class_weights="balanced"), labels[:4], NAMES)


def test_loss_and_accuracy_of_labels_and_of_target_vectors():
    p = np.array([[0.7, 0.2, 0.1], [0.3, 0.3, 0.4]], "float32")
    loss = targets.CrossEntropy()
    assert float(loss(np.array([0, 1]), p)) == pytest.approx(
        -(np.log(0.7) + np.log(0.3)) / 2, rel=1e-5
    )
    vectors = np.array([[1.6, 0.2, 0.2], [0.0, 0.3, 0.7]], "float32")
    assert float(loss(vectors, p)) == pytest.approx(-(vectors * np.log(p)).sum() / 2, rel=1e-5)
    np.testing.assert_array_equal(targets.hits(np.array([0, 1]), p), [1, 0])
    np.testing.assert_array_equal(targets.hits(vectors, p), [1, 1])


def test_mixup_mixes_neighbours_in_shares_of_its_step_alone():
    rng = np.random.default_rng(0)
    images, labels = (
        rng.normal(size=(40, 2, 2, 3)).astype("float32"),
        np.arange(40, dtype="int32") % 3,
    )
    rows = targets.table(TrainSettings(label_smoothing=0.3), labels, NAMES)

    def stream(first, seed=7):
        batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(8).skip(first)
        return list(
            targets.attach(batches, rows, mixup=0.4, seed=seed, step=first).as_numpy_iterator()
        )

    whole, shares = stream(0), []
    for number, (mixed, vectors) in enumerate(whole):
        x, t = images[8 * number :][:8], rows[labels[8 * number :][:8]]
        before, old = np.roll(x, 1, axis=0), np.roll(t, 1, axis=0)
        share = ((mixed - before) / (x - before))[:, 0, 0, 0]
        shares.extend(share)
        np.testing.assert_allclose(
            mixed, before + share[:, None, None, None] * (x - before), atol=1e-4
        )
        np.testing.assert_allclose(vectors, old + share[:, None] * (t - old), atol=1e-4)
    # Beta(0.4, 0.4) has mean 1/2 and variance 1 / (4 * 1.8).
    assert np.mean(shares) == pytest.approx(0.5, abs=0.15)
    assert np.var(shares) == pytest.approx(1 / 7.2, abs=0.06)
    for ours, theirs in zip(stream(3), whole[3:], strict=True):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])
    assert not np.allclose(stream(0, seed=8)[0][0], whole[0][0])


@pytest.mark.parametrize(
    ("changes", "step", "rate"),
    [
        ({}, 3, 0.02 / (1 + 0.0005 * 3)),
        ({"schedule": "cosine"}, 0, 0.02),
        ({"schedule": "cosine"}, 25, 0.01),
        ({"schedule": "cosine", "warmup": 1.0}, 5, 0.01),
        ({"schedule": "cosine", "warmup": 1.0}, 30, 0.01),
        ({"schedule": "cosine", "warmup": 1.0}, 50, 0.0),
    ],
)
def test_the_learning_rate_by_step(changes, step, rate):
    """Five epochs of ten steps."""
    optimizer = recipe.make_optimizer(
        TrainSettings(epochs=5, learning_rate=0.02, **changes), steps=10
    )
    optimizer.iterations.assign(step)
    assert float(optimizer.learning_rate) == pytest.approx(rate, abs=1e-8)


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_the_first_update_of_an_optimiser_by_hand(name):
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", use_bias=False)(inputs))
    settings = TrainSettings(
        optimizer=name, learning_rate=0.1, weight_decay=0.2, label_smoothing=0.1
    )
    recipe.compile_network(model, settings, steps=1)
    rng = np.random.default_rng(2)
    x, labels = rng.normal(size=(6, 4)).astype("float32"), np.array([0, 1, 2, 0, 1, 2])
    vectors = targets.table(settings, labels, NAMES)[labels]
    w = model.trainable_variables[0].numpy()
    scores = np.exp(x @ w)
    gradient = x.T @ (scores / scores.sum(axis=1, keepdims=True) - vectors) / len(x)
    epsilon = 1e-7 / np.sqrt(1 - 0.999)  # Adam's, after the correction of the first step's bias
    step = 1.9 * gradient if name == "sgd" else gradient / (abs(gradient) + epsilon)
    model.train_on_batch(x, vectors)
    np.testing.assert_allclose(
        model.trainable_variables[0].numpy(), w * (1 - 0.1 * 0.2) - 0.1 * step, atol=1e-4
    )


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
    """Interrupted after each of the epochs: for one between two stages, for one while weights are averaged."""
    settings = dataclasses.replace(settings, epochs=4, **changes)
    inputs = dataclasses.replace(INPUTS, last_batch=last_batch)
    train.train(settings, inputs, out=tmp_path / "whole", console=QUIET)
    for epoch in epochs:
        with monkeypatch.context() as patch:
            interrupt_after(patch, epoch)
            with pytest.raises(KeyboardInterrupt):
                train.train(settings, inputs, out=tmp_path / "parts", resume=True, console=QUIET)
    train.train(settings, inputs, out=tmp_path / "parts", resume=True, console=QUIET)
    for model in run.MODELS.values():
        for ours, theirs in zip(
            weights(tmp_path / "parts" / model), weights(tmp_path / "whole" / model), strict=True
        ):
            np.testing.assert_array_equal(ours, theirs)


def test_stages_and_the_mean_of_the_last_epochs(settings, tmp_path, monkeypatch):
    """The head alone, then the last layers too, with an optimiser of its own; the final network is the mean."""
    kept, save = [], run.save_state

    def saved(folder, model, history, **options):
        kept.append([weight.numpy() for weight in model.weights])
        save(folder, model, history, **options)

    monkeypatch.setattr(run, "save_state", saved)
    changes = {
        "epochs": 4,
        "fine_tune": 5,
        "fine_tune_after": 2,
        "fine_tune_rate": 0.005,
        "average_weights": 2,
    }
    changes["head"] = "linear"  # the maps of the other heads may be dead by chance
    train.train(dataclasses.replace(settings, **changes), INPUTS, out=tmp_path, console=QUIET)
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
    assert max(changed) <= 2  # a depthwise and a pointwise kernel
    rows = (tmp_path / run.HISTORY).read_text().splitlines()[1:]
    rates = [float(row.split(",")[5]) for row in rows]
    # 27 images: 3 updates an epoch.
    expected = [0.02 / (1 + 0.0005 * t) for t in (3, 6)] + [
        0.005 / (1 + 0.0005 * t) for t in (3, 6)
    ]
    assert rates == pytest.approx(expected, rel=1e-5)
    for mean, one, other in zip(weights(tmp_path / "model.keras"), kept[3], kept[4], strict=True):
        np.testing.assert_allclose(mean, (one + other) / 2, atol=1e-6)
    best = run.best_epoch(run.read_history(tmp_path))
    for ours, theirs in zip(weights(tmp_path / "best.keras"), kept[best], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_best_epoch_may_lie_before_the_fine_tuning(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "best_epoch", lambda history: 1)
    kept, save = [], run.save_state

    def saved(folder, model, history, **options):
        kept.append([weight.numpy() for weight in model.weights])
        save(folder, model, history, **options)

    monkeypatch.setattr(run, "save_state", saved)
    changes = {"epochs": 3, "fine_tune": 5, "fine_tune_after": 2}
    train.train(dataclasses.replace(settings, **changes), INPUTS, out=tmp_path, console=QUIET)
    for ours, theirs in zip(weights(tmp_path / "best.keras"), kept[1], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_device_tier_mixes_and_fine_tunes_the_same(settings, tmp_path):
    changes = {"epochs": 2, "mixup": 0.4, "fine_tune": 5, "fine_tune_after": 1}
    settings = dataclasses.replace(settings, **changes)
    for tier in ("memory", "device"):
        train.train(
            settings, dataclasses.replace(INPUTS, cache=tier), out=tmp_path / tier, console=QUIET
        )
    host, on_device = (weights(tmp_path / tier / "model.keras") for tier in ("memory", "device"))
    for one, other in zip(host, on_device, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)


def test_training_reports_the_loss_that_it_lowers_and_validation_the_plain_one(settings, tmp_path):
    changed = dataclasses.replace(
        settings, epochs=1, learning_rate=1e-9, label_smoothing=0.9, average_weights=1
    )
    train.train(changed, INPUTS, out=tmp_path, console=QUIET)
    (row,) = run.read_history(tmp_path)
    record, model = run.load(tmp_path)
    images, labels = zip(*train.training_batches(record, epoch=0).as_numpy_iterator(), strict=True)
    p = model.predict_on_batch(np.concatenate(images))
    assert row["loss"] == pytest.approx(
        -(np.concatenate(labels) * np.log(p)).sum(axis=1).mean(), rel=1e-4
    )
    p, labels = evaluate.predict_split(record, model, split="validation")
    assert row["val_loss"] == pytest.approx(-np.log(p[np.arange(7), labels]).mean(), rel=1e-4)


def test_views_are_the_center_crop_its_mirror_image_and_random_crops(settings, tmp_path):
    record = train.make_record(settings, INPUTS)
    model = network.build(settings, classes=3, image_size=32)
    ((center, truth),) = evaluate.evaluation_batches(record, split="validation").as_numpy_iterator()
    ((crops, _),) = evaluate.evaluation_batches(
        record, split="validation", crop=1
    ).as_numpy_iterator()
    assert not np.array_equal(center, crops)
    views = [center, center[:, :, ::-1], crops, crops[:, :, ::-1]]
    for count in (1, 2, 3, 4):
        expected = np.mean([model.predict_on_batch(view) for view in views[:count]], axis=0)
        probabilities, labels = evaluate.predict_split(
            record, model, split="validation", views=count
        )
        np.testing.assert_allclose(probabilities, expected, atol=1e-6)
        np.testing.assert_array_equal(labels, truth)


def test_a_recipe_is_a_preset_that_options_override(settings, data_dir, tmp_path):
    best = recipe.preset("best", dropout=0.5)
    for name, value in (recipe.RECIPES["best"] | {"dropout": 0.5, "recipe": "best"}).items():
        assert getattr(best, name) == value
    assert recipe.preset("reference") == TrainSettings()
    out = tmp_path / "run"
    given = [
        "--epochs=2",
        "--learning_rate=0.5",
        "--backbone=mobilenet",
        "--backbone_options=alpha=0.25",
        "--weights=none",
    ]
    given += [
        f"--dataset={tiny_dataset.NAME}",
        f"--data_dir={data_dir}",
        "--image_size=32",
        "--batch_size=8",
    ]
    outcome = CliRunner().invoke(
        train.main, ["--out", str(out), "--recipe=best", "--average_weights=1", *given]
    )
    assert outcome.exit_code == 0, outcome.stderr
    stored = dataclasses.asdict(run.read_record(out).train)
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


def test_every_row_of_the_ablation_can_be_trained():
    for changes in recipe.ABLATION.values():
        assert TrainSettings(**changes).epochs == 20


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_smoothing": 1.0}, r"label_smoothing must be in \[0, 1\). Received: 1.0"),
        ({"mixup": -1.0}, "mixup must be at least 0. Received: -1.0"),
        ({"views": 0}, "views must be at least 1"),
        ({"optimizer": "adam"}, "optimizer must be one of sgd, adamw. Received: 'adam'"),
        ({"schedule": "cos"}, "schedule must be one of inverse_time, cosine. Received: 'cos'"),
        ({"head": "x"}, "head must be one of gap, linear, wscnet, wildcat. Received: 'x'"),
        (
            {"precision": "half"},
            "precision must be one of auto, float32, bfloat16, float16. Received: 'half'",
        ),
        ({"weight_decay": -0.1}, "weight_decay must be at least 0. Received: -0.1"),
        ({"warmup": 1.0}, "warmup needs schedule=cosine. Received: warmup=1.0"),
        (
            {"warmup": 3.0, "schedule": "cosine", "fine_tune": 1, "fine_tune_after": 3},
            r"warmup must be in \[0, 3\)",
        ),
        ({"fine_tune_after": 20, "fine_tune": 1}, r"fine_tune_after must be in \[0, 20\)"),
        ({"fine_tune_after": 2}, "fine_tune_after needs fine_tune"),
        ({"fine_tune_rate": 0.1, "fine_tune": 1}, "fine_tune_rate needs fine_tune_after"),
        ({"average_weights": 21}, r"average_weights must be in \[0, 20\]"),
        ({"average_weights": 5, "early_stopping": 2}, "average_weights excludes early_stopping"),
    ],
)
def test_settings_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        TrainSettings(**changes)
