"""An epoch that is one program, against the same batches in `fit`; JAX alone has it."""

import dataclasses
import itertools

import keras
import numpy as np
import pytest
import tiny_dataset

from sentiflow import pipeline
from sentiflow.model.training import epoch, feed, start

pytestmark = pytest.mark.skipif(
    keras.backend.backend() != "jax", reason="the program is one of JAX's"
)


@pytest.mark.parametrize("cache", ["memory", "device"])
def test_two_epochs_are_those_of_fit(small, cache):
    settings = dataclasses.replace(small, epochs=2, dropout=0.2)
    inputs = pipeline.Settings(image_size=tiny_dataset.IMAGE_SIZE, batch_size=4, cache=cache)
    record = start.make_record(settings, inputs)
    steps = feed.steps_per_epoch(record)
    usual, scanned = (start.build_model(record, settings) for _ in range(2))
    fitted = feed.fed_by(usual, record)
    history = fitted.fit(
        feed.feed(record, epoch=0)[0], epochs=2, steps_per_epoch=steps, shuffle=False, verbose=0
    )
    batches = feed.training_batches(record, epoch=0).as_numpy_iterator()
    epochs = [
        keras.tree.map_structure(lambda *parts: np.stack(parts), *itertools.islice(batches, steps))
        for _ in range(2)
    ]
    first = next(feed.training_batches(record, epoch=0).as_numpy_iterator())
    run_epoch = epoch.compiled_epoch(feed.fed_by(scanned, record), first)
    figures = [run_epoch(each) for each in epochs]
    assert [figure["loss"] for figure in figures] == pytest.approx(
        history.history["loss"], rel=1e-4
    )
    assert [figure["accuracy"] for figure in figures] == history.history["accuracy"]
    assert int(scanned.optimizer.iterations) == 2 * steps
    for name in ("maps", "logits"):
        for one, other in zip(
            usual.get_layer(name).get_weights(), scanned.get_layer(name).get_weights(), strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-3, atol=1e-5)
