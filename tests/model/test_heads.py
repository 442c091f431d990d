"""Heads, against formulas in NumPy; how branches are trained; on either Keras backend."""

import dataclasses
import json

import keras
import numpy as np
import pytest
import tiny_dataset
from run_files import QUIET, history

from sentiflow import pipeline
from sentiflow.model.networks import heads, network, precision
from sentiflow.model.scores import split
from sentiflow.model.settings import TrainSettings
from sentiflow.model.training import checkpoint, ending, loop
from sentiflow.model.training.recipe import compile_network, compile_with
from sentiflow.pipeline import InputError

SETTINGS = TrainSettings(
    backbone="mobilenet", backbone_options=("alpha=0.25",), weights="none", maps_per_class=2
)
CLASSES, K = 3, 2
FEATURES = np.random.default_rng(0).normal(size=(4, 2, 3, 5)).astype("float32")


def make(name, **changes):
    """A head alone, from features [b, 2, 3, 5], with weights of which none is zero."""
    features = keras.Input(FEATURES.shape[1:])
    model = keras.Model(
        features,
        heads.HEADS[name](features, CLASSES, dataclasses.replace(SETTINGS, head=name, **changes)),
    )
    rng = np.random.default_rng(1)
    model.set_weights([rng.normal(size=weight.shape).astype("float32") for weight in model.weights])
    return model


def small_backbone(*_, **__):
    return keras.Sequential(
        [keras.Input((32, 32, 3)), keras.layers.Conv2D(8, 3, strides=8, name="convolution")]
    )


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def class_means(maps):
    """Mean of the K maps of each class, channel c * K + i."""
    return np.stack([maps[..., c * K : c * K + K].mean(axis=-1) for c in range(CLASSES)], axis=-1)


def test_linear_is_a_softmax_of_the_mean_features():
    model = make("linear")
    kernel, bias = model.get_weights()
    expected = softmax(FEATURES.mean(axis=(1, 2)) @ kernel + bias)
    np.testing.assert_allclose(model.predict_on_batch(FEATURES), expected, rtol=1e-5)


@pytest.mark.parametrize(("pooling", "pool"), [("average", np.mean), ("max", np.max)])
def test_wscnet_couples_the_features_with_the_sentiment_map(pooling, pool):
    model = make("wscnet", head_options=(f"pooling={pooling}",))
    conv, conv_bias, dense, dense_bias = model.get_weights()
    assert conv.shape == (1, 1, 5, CLASSES * K)
    maps = FEATURES @ conv[0, 0] + conv_bias
    v = class_means(pool(maps, axis=(1, 2)))
    sentiment = np.zeros((4, 2, 3, 1))
    for c in range(CLASSES):
        sentiment[..., 0] += v[:, c, None, None] * class_means(maps)[..., c]
    coupled = np.concatenate([FEATURES, FEATURES * sentiment], axis=-1)
    expected = softmax(pool(coupled, axis=(1, 2)) @ dense + dense_bias)
    outputs = [model.output, *heads.auxiliary(model)]
    outputs += [model.get_layer(name).output for name in (heads.CLASS_MAPS, heads.SENTIMENT_MAP)]
    values = keras.Model(model.inputs, outputs).predict_on_batch(FEATURES)
    for value, wanted in zip(
        values, [expected, softmax(v), class_means(maps), sentiment], strict=True
    ):
        np.testing.assert_allclose(value, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("kmax", "kmin", "alpha", "highest", "lowest"),
    [(2, 3, 0.5, 2, 3), (0.5, 0.2, 0.7, 3, 1), (1, 0, 1, 1, 0), (0.01, 6, 0.0, 1, 6)],
)
def test_wildcat_averages_the_highest_and_lowest_places(kmax, kmin, alpha, highest, lowest):
    model = make("wildcat", head_options=(f"kmax={kmax}", f"kmin={kmin}", f"alpha={alpha}"))
    conv, bias = model.get_weights()
    values = np.sort(class_means(FEATURES @ conv[0, 0] + bias).reshape(4, 6, CLASSES), axis=1)
    logits = values[:, 6 - highest :].mean(axis=1)
    if lowest:
        logits += alpha * values[:, :lowest].mean(axis=1)
    np.testing.assert_allclose(model.predict_on_batch(FEATURES), softmax(logits), rtol=1e-4)


