"""How a network is trained: optimiser, learning rate, loss, metrics, stages; and presets."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras

from ..settings import MOMENTUM, TrainSettings
from . import targets

# What each preset changes in the defaults, which are the reference system's. `best` was chosen by
# 5-fold cross-validation on training images alone.
RECIPES: dict[str, dict[str, Any]] = {
    "reference": {},
    "best": {
        "standardise": True,
        "optimizer": "adamw",
        "schedule": "cosine",
        "learning_rate": 0.01,
        "views": 8,
    },
}


def _added(**changes: Any) -> dict[str, Any]:
    return {"learning_rate": 0.01} | changes


def _left_out(**changes: Any) -> dict[str, Any]:
    return {"recipe": "best"} | RECIPES["best"] | changes


# Which option does how much: each head instead of the reference's; each option added to the
# reference at a learning rate where it learns enough; and each part of `best` left out of it. The
# values are changes in the defaults of `TrainSettings`.
ABLATION: dict[str, dict[str, Any]] = {
    "reference": {},
    "head linear": {"head": "linear"},
    "head wscnet": {"head": "wscnet"},
    "head wildcat": {"head": "wildcat"},
    "learning rate 0.01": _added(),
    "+ standardised features": _added(standardise=True),
    "+ label smoothing 0.1": _added(label_smoothing=0.1),
    "+ class weights": _added(class_weights="balanced"),
    "+ cosine": _added(schedule="cosine"),
    "+ AdamW, weight decay 0.01": _added(optimizer="adamw", weight_decay=0.01),
    "+ AdamW, cosine, warm-up": _added(optimizer="adamw", schedule="cosine", warmup=1.0),
    "+ mixup 0.2": _added(mixup=0.2),
    "+ mean weights of 5 epochs": _added(average_weights=5),
    "+ 8 views": _added(views=8),
    "+ last 12 layers after 10 epochs": _added(fine_tune=12, fine_tune_after=10),
    "best": _left_out(),
    "best - standardised features": _left_out(standardise=False),
    "best - AdamW": _left_out(optimizer="sgd"),
    "best - cosine": _left_out(schedule="inverse_time"),
    "best - 8 views": _left_out(views=1),
}


def preset(name: str, **changes: Any) -> TrainSettings:
    """The settings of a recipe, with changes. `TrainSettings(recipe=...)` alone is but a name.

    Raises:
        InputError: a value is outside its range.
    """
    return TrainSettings(**({"recipe": name} | RECIPES[name] | changes))


def fill_in(options: dict[str, Any], given: set[str]) -> dict[str, Any]:
    """The options of a command with its recipe's values, but for those that are given."""
    preset_values = RECIPES[options["recipe"]]
    return options | {name: value for name, value in preset_values.items() if name not in given}


def stages(settings: TrainSettings) -> list[TrainSettings]:
    """The trainings that make up a run: one, or two where the backbone follows the head.

    Each has its number of epochs, its learning rate and schedule, and an optimiser of its own.
    """
    after = settings.fine_tune_after
    rate = settings.fine_tune_rate or settings.learning_rate / 10
    alone = dataclasses.replace(settings, fine_tune_after=0, fine_tune_rate=0.0, average_weights=0)
    if not after:
        return [alone]
    head = dataclasses.replace(alone, epochs=after, fine_tune=0)
    return [head, dataclasses.replace(alone, epochs=settings.epochs - after, learning_rate=rate)]


def compile_network(model: keras.Model, settings: TrainSettings, *, steps: int) -> None:
    """Gives the model the optimiser, schedule, loss and metrics of one stage.

    Args:
        model: any with the weights to train; a network, or the head of one.
        settings: what `stages` gave, or settings without stages.
        steps: updates in an epoch.
    """
    compile_with(make_optimizer(settings, steps=steps), model, settings)
    model.optimizer.build(model.trainable_variables)


def make_optimizer(settings: TrainSettings, *, steps: int) -> keras.Optimizer:
    """SGD with Nesterov momentum, or AdamW.

    AdamW: Loshchilov and Hutter, "Decoupled Weight Decay Regularization", ICLR 2019.
    `InverseTimeDecay` with decay_steps=1 is Keras 2's `SGD(decay=...)`.

    Args:
        settings: optimizer, weight_decay and the options of the schedule are used.
        steps: updates in an epoch.
    """
    rate = _schedule(settings, steps)
    if settings.optimizer == "adamw":
        return keras.optimizers.AdamW(rate, weight_decay=settings.weight_decay, name="adamw")
    decay = settings.weight_decay or None
    return keras.optimizers.SGD(
        rate, momentum=MOMENTUM, nesterov=True, weight_decay=decay, name="sgd"
    )


def _schedule(
    settings: TrainSettings, steps: int
) -> keras.optimizers.schedules.LearningRateSchedule:
    """The learning rate by update; cosine falls to 0 at the end, after a linear warm-up.

    Loshchilov and Hutter, "SGDR", ICLR 2017, without restarts.
    """
    rate = settings.learning_rate
    if settings.schedule == "inverse_time":
        return keras.optimizers.schedules.InverseTimeDecay(rate, 1, settings.decay)
    warmup = round(settings.warmup * steps)
    begin, target = (0.0, rate) if warmup else (rate, None)
    return keras.optimizers.schedules.CosineDecay(
        begin, settings.epochs * steps - warmup, warmup_target=target, warmup_steps=warmup
    )


def compile_with(optimizer: keras.Optimizer, model: keras.Model, settings: TrainSettings) -> None:
    """Compiles a network, or a model around it, with the run's loss and an optimiser.

    Both are named, as Keras would count them: a network is saved as the same file by whatever run.
    The loss of integer labels has the value that categorical cross-entropy has on one-hot labels.
    """
    model.compile(
        optimizer=optimizer,
        loss=targets.CrossEntropy(name="cross_entropy"),
        # Weighted: under `last_batch="pad"` the mask is the sample weight.
        weighted_metrics=[keras.metrics.MeanMetricWrapper(targets.hits, name="accuracy")],
        steps_per_execution=settings.steps_per_execution,
    )
