"""The view against the generator that it replaces, on values."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from keras_preprocessing.image.affine_transformations import apply_affine_transform

from sentiflow.pipeline import draws
from sentiflow.pipeline.host_view import view
from sentiflow.pipeline.settings import Settings
from sentiflow.pipeline.view import sample_parameters


def windows(count=4, size=64, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), np.uint8)


def generator(image, *, theta=0.0, zx=1.0, zy=1.0, flip=False):
    """keras_preprocessing 1.1.2: affine transform, then mirror."""
    moved = apply_affine_transform(
        image.astype(np.float32), theta=theta, zx=zx, zy=zy, order=1, fill_mode="nearest"
    )
    return moved[:, ::-1] if flip else moved


def tone(image, preprocess="none", **parameters):
    """One image through the view as float, by way of a preprocessing that can be undone."""
    batch = {name: tf.constant(value)[None] for name, value in parameters.items()}
    return (view(image[None], preprocess="tf", **batch)[0].numpy() + 1.0) * 127.5


@pytest.mark.parametrize("size", [256, 255, 64, 33])
@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("theta", [-20.0, -7.3, 0.001, 13.0, 20.0, 90.0])
def test_rotation_and_flip_match_the_generator(size, flip, theta):
    image = windows(1, size)[0]
    got = tone(image, angle=np.float32(theta), flip=flip)
    np.testing.assert_allclose(got, generator(image, theta=theta, flip=flip), atol=0.01)


@given(
    theta=st.floats(-180, 180, width=32),
    zoom=st.tuples(st.floats(0.5, 1.5, width=32), st.floats(0.5, 1.5, width=32)),
    flip=st.booleans(),
    image=hnp.arrays(np.uint8, st.sampled_from([(2, 2, 3), (17, 17, 3), (32, 32, 3)])),
)
@settings(max_examples=40, deadline=None)
def test_any_map_matches_the_generator(theta, zoom, flip, image):
    got = tone(image, angle=np.float32(theta), zoom=np.float32(zoom), flip=flip)
    np.testing.assert_allclose(
        got, generator(image, theta=theta, zx=zoom[0], zy=zoom[1], flip=flip), atol=0.01
    )


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
def test_preprocessing_equals_keras_applications(mode):
    image = windows()
    expected = keras.applications.imagenet_utils.preprocess_input(
        image.astype(np.float32), mode=mode
    )
    np.testing.assert_allclose(view(image, preprocess=mode).numpy(), expected, rtol=0, atol=1e-5)


def test_nothing_asked_nothing_changed():
    image = windows()
    np.testing.assert_array_equal(view(image, preprocess=None).numpy(), image)
    flipped = view(image, preprocess="none", flip=tf.constant([True, False, True, False])).numpy()
    np.testing.assert_array_equal(flipped[::2], image[::2, :, ::-1])
    np.testing.assert_array_equal(flipped[1::2], image[1::2])


def test_zero_rotation_is_the_identity():
    image = windows()
    still = view(image, preprocess=None, angle=tf.zeros([4]), zoom=tf.ones([4, 2])).numpy()
    np.testing.assert_array_equal(still, image)


def test_pixels_are_rounded_to_nearest():
    image = windows(1)
    exact = tone(image[0], angle=np.float32(11))
    got = view(image, preprocess=None, angle=tf.constant([11.0])).numpy()[0]
    assert got.dtype == np.uint8
    assert np.abs(got - exact).max() <= 0.5 + 1e-3


def test_brightness_and_contrast():
    image = windows()
    factors = np.float32([0.5, 1.0, 1.5, 2.0])
    bright = tone_batch(image, brightness=factors)
    np.testing.assert_allclose(
        bright, np.clip(image * factors[:, None, None, None], 0, 255), atol=1e-3
    )
    mean = image.mean(axis=(1, 2, 3), keepdims=True)
    expected = np.clip(mean + (image - mean) * factors[:, None, None, None], 0, 255)
    np.testing.assert_allclose(tone_batch(image, contrast=factors), expected, atol=2e-3)


def tone_batch(image, **parameters):
    return (view(image, preprocess="tf", **parameters).numpy() + 1.0) * 127.5


def test_images_of_a_batch_do_not_mix():
    image = windows(3)
    angles = tf.constant([5.0, -15.0, 20.0])
    together = view(image, preprocess="caffe", angle=angles)
    alone = [
        view(image[k : k + 1], preprocess="caffe", angle=angles[k : k + 1])[0] for k in range(3)
    ]
    np.testing.assert_allclose(together, np.stack(alone), atol=1e-4)


@pytest.mark.parametrize("count", [1, 3, 5])
def test_any_number_of_images_fits_the_table_of_pixels(count):
    image = windows(count, size=20)
    angles, flip = np.linspace(-20, 20, count, dtype=np.float32), np.arange(count) % 2 == 0
    expected = [
        generator(one, theta=theta, flip=side)
        for one, theta, side in zip(image, angles, flip, strict=True)
    ]
    got = tone_batch(image, angle=tf.constant(angles), flip=tf.constant(flip))
    np.testing.assert_allclose(got, np.stack(expected), atol=0.01)


def test_parameters_have_the_stated_ranges():
    u = draws.uniforms(tf.range(20_000, dtype=tf.int64), seed=0, epoch=tf.constant(0, tf.int64))
    settings = Settings(zoom=0.3, brightness=0.2, contrast=0.1)
    chosen = settings.training()
    got = {name: value.numpy() for name, value in sample_parameters(u, chosen).items()}
    for name, (low, high) in {
        "angle": (-20, 20),
        "zoom": (0.7, 1.3),
        "brightness": (0.8, 1.2),
    }.items():
        assert low <= got[name].min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < got[name].max() <= high
        np.testing.assert_allclose(got[name].mean(), (low + high) / 2, atol=0.01 * (high - low))
    assert abs(got["flip"].mean() - 0.5) < 0.02
    assert not sample_parameters(u, settings.evaluation())
