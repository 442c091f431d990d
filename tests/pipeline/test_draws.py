"""Orders and draws: permutations, uniform and independent numbers."""

import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from sentiflow.pipeline import draws


@given(images=st.integers(1, 5000), seed=st.integers(0, 2**63 - 1), epoch=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_order_is_a_permutation_for_any_size(images, seed, epoch):
    got = draws.order(
        tf.range(images, dtype=tf.int64),
        seed=seed,
        epoch=tf.constant(epoch, tf.int64),
        images=images,
    )
    assert sorted(got.numpy()) == list(range(images))


def test_order_has_no_favourites():
    """Over many epochs each image stands equally often at each place."""
    epochs, images = 4000, 8
    places = tf.range(images, dtype=tf.int64)

    @tf.function
    def orders():
        return tf.map_fn(
            lambda epoch: draws.order(places, seed=1, epoch=epoch, images=images),
            tf.range(epochs, dtype=tf.int64),
        )

    rows = orders().numpy()
    counts = np.stack([(rows == image).sum(axis=0) for image in range(images)])
    chi_squared = ((counts - epochs / images) ** 2 / (epochs / images)).sum()
    assert chi_squared < 85  # 49 degrees of freedom; 1 in 1,000 exceeds 85


def test_draws_are_uniform_and_independent():
    u = draws.uniforms(
        tf.range(20_000, dtype=tf.int64), seed=5, epoch=tf.constant(2, tf.int64)
    ).numpy()
    assert u.shape == (20_000, len(draws.COLUMNS))
    assert u.min() >= 0
    assert u.max() < 1
    np.testing.assert_allclose(u.mean(axis=0), 0.5, atol=0.01)
    np.testing.assert_allclose(u.var(axis=0), 1 / 12, atol=0.003)
    correlation = np.corrcoef(np.concatenate([u[:-1], u[1:]], axis=1).T) - np.eye(16)
    assert np.abs(correlation[:8]).max() < 0.035
