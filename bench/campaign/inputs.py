"""What a campaign starts from: photographs, datasets of them, a backbone of no size, a run."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow_datasets as tfds
from keras import layers
from PIL import Image
from rich.console import Console

from sentiflow import pipeline
from sentiflow.builders.photo_folder import Builder, PhotoFolderConfig
from sentiflow.model.networks import backbones
from sentiflow.model.settings import TrainSettings
from sentiflow.model.training import loop

SIDE = 48  # pixels of the windows
STORAGES = ("original", "raw", "jpeg")
CLASSES = ("calm", "glad", "sad")
PHOTOS = 240
# Width and height in pixels; the first is a window as it is.
SIZES = ((SIDE, SIDE), (90, 60), (60, 100))
BACKBONE = "small"
# Storage `raw` as `build` makes it, for `tfds build --config`, and its name.
RAW = json.dumps({"storage": "raw", "image_size": SIDE})
RAW_NAME = f"raw{SIDE}"


def small_backbone(
    include_top: bool = False, weights: None = None, input_shape: Any = None
) -> keras.Model:
    """A backbone that is compiled in no time."""
    images = features = keras.Input(input_shape)
    for strides in (4, 2):
        features = layers.Conv2D(8, 3, strides=strides)(features)
        features = layers.Activation("relu")(layers.BatchNormalization()(features))
    return keras.Model(images, features)


def register_backbone() -> None:
    """Lets this process's commands find it as `small`."""
    backbones.BACKBONES[BACKBONE] = backbones.Backbone(small_backbone, "tf")


def picture(rng: np.random.Generator, size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    """A smooth picture with some grain, of `size` (width, height) pixels."""
    coarse = Image.fromarray(rng.integers(0, 200, (5, 4, 3), np.uint8))
    smooth = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC), np.int16)
    grain = rng.integers(0, 40, smooth.shape, np.int16)
    return Image.fromarray(np.clip(smooth + grain, 0, 255).astype(np.uint8))


def write_list(folder: Path, lines: Iterable[Sequence[str]]) -> None:
    """Writes `list.csv`: path, label, split."""
    with open(folder / "list.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("path", "label", "split"), *lines])


def draw(folder: Path, count: int, classes: Sequence[str] = CLASSES) -> None:
    """Writes so many pictures and their list into a folder; most are for training."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(count):
        name = f"{number:04}.{'jpg' if number % 2 else 'png'}"
        image = picture(np.random.default_rng(number), SIZES[number // 3 % len(SIZES)])
        image.save(folder / name)
        split = ("train", "train", "train", "val", "test")[number // len(classes) % 5]
        lines.append((name, classes[number % len(classes)], split))
    write_list(folder, lines)


def build(
    storage: str, photos: Path, data_dir: Path, *, shards: int = 1, **settings: Any
) -> pipeline.Dataset:
    """Builds a folder of photographs as one storage, for windows of `SIDE` pixels; opens it."""
    if storage != "original":
        settings["image_size"] = SIDE
    config = PhotoFolderConfig(storage=storage, **settings)
    builder = Builder(data_dir=str(data_dir), config=config)
    options = tfds.download.DownloadConfig(manual_dir=str(photos), num_shards=shards)
    builder.download_and_prepare(download_config=options)
    return pipeline.open(f"photo_folder/{config.name}", data_dir=str(data_dir))


def train(
    data: pipeline.Dataset, out: Path, console: Console, *, cache: Any = "memory", epochs: int = 3
) -> None:
    """Trains a network on the small backbone."""
    register_backbone()
    settings = TrainSettings(
        dataset=data.name,
        data_dir=data.data_dir,
        backbone=BACKBONE,
        weights="none",
        epochs=epochs,
        learning_rate=0.05,
        precision="float32",
    )
    inputs = pipeline.Settings(batch_size=8, image_size=SIDE, cache=cache)
    loop.train(settings, inputs, out=out, console=console)


def prepare(work: Path) -> None:
    """Makes what all parts share in a folder: `photos`, `data`, and a finished `run`."""
    draw(work / "photos", PHOTOS)
    data = build("raw", work / "photos", work / "data", shards=2)
    train(data, work / "run", Console(quiet=True))
