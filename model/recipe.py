"""How a network is trained: optimiser, learning rate, loss and metrics."""

from __future__ import annotations

import keras

from model.settings import MOMENTUM, TrainSettings


def compile_network(model: keras.Model, settings: TrainSettings) -> None:
    """Gives the model the reference system's optimiser and loss.

    `InverseTimeDecay` with decay_steps=1 is Keras 2's `SGD(decay=...)`. The labels being integers, the sparse loss has
    the value that categorical cross-entropy has on one-hot labels.
    """
    rate = keras.optimizers.schedules.InverseTimeDecay(settings.learning_rate, 1, settings.decay)
    compile_with(keras.optimizers.SGD(rate, momentum=MOMENTUM, nesterov=True), model, settings)
    model.optimizer.build(model.trainable_variables)


def compile_with(optimizer: keras.Optimizer, model: keras.Model, settings: TrainSettings) -> None:
    """Compiles a network, or a model around it, with the run's loss and an optimiser that it may share."""
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(),
        # Weighted: under `last_batch="pad"` the mask is the sample weight.
        weighted_metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        steps_per_execution=settings.steps_per_execution,
    )
