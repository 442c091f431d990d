"""Folders to report on, made without training: a run, and a set of experiments."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tiny_dataset
from PIL import Image

from sentiflow import pipeline
from sentiflow.files import write_json
from sentiflow.model.networks import network
from sentiflow.model.reports.rows import ResultRow
from sentiflow.model.scores import split
from sentiflow.model.settings import TrainSettings
from sentiflow.model.training.history import EpochRow, write_history
from sentiflow.model.training.record import MODELS, SETTINGS, Environment, Record, write_record

SIZE = tiny_dataset.IMAGE_SIZE


def write_run(place: Path) -> Path:
    """A run of three epochs as `model.train` leaves it, its backbone of one layer."""
    tiny_dataset.write(place / "data")
    folder = place / "a run"
    settings = TrainSettings(
        dataset=tiny_dataset.NAME,
        data_dir=str(place / "data"),
        backbone="mobilenet",
        weights="none",
        epochs=3,
    )
    inputs = pipeline.Settings(batch_size=8, image_size=SIZE, preprocess="tf")
    dataset = pipeline.open(settings.dataset, data_dir=settings.data_dir).describe(inputs)
    environment = Environment.current(precision="float32", device="CPU")
    record = Record(settings, inputs, dataset, environment)
    write_record(folder, record)
    losses, seconds, waiting = (1.0, 0.5, 0.75), (20.0, 10.0, 10.0), (0.05, 0.02, 0.02)
    write_history(folder, _history(losses, seconds, waiting))
    model = make_network(settings)
    model.save(folder / MODELS["final"])
    split.evaluate(folder, record, model, split="test")
    return folder


def make_network(settings: TrainSettings) -> keras.Model:
    """A network that is right about green and red pictures, and wrong about blue ones."""
    keras.utils.set_random_seed(1)
    pixels = keras.Input((SIZE, SIZE, 3))
    backbone = keras.Model(pixels, keras.layers.AveragePooling2D(8)(pixels))
    model = network.build(settings, classes=3, image_size=SIZE, backbone=backbone)
    maps, logits = model.get_layer("maps"), model.get_layer("logits")
    # The first map of every class is its colour's channel, red being the last class.
    kernel, bias = np.zeros(maps.kernel.shape, np.float32), np.ones(maps.bias.shape, np.float32)
    dense = np.zeros(logits.kernel.shape, np.float32)
    for label in range(3):
        kernel[..., 2 - label, 4 * label] = 1.0
        dense[4 * label, label] = 6.0 if label else 2.0  # blue is never seen as such
    maps.set_weights([kernel, bias])
    logits.set_weights([dense, np.zeros(3, np.float32)])
    return model


def _history(losses: Any, seconds: Any, waiting: Any, *, held_out: float = 0.6) -> list[EpochRow]:
    epochs = enumerate(zip(losses, seconds, waiting, strict=True), 1)
    return [
        EpochRow(
            epoch=epoch,
            loss=loss,
            val_loss=loss,
            accuracy=0.9 * epoch / len(losses),
            val_accuracy=held_out * epoch / len(losses),
            learning_rate=0.001,
            seconds=time,
            images_per_second=24 / time,
            waiting_share=share,
        )
        for epoch, (loss, time, share) in epochs
    ]


def copy(folder: Path, target: Path) -> Path:
    """The same run in another place."""
    return Path(shutil.copytree(folder, target))


def copy_without_dataset(folder: Path, target: Path) -> Path:
    """The same run, its dataset being in a folder that does not exist."""
    copy(folder, target)
    stored = json.loads((target / SETTINGS).read_text())
    stored["train"]["data_dir"] = str(target / "gone")
    write_json(target / SETTINGS, stored)
    return target


def write_set(folder: Path) -> Path:
    """Experiment 1 with three seeds, 8 with one, and an ablation whose run folder is gone."""
    rows = [
        _row(
            seed=seed,
            accuracy=accuracy,
            published=0.54,
            run=_write_history(folder, f"runs/1 seed {seed}", epochs=2),
        )
        for seed, accuracy in enumerate((0.50, 0.52, 0.54))
    ]
    (folder / rows[0].run / "report.html").write_text("a report")
    twitter = _row(
        experiment=8,
        name="8",
        dataset="twitter1/raw256",
        protocol="first fifth",
        epochs=4,
        accuracy=0.83,
        published=81,
        run=_write_history(folder, "runs/8 seed 0", epochs=4),
    )
    mixup = _row(experiment=None, name="mixup", run="runs/gone", accuracy=0.57)
    rows += [twitter, mixup]
    write_json(folder / "results.json", [dataclasses.asdict(row) for row in rows])
    return folder


def _row(**changes: Any) -> ResultRow:
    """A row of experiment 1, with changes."""
    values: dict[str, Any] = {
        "experiment": 1,
        "name": "1",
        "dataset": "emotionroi/raw256",
        "protocol": "official",
        "batch_size": 32,
        "learning_rate": 0.001,
        "epochs": 2,
        "head": "gap",
        "recipe": "reference",
        "backbone": "resnet101",
        "weights": "imagenet",
        "seed": 0,
        "split": "test",
        "images": 594,
        "dataset_images": 1980,
        "macro_f1": 0.5,
        "loss": 1.0,
        "best_epoch": 2,
        "seconds": 90.0,
        "environment": {"backend": "tensorflow", "precision": "float32", "device": "CPU"},
    }
    return ResultRow(**(values | changes))


def _write_history(folder: Path, name: str, *, epochs: int) -> str:
    write_history(folder / name, _history([1.0] * epochs, [10.0] * epochs, [0.0] * epochs))
    return name


def decode(uri: str) -> np.ndarray:
    """The pixels of a picture in a data URI: uint8 [h, w, 3]."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))
