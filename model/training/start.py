"""The beginning of a run: what it will be, and its network, begun or as the last epoch left it."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import keras

from sentiflow import pipeline

from ..networks import backbones, network, precision
from ..scores.split import evaluation_batches
from ..settings import TrainSettings
from . import checkpoint, recipe
from .feed import steps_per_epoch
from .history import EpochRow
from .record import Environment, Record, is_run, read_record, require_same, write_record

MOST_OF_GAP = 1000  # classes, from which on a word on the head `gap` is due


def prepare(settings: TrainSettings, inputs: pipeline.Settings, *, out: Path) -> Record:
    """What a run will be; nothing is written.

    Raises:
        InputError: it cannot be, or `out` holds a run that was started with other settings.
    """
    record = make_record(settings, inputs)
    if is_run(out):
        record = _resumed(out, record)
    steps_per_epoch(record)
    return record


def make_record(settings: TrainSettings, inputs: pipeline.Settings) -> Record:
    """Settles what depends on the backbone, the dataset and the machine."""
    preprocess = backbones.find_backbone(settings.backbone).preprocess
    data = pipeline.open(settings.dataset, data_dir=settings.data_dir)
    inputs = dataclasses.replace(inputs, preprocess=preprocess).sized(data.image_size)
    dataset = data.describe(inputs)
    environment = Environment.current(
        precision=precision.resolve(settings.precision), device=precision.device()
    )
    return Record(settings, inputs, dataset, environment)


def _resumed(out: Path, record: Record) -> Record:
    begun = read_record(out)
    require_same(begun, record)
    # What `auto` once meant holds for the whole run.
    environment = dataclasses.replace(record.environment, precision=begun.environment.precision)
    return dataclasses.replace(record, environment=environment)


def open_run(
    out: Path, record: Record, shared: network.Shared | None = None
) -> tuple[keras.Model, list[EpochRow]]:
    """The compiled network of a run, and its epochs so far; begins the run if need be.

    Args:
        out: run folder.
        record: what the run is.
        shared: a backbone to use in place of one of its own.
    """
    begun = is_run(out) and checkpoint.has_state(out)
    return _restore(out, record, shared) if begun else _begin(out, record, shared)


def _begin(
    out: Path, record: Record, shared: network.Shared | None
) -> tuple[keras.Model, list[EpochRow]]:
    model = build_model(record, record.train, shared)
    if record.train.standardise and not (shared and shared.standardise(model)):
        batches = evaluation_batches(record, split="train").as_numpy_iterator()
        network.standardise(model, (images for images, _ in batches))
    checkpoint.save_initial(out, model)
    history: list[EpochRow] = []
    checkpoint.save_state(out, model, history)
    write_record(out, record)
    return model, history


def _restore(
    out: Path, record: Record, shared: network.Shared | None
) -> tuple[keras.Model, list[EpochRow]]:
    # All weights come from the checkpoint: neither a download nor the weight file is needed again.
    settings = dataclasses.replace(record.train, weights="none")
    epochs = len(checkpoint.saved_history(out))
    model = build_model(record, settings, shared, epochs=epochs)
    checkpoint.load_initial(out, model)
    return model, checkpoint.load_state(out, model)


def build_model(
    record: Record,
    settings: TrainSettings,
    shared: network.Shared | None = None,
    *,
    epochs: int = 0,
) -> keras.Model:
    """The network of a run, compiled as it is after so many epochs.

    Args:
        record: what the run is.
        settings: its settings, with the weights that the network is to have.
        shared: a backbone to use in place of one of its own.
        epochs: that are trained already.
    """
    if shared is None:
        keras.utils.set_random_seed(record.network_seed)
    first, *later = recipe.stages(settings)
    stage = later[0] if later and epochs > first.epochs else first
    model = network.build(
        stage,
        classes=len(record.dataset.class_names),
        image_size=record.inputs.evaluation().image_size,
        backbone=shared.take() if shared else None,
    )
    recipe.compile_network(model, stage, steps=steps_per_epoch(record))
    return model


def describe(record: Record, model: keras.Model, history: list[EpochRow]) -> list[str]:
    """Lines on what is trained on what, and from where on."""
    dataset = record.dataset
    environment = record.environment
    splits = ", ".join(f"{name} {images}" for name, images in dataset.splits.items())
    has_validation = record.held_out_split == "validation"
    note = "" if has_validation else " (no validation split: test is evaluated every epoch)"
    trained = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    lines = [
        f"{dataset.name}: {len(dataset.class_names)} classes; images: {splits}{note}",
        f"{record.train.backbone} ({record.train.weights} weights) + {record.train.head} head: "
        f"{model.count_params():,} parameters, {trained:,} trained; "
        f"{environment.backend}, {environment.precision}, {environment.device}",
    ]
    if record.train.head == "gap" and len(dataset.class_names) > MOST_OF_GAP:
        lines.append(
            "the dense layer of the head gap grows with the square of the classes; "
            "--head linear does not"
        )
    if history:
        lines.append(f"resumed after epoch {history[-1].epoch}")
    return lines
