"""The input of a benchmark: prepared storages, and the same images in class folders."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from sentiflow import faults, pipeline
from sentiflow.terminal import echo

from .modules import command_line, run_module
from .settings import Settings
from .storages import STORAGES, parse, plain_source

DEMO = Path("demo")  # in the user's working directory
# Datasets that have no sample of their own: whose is taken, and which folder of it.
SAMPLES = {"photo_folder": ("emotionroi", "EmotionROI/images")}


def sample_folders(images: int) -> tuple[Path, Path]:
    """Where so many sample photographs are drawn, and the data_dir of what is built of them."""
    folder = DEMO / f"sample-{images}"
    return folder / "photos", folder / "data"


def prepare(settings: Settings, storages: tuple[str, ...] = STORAGES) -> tuple[str, dict[str, str]]:
    """Makes sure that there is something to read.

    Without `data_dir`, sample photographs are drawn and built in `DEMO`, unless they are there;
    with `manual_dir`, the storages that `data_dir` lacks are built from it.

    Returns:
        The data_dir, and why a storage cannot be read, for each that cannot.

    Raises:
        InputError: no storage can be read, or a build failed.
    """
    data_dir, manual_dir = settings.data_dir, settings.manual_dir
    photos, data = sample_folders(settings.images)
    drawn, part = SAMPLES.get(settings.dataset, (settings.dataset, ""))
    if data_dir is None:
        data_dir = str(data if manual_dir is None else DEMO / "data")
        manual_dir = manual_dir or str(photos / part)
    reasons = _missing(settings.dataset, storages, data_dir)
    if len(reasons) == len(storages) and settings.data_dir is None and settings.manual_dir is None:
        options = ("--dataset", drawn, "--images", str(settings.images))
        _command("sentiflow.builders.sample", str(photos), *options)
    if reasons and manual_dir is not None:
        for config in _configs(reasons):
            build_storage(settings.dataset, config, manual_dir=manual_dir, data_dir=data_dir)
        reasons = _missing(settings.dataset, storages, data_dir)
    if len(reasons) == len(storages):
        raise pipeline.InputError(next(iter(reasons.values())))
    return data_dir, reasons


def _configs(missing: Iterable[str]) -> list[str | None]:
    """What `build_storage` is called with.

    None stands for all storages of the usual size at once.
    """
    if not set(STORAGES) <= set(missing):
        return list(missing)
    return [None, *(name for name in missing if name not in STORAGES)]


def build_storage(dataset: str, config: str | None, *, manual_dir: str, data_dir: str) -> None:
    """Runs `tfds build`.

    Args:
        dataset: its name.
        config: the storage, such as "raw256" or, of another size, "raw448"; None builds all of the
            usual size.
        manual_dir: of the photographs.
        data_dir: of the result.
    """
    # The builders are found, not imported: what is used of them is the command.
    package = importlib.util.find_spec("sentiflow.builders")
    folder = Path(str(package and package.origin)).parent / dataset
    if not folder.is_dir():
        raise pipeline.InputError(
            f"dataset must be one that has a builder in {folder.parent}. Received: {dataset!r}"
        )
    options = ("--manual_dir", os.path.abspath(manual_dir), "--data_dir", os.path.abspath(data_dir))
    if config and config not in STORAGES:
        config = json.dumps(parse(config).options)
    choice = ("--config", config) if config else ()
    _command("tensorflow_datasets.scripts.cli.main", "build", str(folder), *options, *choice)


def export_photos(
    dataset: str,
    *,
    split: str,
    data_dir: str,
    folder: Path,
    storage: str = "original",
    **choice: Any,
) -> Path:
    """Writes the images of a split into class folders, which is what the original generator reads.

    From the storage `original`, which holds the source files byte for byte, come those files, so
    every loader reads the same images; from prepared storages JPEG files (see `read_plain`), or
    pixels as `.npy`. `choice` is that of `bench.harness.settings.Settings`.

    Raises:
        OSError: the disk refuses it.
    """
    classes = pipeline.open(f"{dataset}/{storage}", data_dir=data_dir).class_names
    folders = [folder / name for name in _folder_names(classes)]
    for class_folder in folders:
        class_folder.mkdir(parents=True)
    examples = read_plain(dataset, storage, split=split, data_dir=data_dir, **choice)
    with faults.naming(folder):
        for i, (image, label) in enumerate(examples):
            _write_plain(image, folders[label], f"{i:06d}")
    return folder


def _folder_names(classes: Sequence[str]) -> list[str]:
    """With numbers, so that the order of the folders is that of the labels."""
    digits = max(3, len(str(len(classes))))
    titles = [re.sub(r"[^\w.-]", "_", title)[:40] for title in classes]
    return [f"{label:0{digits}d}-{title}" for label, title in enumerate(titles)]


def _write_plain(image: Any, folder: Path, name: str) -> None:
    if isinstance(image, np.ndarray):
        np.save(folder / f"{name}.npy", image)
    else:
        # Loaders tell the format from the bytes; the generator lists files by their extension.
        (folder / f"{name}.jpg").write_bytes(image)


def read_plain(
    dataset: str, storage: str, *, split: str, data_dir: str, **choice: Any
) -> Iterator[tuple[Any, int]]:
    """Yields each image of a split as loaders other than ours want it, and its label.

    An image is the bytes of a file, or uint8 [h, w, 3]. Of the storage `jpeg` these are JPEG files
    of the same pixels, quality and subsampling, but without restart markers and index: only our
    windows gain by them, and they slow down who decodes a whole file.
    """
    encode = parse(storage).form == "jpeg"
    name = f"{dataset}/{plain_source(storage)}"
    for image, label in read_stored(name, split=split, data_dir=data_dir, **choice):
        yield (plain_jpeg(image) if encode else image), label


def plain_jpeg(pixels: np.ndarray) -> bytes:
    """A JPEG file of pixels, uint8 [h, w, 3], as the builders compress them, without restarts."""
    import tensorflow as tf  # not above: a JAX backend must be loaded before it

    # TensorFlow's encoder, because Pillow's fails at noise, for which its buffer is too small.
    file = tf.io.encode_jpeg(
        pixels, format="rgb", quality=95, optimize_size=True, chroma_downsampling=False
    )
    return bytes(file.numpy())


def read_stored(
    name: str, *, split: str, data_dir: str, **choice: Any
) -> Iterator[tuple[Any, int]]:
    """Yields what is stored of each image of a split, and its label.

    An image is the bytes of a file, or uint8 [h, w, 3]. TFDS reads it; of the pipeline is only
    which images belong to the split.
    """
    names = set(pipeline.open(name, data_dir=data_dir).files(split, **choice))
    dataset, _, config = name.partition("/")
    builder = tfds.core.read_only_builder.builder_from_files(
        dataset, config=config, data_dir=data_dir
    )
    files = isinstance(builder.info.features["image"], tfds.features.Image)
    examples = builder.as_dataset(
        split=split if split in builder.info.splits else "all",
        decoders={"image": tfds.decode.SkipDecoding()} if files else None,
        read_config=tfds.ReadConfig(try_autocache=False),
    )
    for example in examples.as_numpy_iterator():
        if example["filename"].decode() in names:
            yield example["image"], int(example["label"])


def _missing(dataset: str, storages: tuple[str, ...], data_dir: str) -> dict[str, str]:
    reasons = {}
    for storage in storages:
        try:
            pipeline.open(f"{dataset}/{storage}", data_dir=data_dir)
        except pipeline.InputError as error:
            reasons[storage] = str(error)
    return reasons


def count_images(settings: Settings, storage: str, data_dir: str) -> int:
    """The images of the settings' split, as a storage holds them."""
    dataset = pipeline.open(f"{settings.dataset}/{storage}", data_dir=data_dir)
    return len(dataset.files(settings.split, **settings.choice))


def _command(module: str, *arguments: str) -> None:
    echo(f"$ {command_line(module, *arguments)[1:-1]}", err=True)
    run_module(module, *arguments)
