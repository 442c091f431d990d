"""The input of a benchmark: prepared storages, and the same images as source files in class folders."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from sentiflow import pipeline

from .settings import Settings

DEMO = Path("demo")  # in the user's working directory
STORAGES = ("original", "raw256", "jpeg256")


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
    if data_dir is None:
        data_dir = str(data if manual_dir is None else DEMO / "data")
        manual_dir = manual_dir or str(photos)
    reasons = _missing(settings.dataset, storages, data_dir)
    if len(reasons) == len(storages) and settings.data_dir is None and settings.manual_dir is None:
        _command(
            "sentiflow.builders.sample",
            str(photos),
            "--dataset",
            settings.dataset,
            "--images",
            str(settings.images),
        )
    if reasons and manual_dir is not None:
        # Without a name, one command builds all storages of the usual size.
        every = set(reasons) >= set(STORAGES)
        for config in [None] * every + [
            name for name in reasons if not every or name not in STORAGES
        ]:
            build(settings.dataset, config, manual_dir=manual_dir, data_dir=data_dir)
        reasons = _missing(settings.dataset, storages, data_dir)
    if len(reasons) == len(storages):
        raise pipeline.InputError(next(iter(reasons.values())))
    return data_dir, reasons


def build(dataset: str, config: str | None, *, manual_dir: str, data_dir: str) -> None:
    """Runs `tfds build` for one storage, such as "raw256" or, of another size, "raw448", or for all usual ones."""
    # The builders are found, not imported: what is used of them is the command.
    package = importlib.util.find_spec("sentiflow.builders")
    folder = Path(str(package and package.origin)).parent / dataset
    if not folder.is_dir():
        raise pipeline.InputError(
            f"dataset must be one that has a builder in {folder.parent}. Received: {dataset!r}"
        )
    options = ("--manual_dir", os.path.abspath(manual_dir), "--data_dir", os.path.abspath(data_dir))
    if config and config not in STORAGES:
        storage = config.rstrip("0123456789")
        config = json.dumps({"storage": storage, "image_size": int(config.removeprefix(storage))})
    one = ("--config", config) if config else ()
    _command("tensorflow_datasets.scripts.cli.main", "build", str(folder), *options, *one)


def export_photos(
    dataset: str, *, split: str, data_dir: str, folder: Path, storage: str = "original"
) -> Path:
    """Writes the images of a split into class folders, which is what the original generator reads.

    From the storage `original`, which holds the source files byte for byte, come those files, so
    every loader reads the same images; from prepared storages JPEG files (see `read_plain`), or
    pixels as `.npy`.
    """
    classes = pipeline.open(f"{dataset}/{storage}", data_dir=data_dir).class_names
    folders = [
        folder / f"{label:03d}-{title}" for label, title in enumerate(classes)
    ]  # so that order is by label
    for class_folder in folders:
        class_folder.mkdir(parents=True)
    for i, (image, label) in enumerate(
        read_plain(dataset, storage, split=split, data_dir=data_dir)
    ):
        if isinstance(image, np.ndarray):
            np.save(folders[label] / f"{i:06d}.npy", image)
        else:
            # Loaders tell the format from the bytes; the generator lists files by their extension.
            (folders[label] / f"{i:06d}.jpg").write_bytes(image)
    return folder


def plain_source(storage: str) -> str:
    """The storage from which `read_plain` makes what it gives."""
    return storage.replace("jpeg", "raw")


def read_plain(
    dataset: str, storage: str, *, split: str, data_dir: str
) -> Iterator[tuple[Any, int]]:
    """Yields each image of a split as loaders other than ours want it, file bytes or uint8 [h, w, 3], and its label.

    Of the storage `jpeg` these are JPEG files of the same pixels, quality and subsampling, but
    without restart markers
    and index: only our windows gain by them, and they slow down who decodes a whole file.
    """
    for image, label in read_stored(
        f"{dataset}/{plain_source(storage)}", split=split, data_dir=data_dir
    ):
        yield (_plain_jpeg(image) if storage.startswith("jpeg") else image), label


def _plain_jpeg(pixels: np.ndarray) -> bytes:
    import tensorflow as tf  # not above: a JAX backend must be loaded before it

    # TensorFlow's encoder, because Pillow's fails at noise, for which its buffer is too small.
    file = tf.io.encode_jpeg(
        pixels, format="rgb", quality=95, optimize_size=True, chroma_downsampling=False
    )
    return bytes(file.numpy())


def read_stored(name: str, *, split: str, data_dir: str) -> Iterator[tuple[Any, int]]:
    """Yields what is stored of each image of a split, file bytes or uint8 [h, w, 3], and its label.

    TFDS reads it; of the pipeline is only which images belong to the split.
    """
    names = set(pipeline.open(name, data_dir=data_dir).files(split))
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


def _command(module: str, *arguments: str) -> None:
    shown = " ".join(["python -m", module, *arguments])
    print(f"$ {shown}", file=sys.stderr, flush=True)
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments], capture_output=True, text=True, env=environment
    )
    if done.returncode:
        last = [line for line in (done.stderr + done.stdout).splitlines() if line.strip()][-1:]
        raise pipeline.InputError(f"`{shown}` failed: {''.join(last) or 'it printed nothing'}")
