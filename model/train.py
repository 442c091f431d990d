"""`python -m model.train --dataset D --data_dir DIR --out RUN`: one training run; the defaults are experiment 1."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

import dataclasses
import gc
import importlib.util
import json
import math
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np
import tensorflow as tf
from click.core import ParameterSource
from rich.console import Console

from sentiflow import cli, pipeline
from sentiflow.pipeline import InputError

from . import backbones, heads, network, plots, precision, recipe, report, run, targets
from .device import OnDevice
from .evaluate import evaluate, evaluation_batches, summary
from .progress import Recorder
from .run import final_split, held_out_split
from .settings import TrainSettings


def train(
    settings: TrainSettings,
    inputs: pipeline.Settings,
    *,
    out: Path,
    resume: bool = False,
    console: Console | None = None,
) -> dict[str, Any]:
    """Trains a network, or goes on with an interrupted run, and evaluates it.

    Args:
        settings: what is trained, and how.
        inputs: the input stage; its `preprocess` is set to what the backbone was trained on.
        out: run folder (see `model.run`).
        resume: go on where the run in `out` was interrupted; begin if nothing is there.
        console: where progress is shown, standard output by default.

    Returns:
        What `metrics.json` holds.

    Raises:
        InputError: `out` holds a run and `resume` is not set, or one that was started with other
            settings; the dataset, a name, an option or the weights are not to be had; the loss is
            no longer a number.
    """
    console = console or Console()
    if run.exists(out) and not resume:
        raise InputError(
            f"{out} holds a run. Pass --resume to go on with it, or another --out to start one."
        )
    record = prepare(settings, inputs, out=out)
    if run.finished(out):
        console.out(f"{out}: this run is finished, nothing is left to do.")
        return json.loads((out / run.METRICS).read_text())
    with precision.policy(record.environment["precision"]):
        model, history = open_run(out, record)
        for line in describe(record, model):
            console.out(line, highlight=False)
        if history:
            console.out(f"resumed after epoch {history[-1]['epoch']}", highlight=False)
        _fit(out, record, model, history, console)
        return finish(out, record, model, history, console)


def prepare(settings: TrainSettings, inputs: pipeline.Settings, *, out: Path) -> run.Record:
    """What a run will be; nothing is written.

    Raises:
        InputError: it cannot be, or `out` holds a run that was started with other settings.
    """
    record = make_record(settings, inputs)
    if run.exists(out):
        record = _check_same(out, record)
    steps_per_epoch(record)
    return record


def open_run(
    out: Path, record: run.Record, shared: network.Shared | None = None
) -> tuple[keras.Model, list[run.Row]]:
    """The compiled network of a run as the last epoch left it, and the epochs so far; begins the run if need be.

    Args:
        out: run folder.
        record: what the run is.
        shared: a backbone to use in place of one of its own.
    """
    begun = run.exists(out) and (out / run.STATE).exists()
    return _restore(out, record, shared) if begun else _start(out, record, shared)


def make_record(settings: TrainSettings, inputs: pipeline.Settings) -> run.Record:
    """Settles what depends on the backbone, the dataset and the machine."""
    preprocess = backbones.find_backbone(settings.backbone).preprocess
    data = pipeline.open(settings.dataset, data_dir=settings.data_dir)
    inputs = dataclasses.replace(inputs, preprocess=preprocess).sized(data.image_size)
    dataset = data.describe(inputs)
    environment = run.environment(precision.resolve(settings.precision), precision.device())
    return run.Record(settings, inputs, dataclasses.asdict(dataset), environment)


def steps_per_epoch(record: run.Record) -> int:
    """Updates in an epoch; floor(images / batch size) unless `last_batch` says otherwise.

    Raises:
        InputError: there is not even one.
    """
    images, batch_size = record.dataset["splits"].get("train", 0), record.inputs.batch_size
    last_batch = record.inputs.training().last_batch
    steps = pipeline.steps(images, batch_size=batch_size, last_batch=last_batch)
    if steps == 0:
        raise InputError(
            f"{record.dataset['name']} has {images} training images, less than a batch; lower batch_size. "
            f"Received: {batch_size}"
        )
    return steps


def describe(record: run.Record, model: keras.Model) -> list[str]:
    """Two lines on what is trained on what."""
    splits = ", ".join(f"{name} {images}" for name, images in record.dataset["splits"].items())
    note = (
        ""
        if held_out_split(record) == "validation"
        else " (no validation split: test is evaluated every epoch)"
    )
    trained = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    where = [record.environment[name] for name in ("backend", "precision", "device")]
    return [
        f"{record.dataset['name']}: {len(record.dataset['class_names'])} classes; images: {splits}{note}",
        f"{record.train.backbone} ({record.train.weights} weights) + {record.train.head} head: "
        f"{model.count_params():,} parameters, {trained:,} trained; {', '.join(where)}",
    ]


def fed_by(model: keras.Model, record: run.Record) -> keras.Model:
    """The compiled model as it is trained: with its auxiliary branches, and, in the tier `device`, on its pixels."""
    settings = record.train
    if record.inputs.cache == "device":
        fed = OnDevice(model, record.data, record.inputs)
    elif heads.auxiliary(model):
        fed = heads.Branches(model)
    else:
        return model
    recipe.compile_with(model.optimizer, fed, settings)
    return fed


def should_stop(history: list[run.Row], patience: int) -> bool:
    """Whether the last `patience` epochs all failed to lower val_loss; never if patience is 0."""
    return 0 < patience <= len(history) - run.best_epoch(history) if history else False


def _check_same(out: Path, record: run.Record) -> run.Record:
    old = run.read_record(out)
    run.require_same(old, record)
    # What `auto` once meant holds for the whole run.
    return dataclasses.replace(
        record, environment=record.environment | {"precision": old.environment["precision"]}
    )


def build_model(
    record: run.Record,
    settings: TrainSettings,
    shared: network.Shared | None = None,
    *,
    epochs: int = 0,
) -> keras.Model:
    """The network of a run, with the weights that `settings` name, compiled as it is after so many epochs."""
    if shared is None:
        keras.utils.set_random_seed(seed_of(record))
    first, *later = recipe.stages(settings)
    stage = later[0] if later and epochs > first.epochs else first
    backbone, classes = shared.take() if shared else None, len(record.dataset["class_names"])
    model = network.build(
        stage, classes=classes, image_size=record.inputs.evaluation().image_size, backbone=backbone
    )
    recipe.compile_network(model, stage, steps=steps_per_epoch(record))
    return model


def seed_of(record: run.Record) -> int:
    """What a run's network is made from, in [0, 2**32)."""
    return record.inputs.seed % 2**32


