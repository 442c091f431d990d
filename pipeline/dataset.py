"""A prepared dataset as one thing: what it holds, and streams of it. `pipeline.open` is the way to one."""

from __future__ import annotations

import builtins
import dataclasses
import functools
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from sentiflow.options import InputError

from . import bank, graph, stimuli
from .records import Records, read_index
from .settings import CROP_FRACTION, Settings, StreamSettings

METADATA, INFO = (
    "metadata.json",
    "dataset_info.json",
)  # what the builder and TFDS write beside the shards
AGREEMENT_LEVELS = (5, 4, 3)  # Twitter I: columns of the feature `validation`, in this order


@dataclasses.dataclass(frozen=True)
class Description:
    """What a prepared dataset holds.

    Attributes:
        name: such as "emotionroi/raw256".
        class_names: by label.
        splits: images by split name, as `pipeline.load` understands it.
        storage: "original", "raw" or "jpeg".
        image_size: side in pixels that the stored pixels were resized for; None when they are the
            source files.
    """

    name: str
    class_names: list[str]
    splits: dict[str, int]
    storage: str
    image_size: int | None


def open(dataset: str, *, data_dir: str = "data") -> Dataset:
    """Opens a prepared dataset.

    Its shards are indexed when a split is first asked for, and once in a process: the same dataset
    gives the same object, as long as it was not built anew meanwhile.

    Args:
        dataset: "name/config", optionally "name/config:version"; else the highest version.
        data_dir: the folder given to `tfds build --data_dir`.

    Raises:
        InputError: the dataset is not there, or was not prepared by a Sentiflow builder.
    """
    builder = _find(dataset, data_dir)
    stamps = tuple(
        os.stat(path).st_mtime_ns
        for name in (INFO, METADATA)
        if os.path.exists(path := os.path.join(builder.data_dir, name))
    )
    key = dataset, data_dir, os.path.abspath(builder.data_dir)
    if key not in _opened or _opened[key][0] != stamps:
        _opened[key] = stamps, Dataset(dataset, data_dir, builder)
    return _opened[key][1]


def load(
    dataset: str,
    *,
    split: str,
    data_dir: str = "data",
    training: bool = False,
    epochs: int = 1,
    epoch: int = 0,
    step: int = 0,
    shard: tuple[int, int] = (0, 1),
    device: str | None = None,
    settings: Settings | None = None,
    **options: Any,
) -> tf.data.Dataset:
    """Batches of a prepared dataset: what is left of `epochs` epochs, as one stream.

    The stream is a function of its arguments alone: iterating it again gives the same batches, on
    any number of cores and from every tier. To continue a run that was interrupted, pass the
    `epoch` and the `step` in it that come next. `open(dataset, data_dir=data_dir).load(split, ...)`
    is the same.

    Args:
        dataset: "name/config", as built by `tfds build`.
        split: "train", "validation", "test", "all", or any split name of the TFDS dataset.
        data_dir: the folder given to `tfds build --data_dir`.
        training: shuffle (an exact permutation in each epoch), crop at random and augment.
        epochs: the epoch number at which the stream ends.
        epoch: the epoch number at which it begins.
        step: batches of that first epoch to leave out.
        shard: (index, count): the part of every epoch that this host reads; parts are disjoint and
            complete.
        device: such as "/GPU:0", to copy batches there ahead of time; None leaves them in host
            memory.
        settings: the input settings; None for the defaults.
        **options: fields of `Settings` to replace, such as `batch_size=64`.

    Returns:
        A dataset of known cardinality. Elements are (image, label): float32 [b, s, s, 3], or uint8
        without preprocessing, and int32 [b]. The tier `device` gives in the images' stead a dict
        that tells `see_places` which windows of `Dataset.device_pixels` to look at, and how. Under
        `last_batch="pad"` a third element, float32 [b], is 1 for images and 0 for padding, which
        Keras takes as sample weights.

    Raises:
        InputError: no such dataset or split, or settings that the storage cannot serve. The message
            says what to do.
    """
    return open(dataset, data_dir=data_dir).load(
        split,
        training=training,
        epochs=epochs,
        epoch=epoch,
        step=step,
        shard=shard,
        device=device,
        settings=settings,
        **options,
    )