def test_a_map_with_too_few_places_is_refused():
    with pytest.raises(InputError, match=r"has 6 places; set kmin to at most that.* Received: 7"):
        make("wildcat", head_options=("kmin=7",))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("wildcat", "kmax=0"), "kmax must be in .*whole number. Received: 0"),
        (("wildcat", "kmin=1.5"), "kmin must be in .*whole number. Received: 1.5"),
        (("wildcat", "alpha=1.2"), r"alpha must be in \[0, 1\]"),
        (("wildcat", "alpha=much"), "alpha must be a number. Received: 'much'"),
        (
            ("wildcat", "pooling=max"),
            "the head wildcat has no option pooling; it has kmax, kmin, al",
        ),
        (("wscnet", "pooling=sum"), "pooling must be one of average, max. Received: 'sum'"),
        (("gap", "kmax=1"), "the head gap has no option kmax; it has none. Received: kmax=1"),
        (("wildcat", "kmax"), "head_options must be key=value, e.g. kmax=0.1. Received: kmax"),
    ],
)
def test_options_that_a_head_does_not_have_are_refused(given, message):
    head, text = given
    with pytest.raises(InputError, match=message):
        TrainSettings(head=head, head_options=(text,))


def test_settings_of_version_0_1_0_are_read():
    former = {
        "wscnet_pooling": "max",
        "wildcat_kmax": 0.3,
        "wildcat_kmin": 0.2,
        "wildcat_alpha": 0.5,
    }
    for head, expected in (
        ("gap", ()),
        ("wscnet", ("pooling=max",)),
        ("wildcat", ("kmax=0.3", "alpha=0.5")),
    ):
        settings = TrainSettings(head=head, head_options=expected)
        stored = json.loads(json.dumps(dataclasses.asdict(settings)))
        assert TrainSettings.read(stored) == settings
        del stored["head_options"]
        assert TrainSettings.read(stored | former) == settings


@pytest.mark.parametrize("name", heads.HEADS)
def test_dropout_acts_in_training_alone(name):
    plain, dropped = make(name), make(name, dropout=0.5)
    expected = plain.predict_on_batch(FEATURES)
    np.testing.assert_allclose(dropped(FEATURES, training=False), expected, rtol=1e-5)
    assert (
        np.abs(keras.ops.convert_to_numpy(dropped(FEATURES, training=True)) - expected).max() > 0.01
    )


def test_the_loss_is_half_and_half_and_the_accuracy_that_of_the_probabilities():
    """The branch's gradient reaches the maps' weights, and one step is that of the mean loss."""
    model = make("wscnet")
    labels = np.array([0, 2, 1, 1], "int32")
    compile_network(model, SETTINGS, steps=1)
    fed = heads.Branches(model)
    compile_with(model.optimizer, fed, SETTINGS)
    both = keras.Model(model.inputs, [model.output, *heads.auxiliary(model)]).predict_on_batch(
        FEATURES
    )
    losses = [-np.log(values[np.arange(4), labels]) for values in both]
    loss, accuracy = fed.evaluate(FEATURES, labels, verbose=0)
    assert loss == pytest.approx(np.mean(losses), rel=1e-4)
    assert np.mean(both[0].argmax(1) == labels) != np.mean(both[1].argmax(1) == labels)
    assert accuracy == pytest.approx(np.mean(both[0].argmax(1) == labels))
    weight = np.array([1, 0, 0, 1], "float32")
    masked = fed.evaluate(FEATURES, labels, sample_weight=weight, verbose=0)[0]
    assert masked == pytest.approx(np.mean(losses, axis=0) @ weight / 4, rel=1e-4)
    before = model.get_weights()
    fed.train_on_batch(FEATURES, labels)
    assert fed.evaluate(FEATURES, labels, verbose=0)[0] < loss
    assert all(
        np.abs(new - old).max() > 0 for new, old in zip(model.get_weights(), before, strict=True)
    )
    assert [weight.path for weight in fed.trainable_weights] == [
        weight.path for weight in model.trainable_weights
    ]


