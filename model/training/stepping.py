"""Updates on batches that are cut from blocks of features, which stay on the device.

Keras' own steps, called as its `fit` calls them, so that a head gets the updates that it would get
from `fit`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from ..networks import precision
from . import parallel
from .targets import Table


def forward(model: keras.Model, *, at_once: int = 1) -> Callable[[Sequence[Any]], Any]:
    """The model's one output for batches, compiled, in inference mode; it stays on the device.

    Args:
        model: whose output it is.
        at_once: batches that are given in one call. JAX takes them one after the other in one
            program, whose size does not depend on their number.

    Returns:
        From so many batches or fewer, at least one, to what the model makes of them, one behind the
        other, [at_once * b, ...]. What is missing at the end is zero.
    """

    def output(batch: Any) -> Any:
        return keras.tree.flatten(model(batch, training=False))[0]

    if keras.backend.backend() != "jax":
        jit = precision.device() != "CPU"
        one = tf.function(output, autograph=False, jit_compile=jit)
        return lambda batches: _one_behind_the_other([one(batch) for batch in batches])
    import jax

    def stateless(values: list[Any], batch: Any) -> Any:
        with keras.StatelessScope(state_mapping=list(zip(model.variables, values, strict=True))):
            return output(batch)

    def several(values: list[Any], batches: list[Any], count: Any) -> Any:
        if at_once == 1:
            return stateless(values, batches[0])
        stacked = keras.tree.map_structure(lambda *parts: jax.numpy.stack(parts), *batches)
        made = jax.eval_shape(stateless, values, batches[0])

        def body(number: Any, outputs: Any) -> Any:
            batch = keras.tree.map_structure(lambda parts: parts[number], stacked)
            return outputs.at[number].set(stateless(values, batch))

        outputs = jax.numpy.zeros((at_once, *made.shape), made.dtype)
        outputs = jax.lax.fori_loop(0, count, body, outputs)
        return outputs.reshape(-1, *made.shape[1:])

    compiled = jax.jit(several)

    def call(batches: Sequence[Any]) -> Any:
        padded = [*batches, *[batches[-1]] * (at_once - len(batches))]
        # Read anew at each call: where another model has used the variables, Keras has put other
        # buffers into them.
        return compiled([variable.value for variable in model.variables], padded, len(batches))

    return call


def _one_behind_the_other(parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else tf.concat(parts, axis=0)


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

    def wait(self) -> None:
        """Waits for all that was asked for."""
        self.model.optimizer.iterations.numpy()

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

        self._step = jax.jit(self._train_from, out_shardings=parallel.state_layout())
        self._test = jax.jit(self._test_from, out_shardings=parallel.state_layout())

    def prepare(self, features: Any, labels: Any) -> None:
        """See the base class."""
        if parallel.is_on():
            # Keras wants a part of a batch from every process, for all of its devices.
            count = parallel.smallest_batch()
            features = np.zeros((count, *features.shape[1:]), features.dtype)
            labels = np.zeros((count, *labels.shape[1:]), labels.dtype)
            self.model.test_on_batch(features, labels)
        else:
            super().prepare(features, labels)

    def begin(self) -> None:
        """See the base class."""
        self.model.reset_metrics()
        self.state = tuple([variable.value for variable in group] for group in self._variables())

    def train(self, features: Any, labels: Any, *, images: int) -> None:
        """See the base class."""
        if count := images // self.batch_size:
            self.state = self._step(self.state, features, labels, count)

    def test(self, features: Any, labels: Any) -> None:
        """See the base class."""
        self.state = self._test(self.state, features, labels)

    def wait(self) -> None:
        """See the base class."""
        import jax

        jax.block_until_ready(self.state)

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

    def _train_from(self, state: Any, features: Any, labels: Any, count: Any) -> Any:
        import jax

        def update(number: Any, state: Any) -> Any:
            first = number * self.batch_size
            batch = [
                jax.lax.dynamic_slice_in_dim(x, first, self.batch_size) for x in (features, labels)
            ]
            return self.model.train_step(state, (batch[0], self._targets(batch[1])))[1]

        if len(features) == self.batch_size:
            return update(0, state)
        return jax.lax.fori_loop(0, count, update, state)

    def _test_from(self, state: Any, features: Any, labels: Any) -> Any:
        trained, fixed, optimizer, figures = state
        _, (trained, fixed, figures) = self.model.test_step(
            (trained, fixed, figures), (features, labels)
        )
        return trained, fixed, optimizer, figures
