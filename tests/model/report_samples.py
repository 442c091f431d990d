"""Folders to report on, made without training: a run of a tiny network, and a set of experiments."""

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
from sentiflow.model import evaluate, network, run
from sentiflow.model.settings import TrainSettings

SIZE = tiny_dataset.IMAGE_SIZE


def write_run(place: Path) -> Path:
    """A run of three epochs as `model.train` leaves it, of a network with a backbone of one layer."""
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
    record = run.Record(
        settings, inputs, dataclasses.asdict(dataset), run.environment("float32", "CPU")
    )
    run.write_record(folder, record)
    losses, seconds, waiting = (1.0, 0.5, 0.75), (20.0, 10.0, 10.0), (0.05, 0.02, 0.02)
    run.write_history(folder, _history(losses, seconds, waiting))
    model = make_network(settings)
    model.save(folder / run.MODELS["final"])
    evaluate.evaluate(folder, record, model, split="test")
    return folder


def make_network(settings: TrainSettings) -> keras.Model:
    """A network that is right about green and red pictures of `tiny_dataset`, and wrong about blue ones."""
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


def _history(losses: Any, seconds: Any, waiting: Any, *, held_out: float = 0.6) -> list[run.Row]:
    rows = []
    for epoch, values in enumerate(zip(losses, seconds, waiting, strict=True), 1):
        loss, time, share = values
        accuracies = {
            "accuracy": 0.9 * epoch / len(losses),
            "val_accuracy": held_out * epoch / len(losses),
        }
        rows.append(
            {"epoch": epoch, "loss": loss, "val_loss": loss, **accuracies, "learning_rate": 0.001}
        )
        rows[-1] |= {"seconds": time, "images_per_second": 24 / time, "waiting_share": share}
    return rows


def copy(folder: Path, target: Path) -> Path:
    """The same run in another place."""
    return Path(shutil.copytree(folder, target))


def copy_without_dataset(folder: Path, target: Path) -> Path:
    """The same run, its dataset being in a folder that does not exist."""
    copy(folder, target)
    stored = json.loads((target / run.SETTINGS).read_text())
    stored["train"]["data_dir"] = str(target / "gone")
    run.write_json(target / run.SETTINGS, stored)
    return target


def write_set(folder: Path) -> Path:
    """Experiment 1 with three seeds, 8 with one and more epochs, and an ablation whose run folder is gone."""
    shared = {
        "batch_size": 32,
        "learning_rate": 0.001,
        "head": "gap",
        "macro_f1": 0.5,
        "seconds": 90.0,
    }
    shared |= {
        "backbone": "resnet101",
        "weights": "imagenet",
        "dataset_images": 1980,
        "recipe": "reference",
    }
    first = {
        "experiment": 1,
        "name": "1",
        "dataset": "emotionroi/raw256",
        "protocol": "official",
        "epochs": 2,
    }
    rows: list[dict[str, Any]] = []
    for seed, accuracy in enumerate((0.50, 0.52, 0.54)):
        rows.append(first | shared | {"seed": seed, "accuracy": accuracy, "published": 0.54})
        rows[-1]["run"] = _write_history(folder, f"runs/1 seed {seed}", epochs=2)
    (folder / rows[0]["run"] / "report.html").write_text("a report")
    twitter = {
        "experiment": 8,
        "name": "8",
        "dataset": "twitter1/raw256",
        "protocol": "first fifth",
        "epochs": 4,
    }
    rows.append(twitter | shared | {"seed": 0, "accuracy": 0.83, "published": 81})
    rows[-1]["run"] = _write_history(folder, "runs/8 seed 0", epochs=4)
    mixup = {
        "experiment": None,
        "name": "mixup",
        "run": "runs/gone",
        "accuracy": 0.57,
        "published": None,
        "seed": 0,
    }
    rows.append(first | shared | mixup)
    run.write_json(folder / "results.json", rows)
    return folder


def _write_history(folder: Path, name: str, *, epochs: int) -> str:
    run.write_history(folder / name, _history([1.0] * epochs, [10.0] * epochs, [0.0] * epochs))
    return name


def decode(uri: str) -> np.ndarray:
    """The pixels of a picture in a data URI: uint8 [h, w, 3]."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))