class Dataset:
    """What was prepared by one `tfds build`.

    Attributes:
        name: such as "emotionroi/raw256".
        data_dir: the folder given to `tfds build --data_dir`.
        folder: where shards, metadata.json, and quarantine.tsv if files were left out, lie.
        class_names: by label.
        storage: "original", "raw" or "jpeg".
        image_size: side in pixels that the stored pixels were resized for; None when they are the
            source files.
    """

    def __init__(self, dataset: str, data_dir: str, builder: tfds.core.DatasetBuilder) -> None:
        self._requested, self._metadata = dataset, _read_metadata(dataset, data_dir, builder)
        self._stored_splits = dict(builder.info.splits.items())
        # Whether training and validation images are told apart by features (Twitter I) rather than
        # by TFDS splits.
        self._is_composed = "agreement" in builder.info.features
        self.name, self.data_dir, self.folder = (
            dataset.partition(":")[0],
            data_dir,
            str(builder.data_dir),
        )
        self.class_names: list[str] = list(builder.info.features["label"].names)
        self.storage: str = self._metadata["storage"]
        self.image_size: int | None = self._metadata.get("image_size")

    def load(
        self,
        split: str,
        *,
        training: bool = False,
        epochs: int = 1,
        epoch: int = 0,
        step: int = 0,
        shard: tuple[int, int] = (0, 1),
        device: str | None = None,
        settings: Settings | None = None,
        **options: Any,
    ) -> tf.data.Dataset:
        """Batches of a split; see `pipeline.load`, which has the same arguments."""
        chosen = dataclasses.replace(settings or Settings(), **options)
        *_, ds = self.stages(
            split,
            training=training,
            epochs=epochs,
            epoch=epoch,
            step=step,
            shard=shard,
            settings=chosen,
        ).values()
        return (
            ds.prefetch(2)
            if device is None
            else ds.apply(tf.data.experimental.prefetch_to_device(device, 2))
        )

    def stages(
        self,
        split: str,
        *,
        training: bool,
        epochs: int,
        epoch: int,
        step: int,
        shard: tuple[int, int],
        settings: Settings,
    ) -> dict[str, tf.data.Dataset]:
        """The stream of `load` after each of its stages, in order."""
        stream = settings.stream(training=training)
        everything = self.records("all", stream) if stream.cache == "device" else None
        return graph.stages(
            self.records(split, stream),
            everything,
            stream,
            training=training,
            epochs=epochs,
            epoch=epoch,
            step=step,
            shard=shard,
        )

    def describe(self, settings: Settings | None = None) -> Description:
        """What the dataset holds; `agreement` and `fold` of the settings choose images of Twitter I."""
        splits = {name: split.num_examples for name, split in self._stored_splits.items()}
        if self._is_composed:
            chosen = settings or Settings()
            splits = {
                name: len(self._compose(name, chosen)) for name in ("train", "validation", "all")
            }
        return Description(self.name, self.class_names, splits, self.storage, self.image_size)

    def files(self, split: str, settings: Settings | None = None, **options: Any) -> list[str]:
        """File names of a split in the order in which a stream with `training=False` gives the images.

        Args:
            split: as in `load`.
            settings: as in `load`; None for defaults that the storage can serve.
            **options: fields of `Settings` to replace.
        """
        usual = Settings() if self.image_size is None else Settings(image_size=self.image_size)
        return list(self.records(split, dataclasses.replace(settings or usual, **options)).filename)

    def device_pixels(self, settings: Settings | None = None, **options: Any) -> np.ndarray:
        """The resized pixels of all splits, for the memory of an accelerator: uint8 [pixels, 3].

        Args:
            settings: the input settings; None for the defaults.
            **options: fields of `Settings` to replace.

        Raises:
            InputError: they do not fit into the free memory, or what `load` raises.
        """
        stream = dataclasses.replace(settings or Settings(), **options).evaluation()
        return bank.device_pixels(self.records("all", stream), stream)

    def stimuli_maps(self, files: Iterable[str], settings: Settings) -> Iterator[np.ndarray | None]:
        """The stimuli maps of photographs, scaled and cropped as a stream with `training=False` does with these.

        Args:
            files: file names of the photographs, as `files` gives them.
            settings: the input settings of the stream.

        Yields:
            One for each file: float32 [s, s] in [0, 1], or None where the photograph has none.
            Whatever the storage, the maps come from `original` in the same folder.

        Raises:
            InputError: `original` was not prepared, or holds no stimuli maps.
        """
        name, _, config = self.name.partition("/")
        original = "_".join(
            ["original", *config.split("_")[1:]]
        )  # prepared alike, but for the storage
        try:
            records = open(f"{name}/{original}", data_dir=self.data_dir).records("all", settings)
        except InputError as error:
            raise InputError(
                f"Stimuli maps are kept in storage `original` alone. {error}"
            ) from None
        if not records.extra.get("stimuli_map", np.zeros(0)).any():
            raise InputError(
                f"{name}/{original} in {self.data_dir} holds no stimuli maps; EmotionROI's archive has them."
            )
        return stimuli.maps(records, files, settings.evaluation())

    def labels(self, split: str, settings: Settings | None = None) -> np.ndarray:
        """Labels of a split in the order of `files`: int32 [n]."""
        return self.records(split, settings or Settings()).label

    def records(self, split: str, settings: Settings | StreamSettings) -> Records:
        """Where the images of one split lie.

        Args:
            split: `train`, `validation`, `test`, `all`, or any split name of the TFDS dataset.
            settings: `agreement` and `fold` choose images of Twitter I; the geometry must be one
                that the storage can serve.

        Raises:
            InputError: no such split, a geometry that the storage cannot serve, or a damaged shard.
        """
        self._check_geometry(settings)
        if split in self._stored_splits:
            before = itertools.takewhile(lambda name: name != split, self._stored_splits)
            first = sum(self._stored_splits[name].num_examples for name in before)
            return self._index.take(
                slice(first, first + self._stored_splits[split].num_examples)
            ).compact()
        if self._is_composed and split in ("train", "validation", "all"):
            return self._compose(split, settings)
        if split != "all":
            known = ["train", "validation"] if self._is_composed else list(self._stored_splits)
            raise InputError(
                f"{self._requested} has no split {split!r}; it has {', '.join([*known, 'all'])}."
            )
        return self._index

    @property
    def shards(self) -> list[str]:
        """Paths of the files that hold the records, split after split."""
        return [str(path) for split in self._stored_splits.values() for path in split.filepaths]

    @functools.cached_property
    def _index(self) -> Records:
        """The records of all splits, one behind the other."""
        records = read_index(self.shards, storage=self.storage)
        expected = sum(split.num_examples for split in self._stored_splits.values())
        if len(records) != expected:
            raise InputError(
                f"{self.folder} should hold {expected} images but its shards hold {len(records)}; rebuild it."
            )
        return records

    def _compose(self, split: str, settings: Settings | StreamSettings) -> Records:
        """Twitter I: `train`, `validation` or `all` images of the chosen agreement level."""
        agreement = self._index.extra["agreement"][:, 0]
        if settings.agreement < agreement.min():
            level = settings.agreement
            raise InputError(
                f"{self._requested} was built without the list of agreement {level}; rebuild it with it."
            )
        records = self._index.take(agreement >= settings.agreement)
        held_out = records.extra["validation"][:, AGREEMENT_LEVELS.index(settings.agreement)] == 1
        if settings.fold is not None:
            held_out = records.extra["fold"][:, 0] == settings.fold
        return (
            records
            if split == "all"
            else records.take(held_out if split == "validation" else ~held_out)
        )

    def _check_geometry(self, settings: Settings | StreamSettings) -> None:
        if self.storage == "original":
            return
        name = self.name.partition("/")[0]
        stored_size = int(self._metadata["image_size"])
        stored_fraction = float(self._metadata.get("crop_fraction") or CROP_FRACTION)
        stored_filter = self._metadata.get("interpolation") or "lanczos"
        same_size = abs(settings.cover - stored_size / stored_fraction) < 1e-6
        if same_size and settings.interpolation == stored_filter:
            return
        config = json.dumps({"storage": self.storage, "image_size": settings.image_size})
        raise InputError(
            f"{self._requested} holds pixels for image_size={stored_size}, crop_fraction={stored_fraction}, "
            f"{stored_filter}; it cannot serve image_size={settings.image_size}, "
            f"crop_fraction={settings.crop_fraction}, {settings.interpolation}. Load {name}/original instead, or, "
            f"for another size alone, run: tfds build builders/{name} --config '{config}'"
        )


