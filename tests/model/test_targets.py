"""Targets, schedules, optimisers, and which settings go together. Runs on either Keras backend."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_dataset

from sentiflow.model.networks.heads import HEADS
from sentiflow.model.settings import TrainSettings
from sentiflow.model.training import recipe, targets
from sentiflow.pipeline import InputError

NAMES = tiny_dataset.CLASSES


def target_vectors(settings, labels, *, of=None):
    """The target vectors of labels, all classes' in order if none are given."""
    of = np.arange(len(NAMES)) if of is None else of
    made = targets.table(settings, labels, NAMES).vectors(of, ops=keras.ops)
    return keras.ops.convert_to_numpy(made)


def test_target_vectors_by_hand():
    labels = np.array([0, 0, 0, 1, 2, 2])
    smooth = target_vectors(TrainSettings(label_smoothing=0.3), labels)
    np.testing.assert_allclose(
        smooth, [[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.1, 0.8]], rtol=1e-6
    )
    balanced = target_vectors(TrainSettings(class_weights="balanced"), labels)
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
    settings = TrainSettings(label_smoothing=0.3)
    table, rows = targets.table(settings, labels, NAMES), target_vectors(settings, labels)

    def stream(first, seed=7):
        batches = tf.data.Dataset.from_tensor_slices((images, labels)).batch(8).skip(first)
        return list(
            targets.attach(batches, table, mixup=0.4, seed=seed, step=first).as_numpy_iterator()
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
    for _ in range(2):  # Keras would count them in the file of a network
        recipe.compile_network(model, settings, steps=1)
        assert (model.optimizer.name, model.loss.name) == (name, "cross_entropy")
    rng = np.random.default_rng(2)
    x, labels = rng.normal(size=(6, 4)).astype("float32"), np.array([0, 1, 2, 0, 1, 2])
    wanted = target_vectors(settings, labels, of=labels)
    w = model.trainable_variables[0].numpy()
    scores = np.exp(x @ w)
    gradient = x.T @ (scores / scores.sum(axis=1, keepdims=True) - wanted) / len(x)
    epsilon = 1e-7 / np.sqrt(1 - 0.999)  # Adam's, after the correction of the first step's bias
    step = 1.9 * gradient if name == "sgd" else gradient / (abs(gradient) + epsilon)
    model.train_on_batch(x, wanted)
    np.testing.assert_allclose(
        model.trainable_variables[0].numpy(), w * (1 - 0.1 * 0.2) - 0.1 * step, atol=1e-4
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"label_smoothing": 1.0}, r"label_smoothing must be in \[0, 1\). Received: 1.0"),
        ({"mixup": -1.0}, "mixup must be at least 0. Received: -1.0"),
        ({"maps_per_class": 0}, "maps_per_class must be at least 1"),
        ({"views": 0}, "views must be at least 1"),
        ({"optimizer": "adam"}, "optimizer must be one of sgd, adamw. Received: 'adam'"),
        ({"schedule": "cos"}, "schedule must be one of inverse_time, cosine. Received: 'cos'"),
        ({"head": "x"}, f"head must be one of {', '.join(HEADS)}. Received: 'x'"),
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
