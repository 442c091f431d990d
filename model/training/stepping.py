"""Updates on batches that are cut from blocks of features, which stay on the device.

Keras' own steps, called as its `fit` calls them, so that a head gets the updates that it would get
from `fit`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from .targets import Table


def forward(model: keras.Model) -> Callable[[Any], Any]:
    """The model's one output for a batch, compiled, in inference mode; it stays on the device."""

    def output(batch: Any) -> Any:
        return keras.tree.flatten(model(batch, training=False))[0]

    if keras.backend.backend() != "jax":
        return tf.function(output, autograph=False)
    import jax

    def stateless(values: list[Any], batch: Any) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(model.variables, values, strict=True))):
            return output(batch)

    compiled = jax.jit(stateless)
    # Read anew at each call: where another model has used the variables, Keras has put other
    # buffers into them.
    return lambda batch: compiled([variable.value for variable in model.variables], batch)


def stepper(model: keras.Model, batch_size: int, table: Table | None = None) -> Stepper:
    """A `Stepper` for the backend that Keras runs on; the arguments are its own."""
    kind = JaxStepper if keras.backend.backend() == "jax" else Stepper
    return kind(model, batch_size, table)


class Stepper:
    """Trains and evaluates a model on TensorFlow. Figures add up from `begin` to `end`.

    Args:
        model: compiled; from features to what its loss understands.
        batch_size: images in an update.
        table: the target vector of each label in training; None to train on labels.
    """

    def __init__(self, model: keras.Model, batch_size: int, table: Table | None = None) -> None:
        self.model = model
        self.batch_size = batch_size
        self.table = table
        self._compile()

    def _compile(self) -> None:
        model = self.model
        compiled = functools.partial(tf.function, autograph=False, jit_compile=model.jit_compile)
        self._step = compiled(self._train_step)
        self._test = compiled(model.test_step)

    def prepare(self, features: Any, labels: Any) -> None:
        """Makes the variables of the figures, which a compiled step must not do."""
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
        self.model.train_step((batch[0], self._targets(batch[1])))

    def _targets(self, labels: Any) -> Any:
        return labels if self.table is None else self.table.vectors(labels, ops=keras.ops)


class JaxStepper(Stepper):
    """The same on JAX: steps are functions of a state, which the model's variables hold."""

    def _compile(self) -> None:
        import jax

        self._step = jax.jit(self._train_from)
        self._test = jax.jit(self._test_from)

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
        trained = (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
        )
        return (*trained, model.metrics_variables)

    def _train_from(self, state: Any, features: Any, labels: Any, first: Any) -> Any:
        import jax

        features, labels = (
            jax.lax.dynamic_slice_in_dim(x, first, self.batch_size) for x in (features, labels)
        )
        return self.model.train_step(state, (features, self._targets(labels)))[1]

    def _test_from(self, state: Any, features: Any, labels: Any) -> Any:
        trained, fixed, optimizer, figures = state
        _, (trained, fixed, figures) = self.model.test_step(
            (trained, fixed, figures), (features, labels)
        )
        return trained, fixed, optimizer, figures