def _start(
    out: Path, record: run.Record, shared: network.Shared | None = None
) -> tuple[keras.Model, list[run.Row]]:
    model = build_model(record, record.train, shared)
    if record.train.standardise and not (shared and shared.standardise(model)):
        batches = evaluation_batches(record, split="train").as_numpy_iterator()
        network.standardise(model, (images for images, _ in batches))
    run.write_record(out, record)
    run.save_initial(out, model)
    history: list[run.Row] = []
    run.save_state(out, model, history)
    return model, history


def _restore(
    out: Path, record: run.Record, shared: network.Shared | None = None
) -> tuple[keras.Model, list[run.Row]]:
    # All weights come from the checkpoint: neither a download nor the weight file is needed again.
    settings = dataclasses.replace(record.train, weights="none")
    model = build_model(record, settings, shared, epochs=len(run.read_history(out)))
    run.load_initial(out, model)
    return model, run.load_state(out, model)


def _fit(
    out: Path, record: run.Record, model: keras.Model, history: list[run.Row], console: Console
) -> None:
    """Trains what is left, stage by stage; a later stage begins with more of the backbone and its own optimiser."""
    begin = 0
    for stage in recipe.stages(record.train):
        if should_stop(history, record.train.early_stopping):
            return
        end = begin + stage.epochs
        if len(history) == begin > 0:
            network.fine_tune(model, stage.fine_tune)
            recipe.compile_network(model, stage, steps=steps_per_epoch(record))
            gc.collect()  # what fed the stage before may hold the dataset in the accelerator's memory
            console.out(
                f"from epoch {begin + 1} on, the last {stage.fine_tune} layers are trained, too",
                highlight=False,
            )
        if len(history) < end:
            _fit_stage(out, record, model, history, console, end=end)
        begin = end


def _fit_stage(
    out: Path,
    record: run.Record,
    model: keras.Model,
    history: list[run.Row],
    console: Console,
    *,
    end: int,
) -> None:
    settings, steps = record.train, steps_per_epoch(record)
    stream, waited = feed(record, epoch=len(history))

    def on_row(row: run.Row) -> bool:
        keep_row(out, record, model, history, row)
        return len(history) >= end or should_stop(history, settings.early_stopping)

    images = min(steps * record.inputs.batch_size, record.dataset["splits"]["train"])
    recorder = Recorder(images=images, waited=waited, on_row=on_row, console=console)
    fed_by(model, record).fit(
        stream,
        epochs=settings.epochs,
        initial_epoch=len(history),
        steps_per_epoch=steps,
        validation_data=evaluation_batches(
            record, split=held_out_split(record), cache=record.inputs.cache
        ),
        callbacks=[recorder, *_tensorboard(out, settings)],
        shuffle=False,  # the stream is shuffled already
        verbose=0,
    )


def is_over(record: run.Record, history: list[run.Row]) -> bool:
    """Whether no epoch is left to train."""
    return len(history) >= record.train.epochs or should_stop(history, record.train.early_stopping)