# By name, data_dir and folder: when the dataset's files were written, and the dataset.
_opened: dict[tuple[str, str, str], tuple[tuple[int, ...], Dataset]] = {}


def _find(dataset: str, data_dir: str) -> tfds.core.DatasetBuilder:
    name, _, versioned = dataset.partition("/")
    config, _, version = versioned.partition(":")
    if not config:
        raise InputError(
            f"dataset must be NAME/CONFIG, such as {name}/raw256. Received: {dataset!r}"
        )
    try:
        return tfds.core.read_only_builder.builder_from_files(
            name, config=config, version=version or None, data_dir=data_dir
        )
    except (tfds.core.DatasetNotFoundError, FileNotFoundError):
        remedy = _remedy(dataset, data_dir)
        raise InputError(
            f"{dataset} is not in {os.path.abspath(data_dir)}; prepare it with: {remedy}"
        ) from None


def _read_metadata(
    dataset: str, data_dir: str, builder: tfds.core.DatasetBuilder
) -> dict[str, Any]:
    path = os.path.join(builder.data_dir, METADATA)
    try:
        with builtins.open(path, encoding="utf-8") as file:
            metadata: dict[str, Any] = json.load(file)
    except (OSError, ValueError):
        remedy = _remedy(dataset, data_dir)
        raise InputError(
            f"{path} is missing or damaged, so {dataset} cannot be read; rebuild it: {remedy}"
        ) from None
    if "storage" not in metadata:
        raise InputError(
            f"{dataset} was not prepared by a Sentiflow builder ({path} names no storage)."
        )
    return metadata


def _remedy(dataset: str, data_dir: str) -> str:
    name, _, config = dataset.partition("/")
    return (
        f"tfds build builders/{name} --config {config} --manual_dir DOWNLOADS --data_dir {data_dir}"
    )
