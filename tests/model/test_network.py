"""Backbones, head, optimiser and precision. Runs on either Keras backend (see test_jax.py)."""

import dataclasses
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from sentiflow.model.networks import backbones, heads, network, precision
from sentiflow.model.settings import TrainSettings
from sentiflow.model.training.recipe import compile_network
from sentiflow.pipeline import InputError
from sentiflow.pipeline.view import normalise

SMALL = TrainSettings(backbone="mobilenet", backbone_options=("alpha=0.25",), weights="none")
FAMILIES = [
    "xception",
    "vgg16",
    "vgg19",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnet50v2",
    "resnet101v2",
    "resnet152v2",
    "inceptionv3",
    "inceptionresnetv2",
    "mobilenet",
    "mobilenetv2",
    "densenet121",
    "densenet169",
    "densenet201",
    "nasnetmobile",
    "nasnetlarge",
    "efficientnetv2b0",
    "efficientnetv2b1",
    "efficientnetv2b2",
    "efficientnetv2b3",
    "efficientnetv2s",
    "efficientnetv2m",
    "efficientnetv2l",
    "convnexttiny",
    "convnextsmall",
    "convnextbase",
    "convnextlarge",
    "convnextxlarge",
]


def build(**changes):
    return network.build(dataclasses.replace(SMALL, **changes), classes=3, image_size=32)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_backbone_has_its_own_preprocessing(name):
    backbone = backbones.find_backbone(name)
    theirs = sys.modules[backbone.constructor.__module__].preprocess_input
    pixels = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3)).astype("float32")
    ours = normalise(tf.constant(pixels), backbone.preprocess)
    np.testing.assert_allclose(ours, theirs(pixels.copy()), atol=1e-5)


def test_the_table_names_the_constructors_in_lower_case():
    table = {
        name: backbone
        for name, backbone in backbones.BACKBONES.items()
        if not backbone.preset and name != "small"  # of the tests
    }
    assert list(table) == FAMILIES
    assert [backbone.constructor.__name__.lower() for backbone in table.values()] == FAMILIES


@pytest.mark.on_one_backend
def test_standardised_features_have_mean_0_and_variance_1_over_all_images():
    # Its features vary with random weights.
    model = build(backbone="vgg16", backbone_options=(), standardise=True)
    images = np.random.default_rng(0).normal(size=(13, 32, 32, 3)).astype("float32")
    network.standardise(model, (images[:8], images[8:]))
    layer = model.get_layer(network.STANDARDISED)
    raw, features = keras.Model(model.inputs, [layer.input, layer.output]).predict_on_batch(images)
    varied = raw.std(axis=(0, 1, 2)) > 1e-5
    assert varied.sum() > 100
    np.testing.assert_allclose(features.mean(axis=(0, 1, 2))[varied], 0, atol=1e-3)
    np.testing.assert_allclose(features.std(axis=(0, 1, 2))[varied], 1, atol=1e-2)
    before = [weight.numpy() for weight in layer.weights]
    compile_network(model, SMALL, steps=1)
    model.fit(images, np.zeros(13), verbose=0)
    for weight, old in zip(layer.weights, before, strict=True):
        np.testing.assert_array_equal(weight, old)


def test_gap_head_computes_relu_maps_then_their_mean_then_softmax():
    features = keras.Input((2, 2, 5))
    head = keras.Model(features, heads.gap(features, 3, SMALL))
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=weight.shape).astype("float32") for weight in head.weights]
    assert [weight.shape for weight in weights] == [(1, 1, 5, 12), (12,), (12, 3), (3,)]
    head.set_weights(weights)
    x = rng.normal(size=(4, 2, 2, 5)).astype("float32")
    maps = np.maximum(x @ weights[0][0, 0] + weights[1], 0)
    logits = maps.mean(axis=(1, 2)) @ weights[2] + weights[3]
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(head.predict_on_batch(x), expected, rtol=1e-5)


def test_the_backbone_is_frozen_and_fine_tune_opens_its_last_layers_but_batch_normalization():
    frozen, tuned = build(), build(fine_tune=7)
    assert len(frozen.trainable_weights) == 4
    backbone = tuned.get_layer("mobilenet_0.25_32")
    trained = [layer.name for layer in backbone.layers if layer.trainable]
    assert trained == [
        layer.name
        for layer in backbone.layers[-7:]
        if not isinstance(layer, keras.layers.BatchNormalization)
    ]
    assert len(tuned.trainable_weights) == 4 + 2  # a depthwise and a pointwise kernel


def test_training_leaves_the_statistics_of_batch_normalization_alone(small):
    model = network.build(dataclasses.replace(small, fine_tune=6), classes=3, image_size=32)
    assert len(model.trainable_weights) == 4 + 4  # of the head, and two convolutions
    compile_network(model, small, steps=1)
    frozen = [weight.numpy() for weight in model.non_trainable_weights]
    rng = np.random.default_rng(0)
    model.train_on_batch(rng.normal(size=(4, 32, 32, 3)).astype("float32"), np.array([0, 1, 2, 0]))
    for before, after in zip(frozen, model.non_trainable_weights, strict=True):
        np.testing.assert_array_equal(before, after.numpy())