def keep_row(
    out: Path, record: run.Record, model: keras.Model, history: list[run.Row], row: run.Row
) -> None:
    """Adds an epoch to the history, and saves it with what training changed.

    Raises:
        InputError: the loss is not a number; what was saved before stays.
    """
    _require_finite(row, record.train)
    history.append(row)
    averaged = len(history) - record.train.epochs + record.train.average_weights
    run.save_state(out, model, history, averaged=averaged)


def _require_finite(row: run.Row, settings: TrainSettings) -> None:
    if not math.isfinite(row["loss"] + row["val_loss"]):
        raise InputError(
            f"The loss of epoch {row['epoch']} is not a number; start another run with a learning_rate below "
            f"{settings.learning_rate}, or with precision float32. Received: loss={row['loss']}"
        )


def feed(record: run.Record, *, epoch: int) -> tuple[Iterable[Any], Callable[[], float]]:
    """What `fit` takes the run's batches from, from an epoch on, and the seconds that it has waited for them so far."""
    batches = training_batches(record, epoch=epoch)
    if keras.backend.backend() == "jax":
        import jax

        # Copied to the device by the thread that takes them ahead. Keras would do it between two
        # steps.
        return pipeline.clocked(pipeline.ahead(map(jax.device_put, batches.as_numpy_iterator())))
    stream, waited = pipeline.timed(batches)
    return stream, lambda: float(waited.numpy())


def training_batches(record: run.Record, *, epoch: int) -> tf.data.Dataset:
    """The batches that the run is trained on, from an epoch on, as one stream."""
    settings, seed = record.train, record.inputs.seed
    batches = record.data.load(
        "train",
        training=True,
        epochs=settings.epochs,
        epoch=epoch,
        settings=record.inputs,
    )
    if targets.are_plain(settings):
        return batches
    step = epoch * steps_per_epoch(record)
    return targets.attach(batches, target_rows(record), mixup=settings.mixup, seed=seed, step=step)


def target_rows(record: run.Record) -> np.ndarray:
    """The target vector of every label, float32 [classes, classes]."""
    labels = record.data.labels("train", record.inputs)
    return targets.table(record.train, labels, record.dataset["class_names"])


def _tensorboard(out: Path, settings: TrainSettings) -> list[keras.callbacks.Callback]:
    if not settings.tensorboard:
        return []
    if importlib.util.find_spec("tensorboard") is None:
        raise InputError("--tensorboard needs its package: run pip install tensorboard.")
    return [keras.callbacks.TensorBoard(out / "tensorboard")]


def finish(
    out: Path, record: run.Record, model: keras.Model, history: list[run.Row], console: Console
) -> dict[str, Any]:
    """Writes and evaluates the trained networks, and marks the run as finished; returns what `metrics.json` holds."""
    best, split = run.best_epoch(history), final_split(record)
    title = f"{record.dataset['name']}, {record.train.backbone}, {record.train.head} head"
    plots.draw_curves(history, out / "curves.png", title=title, held_out=held_out_split(record))
    if record.train.average_weights:
        run.load_average(out, model)
    run.write_atomically(out / run.MODELS["final"], model.save)
    result = evaluate(out, record, model, split=split)
    console.out(summary(result), highlight=False)
    report.write_run(
        out, network=model
    )  # before the best weights replace those that were evaluated
    run.load_best(out, model)
    run.write_atomically(out / run.MODELS["best"], model.save)
    figures = {
        name: result[name]
        for name in ("accuracy", "loss", "macro_f1", "expected_calibration_error")
    }
    metrics = {
        "epochs": len(history),
        "stopped_early": len(history) < record.train.epochs,
        "best_epoch": best,
        "seconds_training": round(sum(row["seconds"] for row in history), 3),
        split: figures,
    }
    run.write_json(out / run.METRICS, metrics)
    (out / run.INITIAL).unlink(missing_ok=True)
    console.out(
        f"Written: {out}/ (report.html, model.keras, best.keras of epoch {best}, history.csv, ...)",
        highlight=False,
    )
    return metrics


@click.command(cls=cli.Command)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder the run is written to.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the run in --out; its settings are the defaults then.",
)
@cli.options(TrainSettings)
@cli.options(pipeline.Settings, exclude=("preprocess",))
@click.pass_context
def main(context: click.Context, out: Path, resume: bool, **options: Any) -> None:
    """Train a classifier and evaluate it. Without options: experiment 1 of the reference system.

    The run folder holds settings, history, checkpoint, models, plots and the evaluation of the test
    split.
    """
    given = {
        name
        for name in options
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    if resume and run.exists(out):
        stored = run.read_record(out)
        kept = dataclasses.asdict(stored.train) | dataclasses.asdict(stored.inputs)
        options = {name: value if name in given else kept[name] for name, value in options.items()}
    else:
        options = recipe.fill_in(options, given)
    train(
        cli.build(TrainSettings, options),
        cli.build(pipeline.Settings, options),
        out=out,
        resume=resume,
    )


if __name__ == "__main__":
    main()