def test_a_network_without_further_branches_is_trained_as_it_is():
    model = make("gap")
    compile_network(model, SETTINGS, steps=1)
    fed = heads.Branches(model)
    compile_with(model.optimizer, fed, SETTINGS)
    labels = np.array([0, 2, 1, 1], "int32")
    assert fed.evaluate(FEATURES, labels, verbose=0) == pytest.approx(
        model.evaluate(FEATURES, labels, verbose=0)
    )


@pytest.mark.parametrize(
    ("name", "number_format"),
    [*((name, "bfloat16") for name in heads.HEADS), ("wscnet", "float16")],
)
def test_a_network_computes_in_less_and_is_saved_with_one_output(name, number_format, tmp_path):
    settings = dataclasses.replace(SETTINGS, head=name, dropout=0.1)
    with precision.policy(number_format):
        model = network.build(settings, classes=CLASSES, image_size=32, backbone=small_backbone())
    images = np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    probabilities = model.predict_on_batch(images)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert [str(branch.dtype) for branch in heads.auxiliary(model)] == ["float32"] * (
        name == "wscnet"
    )
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.output_shape == (None, CLASSES)
    np.testing.assert_array_equal(loaded.predict_on_batch(images), probabilities)
    assert len(heads.auxiliary(loaded)) == len(heads.auxiliary(model))


def test_two_branches_are_trained_alike_on_every_tier_and_resume(tmp_path, tiny_dir, monkeypatch):
    """On the tier `device`, three updates a call, and interrupted after the first of two epochs."""
    monkeypatch.setattr(network, "make_backbone", small_backbone)
    settings = dataclasses.replace(
        SETTINGS, dataset=tiny_dataset.NAME, data_dir=str(tiny_dir), head="wscnet"
    )
    settings = dataclasses.replace(
        settings, epochs=2, learning_rate=0.05, precision="float32", dropout=0.2
    )
    inputs = pipeline.Settings(batch_size=8, image_size=tiny_dataset.IMAGE_SIZE)
    one, other = tmp_path / "one", tmp_path / "other"
    loop.train(settings, inputs, out=one, console=QUIET)
    settings, inputs = (
        dataclasses.replace(settings, steps_per_execution=3),
        dataclasses.replace(inputs, cache="device"),
    )

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ending, "should_stop", lambda history, patience: len(history) == 1)
        patch.setattr(ending, "finish", interrupt)
        with pytest.raises(KeyboardInterrupt):
            loop.train(settings, inputs, out=other, console=QUIET)
    loop.train(settings, inputs, out=other, resume=True, console=QUIET)
    assert [row["epoch"] for row in history(other)] == [1, 2]
    for name in ("loss", "accuracy", "val_loss"):
        values = [[row[name] for row in history(out)] for out in (one, other)]
        assert values[0] == pytest.approx(values[1], abs=1e-4)
    record, model = checkpoint.load(one)
    both = keras.Model(model.inputs, [*model.outputs, *heads.auxiliary(model)])
    ((images, labels),) = split.evaluation_batches(record, split="validation").as_numpy_iterator()
    losses = [
        -np.log(values[np.arange(7), labels]).mean() for values in both.predict_on_batch(images)
    ]
    assert history(one)[-1]["val_loss"] == pytest.approx(np.mean(losses), abs=1e-5)
    assert abs(losses[0] - losses[1]) > 1e-3
