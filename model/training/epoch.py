"""A whole epoch as one program on JAX: a scan over its batches.

`fit` calls a compiled step once a batch, hands every variable over and takes it back. Here the
frozen weights, the pixels of the tier `device` among them, go in and do not come out, and the host
has nothing to do until the end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

State = tuple[list[Any], ...]


def compiled_epoch(model: keras.Model, batch: Any) -> Callable[[Any], dict[str, float]]:
    """A function that trains a model on an epoch's batches, with the updates of `fit`.

    Needs the JAX backend. Weights that are not trained must not change in a step, as those of a
    backbone in inference mode do not.

    Args:
        model: compiled.
        batch: one of the batches to come: inputs and labels, and a mask if there is one.

    Returns:
        From batches, stacked along a first axis [steps, ...], to the epoch's loss and accuracy. The
        model's variables hold the outcome when the function returns.
    """
    import jax

    # As `fit` does: the figures' variables must exist before they are traced.
    model._symbolic_build(data_batch=batch)
    weights = {id(variable) for variable in model.non_trainable_weights}
    frozen = [variable for variable in model.non_trainable_variables if id(variable) in weights]
    moving = [variable for variable in model.non_trainable_variables if id(variable) not in weights]
    changing = (
        model.trainable_variables,
        moving,
        model.optimizer.variables,
        model.metrics_variables,
    )
    number = {id(variable): i for i, variable in enumerate(model.non_trainable_variables)}

    def update(fixed: list[Any], state: State, batch: Any) -> tuple[State, None]:
        trained, seeds, optimizer, figures = state
        values = dict(zip(map(id, frozen + moving), [*fixed, *seeds], strict=True))
        others = [values[id(variable)] for variable in model.non_trainable_variables]
        _, (trained, others, optimizer, figures) = model.train_step(
            (trained, others, optimizer, figures), batch
        )
        return (
            trained,
            [others[number[id(variable)]] for variable in moving],
            optimizer,
            figures,
        ), None

    def scan(fixed: list[Any], state: State, batches: Any) -> State:
        return jax.lax.scan(lambda state, batch: update(fixed, state, batch), state, batches)[0]

    compiled = jax.jit(scan, donate_argnums=1)

    def train(batches: Any) -> dict[str, float]:
        model.reset_metrics()
        state: State = tuple([variable.value for variable in group] for group in changing)
        state = compiled([variable.value for variable in frozen], state, batches)
        for variables, values in zip(changing, state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
        return {name: float(value) for name, value in model.get_metrics_result().items()}

    return train
