"""BatchNormalization folded into convolutions, against the network as it was."""

import keras
import numpy as np
import pytest
from keras import applications, layers

from sentiflow.model.networks import folding

SIZE = 64  # pixels


def unsettled(model):
    """The model with statistics, scales and shifts as training leaves them."""
    rng = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            positive = [
                not weight.path.endswith(("beta", "moving_mean")) for weight in layer.weights
            ]
            values = [
                rng.uniform(0.5, 1.5, w.shape) if p else rng.normal(0, 0.3, w.shape)
                for w, p in zip(layer.weights, positive, strict=True)
            ]
            layer.set_weights(values)
    return model


def difference(one, other, size=SIZE):
    images = np.random.default_rng(1).normal(0, 1, (2, size, size, 3)).astype(np.float32)
    a, b = (
        np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(m(images, training=False), "float32")))
        for m in (one, other)
    )
    return np.linalg.norm(a - b) / np.linalg.norm(a)


def normalisations(model):
    return sum(isinstance(layer, layers.BatchNormalization) for layer in model.layers)


@pytest.mark.parametrize(
    ("constructor", "options", "left"),
    [
        (applications.MobileNet, {"alpha": 0.25}, 0),
        (applications.ResNet50V2, {}, 17),  # its blocks begin with one, in front of an activation
    ],
    ids=["mobilenet", "resnet50v2"],
)
def test_a_folded_backbone_gives_the_same_features(constructor, options, left):
    backbone = unsettled(
        constructor(include_top=False, weights=None, input_shape=(SIZE, SIZE, 3), **options)
    )
    folded = folding.fold(backbone)
    assert normalisations(folded) == left
    assert folded.output_shape == backbone.output_shape
    assert not folded.trainable_weights
    assert difference(backbone, folded) < 1e-5


def small(activation="linear", branch=False, bias=True):
    images = keras.Input((8, 8, 3))
    convolved = layers.Conv2D(4, 3, use_bias=bias, activation=activation, name="conv")(images)
    normalised = layers.BatchNormalization(name="norm")(convolved)
    outputs = layers.Add()([normalised, convolved]) if branch else layers.ReLU()(normalised)
    return unsettled(keras.Model(images, outputs))


@pytest.mark.parametrize("bias", [True, False])
def test_values_by_hand(bias):
    model = small(bias=bias)
    folded = folding.fold(model)
    kernel = model.get_layer("conv").get_weights()[0]
    gamma, beta, mean, variance = model.get_layer("norm").get_weights()
    scale = gamma / np.sqrt(variance + model.get_layer("norm").epsilon)
    found = folded.get_layer("conv").get_weights()
    np.testing.assert_allclose(found[0], kernel * scale, rtol=1e-6)
    np.testing.assert_allclose(found[1], beta - mean * scale, rtol=1e-5, atol=1e-6)
    assert difference(model, folded, 8) < 1e-6


@pytest.mark.parametrize(
    "options", [{"activation": "relu"}, {"branch": True}], ids=["activated", "used twice"]
)
def test_what_cannot_be_folded_stays(options):
    model = small(**options)
    folded = folding.fold(model)
    assert normalisations(folded) == 1
    assert difference(model, folded, 8) == 0


def test_the_folded_backbone_can_be_held_in_another_format():
    model = small()
    folded = folding.fold(model, dtype="bfloat16")
    assert {weight.dtype for weight in folded.weights} == {"bfloat16"}
    assert 0 < difference(model, folded, 8) < 0.02
    assert {weight.dtype for weight in model.weights} == {"float32"}