def test_sgd_is_that_of_keras_2():
    """Gradients of a linear layer by hand; keras 2.2.4's `SGD.get_updates`, nesterov."""
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", use_bias=False)(inputs))
    compile_network(model, dataclasses.replace(SMALL, learning_rate=0.1, decay=0.5), steps=1)
    rng = np.random.default_rng(2)
    x, labels = rng.normal(size=(6, 4)).astype("float32"), np.array([0, 1, 2, 0, 1, 2], "int32")
    weights = model.trainable_variables[0].numpy().astype("float64")
    moment = np.zeros_like(weights)
    for t in range(4):
        scores = np.exp(x @ weights)
        gradient = x.T @ (scores / scores.sum(axis=1, keepdims=True) - np.eye(3)[labels]) / len(x)
        rate = 0.1 * (1.0 / (1.0 + 0.5 * t))
        moment = 0.9 * moment - rate * gradient
        weights = weights + 0.9 * moment - rate * gradient
        model.train_on_batch(x, labels)
        np.testing.assert_allclose(model.trainable_variables[0].numpy(), weights, atol=1e-5)


@pytest.mark.parametrize(("name", "policy"), precision.POLICIES.items())
def test_softmax_is_float32_in_every_precision(small, name, policy):
    with precision.policy(name):
        model = network.build(small, classes=3, image_size=32)
        compile_network(model, small, steps=1)
    assert keras.config.dtype_policy().name == "float32"
    assert model.get_layer("maps").dtype_policy.name == policy
    assert {str(weight.dtype) for weight in model.weights} == {"float32"}
    probabilities = model.predict_on_batch(
        np.random.default_rng(0).normal(size=(2, 32, 32, 3)).astype("float32")
    )
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) == (name == "float16")


@pytest.mark.parametrize(
    ("device", "capabilities", "amx", "expected"),
    [
        ("TPU", [], False, "bfloat16"),
        ("GPU", [(8, 0)], False, "bfloat16"),
        ("GPU", [(9, 0), (7, 5)], True, "float32"),
        ("CPU", [], True, "bfloat16"),
        ("CPU", [], False, "float32"),
        ("METAL", [], True, "float32"),
    ],
)
def test_auto_precision_follows_the_hardware(monkeypatch, device, capabilities, amx, expected):
    monkeypatch.setattr(precision, "device", lambda: device)
    monkeypatch.setattr(precision, "compute_capabilities", lambda: capabilities)
    monkeypatch.setattr(precision, "cpu_has_amx", lambda: amx)
    assert precision.resolve("auto") == expected
    assert precision.resolve("float16") == "float16"


@pytest.mark.on_one_backend
def test_weights_come_from_a_file(tmp_path):
    backbone = keras.applications.MobileNet(
        include_top=False, weights=None, alpha=0.25, input_shape=(32, 32, 3)
    )
    rng = np.random.default_rng(0)
    backbone.set_weights([rng.normal(size=weight.shape) for weight in backbone.weights])
    for name in ("backbone.weights.h5", "backbone.keras"):
        (backbone.save_weights if name.endswith("h5") else backbone.save)(tmp_path / name)
        loaded = build(weights=str(tmp_path / name)).get_layer("mobilenet_0.25_32")
        for ours, theirs in zip(loaded.get_weights(), backbone.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, theirs)
    with pytest.raises(
        InputError, match=r"backbone.keras does not hold the weights of mobilenet alpha=0.5"
    ):
        build(weights=str(tmp_path / "backbone.keras"), backbone_options=("alpha=0.5",))
    (tmp_path / "cut.weights.h5").write_bytes(
        (tmp_path / "backbone.weights.h5").read_bytes()[:1000]
    )
    with pytest.raises(InputError, match=r"cut.weights.h5 does not hold"):
        build(weights=str(tmp_path / "cut.weights.h5"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"backbone": "resnet99"}, "backbone must be one of xception, .* Received: resnet99"),
        ({"backbone_options": ("alpha",)}, "key=value"),
        (
            {"backbone_options": ("weights=imagenet",)},
            "backbone has no option weights; it has alpha, depth_multiplier, dropout",
        ),
        ({"backbone_options": ("alpha=small",)}, "mobilenet cannot be built"),
        ({"weights": "nowhere.h5"}, "nowhere.h5 is not a file"),
        ({"weights": "weights.npz"}, "or a .h5 or .keras file"),
        ({"fine_tune": 87}, "at most the backbone's 86 layers"),
    ],
)
@pytest.mark.on_one_backend
def test_what_cannot_be_built_is_said_in_one_line(changes, message):
    with pytest.raises(InputError, match=message):
        build(**changes)


@pytest.mark.on_one_backend
def test_weights_that_cannot_be_downloaded_name_the_way_out(monkeypatch):
    def offline(**_):
        raise Exception(
            "URL fetch failure on https://storage.googleapis.com/x: None -- no route to host"
        )

    monkeypatch.setitem(backbones.BACKBONES, "mobilenet", backbones.Backbone(offline, "tf"))
    with pytest.raises(InputError, match=r"cannot be downloaded.*no route to host.*--weights FILE"):
        build(weights="imagenet", backbone_options=())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1. Received: 0"),
        ({"learning_rate": -0.1}, "learning_rate must be above 0"),
        ({"dropout": 1.0}, r"dropout must be in \[0, 1\)"),
    ],
)
@pytest.mark.on_one_backend
def test_settings_out_of_range_are_refused(changes, message):
    with pytest.raises(InputError, match=message):
        TrainSettings(**changes)
