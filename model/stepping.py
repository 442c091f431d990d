"""Updates on batches that are cut from blocks of features, which stay on the device.

Keras' own steps, called as its `fit` calls them, so that a head gets the updates that it would get from `fit`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf


def forward(model: keras.Model) -> Callable[[Any], Any]:
    """The model's outputs for a batch, compiled, in inference mode; they stay on the device."""
    if keras.backend.backend() != "jax":
        return tf.function(functools.partial(model, training=False), autograph=False)
    import jax

    def outputs(values: list[Any], batch: Any) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(model.variables, values, strict=True))):
            return model(batch, training=False)

    compiled = jax.jit(outputs)
    # Read anew at each call: where another model has used the variables, Keras has put other buffers into them.
    return lambda batch: compiled([variable.value for variable in model.variables], batch)


def stepper(model: keras.Model, batch_size: int) -> Stepper:
    """Trains and evaluates a compiled model, on the backend that Keras runs on."""
    return JaxStepper(model, batch_size) if keras.backend.backend() == "jax" else Stepper(model, batch_size)


class Stepper:
    """Trains and evaluates a model on TensorFlow. Figures add up from `begin` to `end`.

    Args:
        model: compiled; from features to what its loss understands.
        batch_size: images in an update.
    """

    def __init__(self, model: keras.Model, batch_size: int) -> None:
        self.model, self.batch_size = model, batch_size
        compiled = functools.partial(tf.function, autograph=False, jit_compile=model.jit_compile)
        self._step, self._test = compiled(self._train_step), compiled(model.test_step)

    def prepare(self, features: Any, labels: Any) -> None:
        """Makes the variables that the figures add up in, which must not happen inside a compiled step."""
        self.model.test_on_batch(features[:1], labels[:1])

    def begin(self) -> None:
        """Starts the figures anew."""
        self.model.reset_metrics()

    def train(self, features: Any, labels: Any, *, images: int) -> None:
        """One update for each full batch among the first `images` of the block."""
        for first in range(0, images - self.batch_size + 1, self.batch_size):
            self._step(features, labels, tf.constant(first))

    def test(self, features: Any, labels: Any) -> None:
        """Evaluates a block."""
        self._test((features, labels))

    def end(self) -> dict[str, float]:
        """Mean loss and accuracy since `begin`; waits for all that was asked for."""
        return {name: float(value) for name, value in self.model.get_metrics_result().items()}

    def _train_step(self, features: Any, labels: Any, first: tf.Tensor) -> None:
        batch = [
            tf.ensure_shape(x[first : first + self.batch_size], [self.batch_size, *x.shape[1:]])
            for x in (features, labels)
        ]
        self.model.train_step(tuple(batch))


class JaxStepper(Stepper):
    """The same on JAX, where steps are functions of a state, which the model's variables hold before and after."""

    def __init__(self, model: keras.Model, batch_size: int) -> None:
        import jax

        self.model, self.batch_size = model, batch_size
        self._step, self._test = jax.jit(self._train_from), jax.jit(self._test_from)

    def begin(self) -> None:
        """See the base class."""
        self.model.reset_metrics()
        self.state = tuple([variable.value for variable in group] for group in self._variables())

    def train(self, features: Any, labels: Any, *, images: int) -> None:
        """See the base class."""
        for first in range(0, images - self.batch_size + 1, self.batch_size):
            self.state = self._step(self.state, features, labels, first)

    def test(self, features: Any, labels: Any) -> None:
        """See the base class."""
        self.state = self._test(self.state, features, labels)

    def end(self) -> dict[str, float]:
        """See the base class."""
        for variables, values in zip(self._variables(), self.state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        return super().end()

    def _variables(self) -> tuple[list[keras.Variable], ...]:
        model = self.model
        trained = (model.trainable_variables, model.non_trainable_variables, model.optimizer.variables)
        return (*trained, model.metrics_variables)

    def _train_from(self, state: Any, features: Any, labels: Any, first: Any) -> Any:
        import jax

        batch = tuple(jax.lax.dynamic_slice_in_dim(x, first, self.batch_size) for x in (features, labels))
        return self.model.train_step(state, batch)[1]

    def _test_from(self, state: Any, features: Any, labels: Any) -> Any:
        trained, fixed, optimizer, figures = state
        _, (trained, fixed, figures) = self.model.test_step((trained, fixed, figures), (features, labels))
        return trained, fixed, optimizer, figures
