"""A prepared dataset: what it holds, and streams of it."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import itertools
import os
from collections.abc import Iterable, Iterator
from typing import Any

import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import numpy as np
import tensorflow as tf

from sentiflow import startup
from sentiflow.options import InputError

from . import damage, graph, pictures, stimuli, stored, votes
from .records import Records, read_index
from .settings import Settings, StreamSettings
from .sources import device as device_source
from .stored import Description


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
    startup.leave_accelerator_to_jax()
    folder = stored.find(dataset, data_dir)
    written = stored.stamps(folder)
    key = (dataset, data_dir, os.path.abspath(folder))
    if key not in _opened or _opened[key][0] != written:
        _opened[key] = (written, Dataset(dataset, data_dir, folder))
    return _opened[key][1]


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

    def __init__(self, dataset: str, data_dir: str, folder: str) -> None:
        info = stored.read_info(dataset, data_dir, folder)
        self._requested = dataset
        self._metadata = stored.read_metadata(dataset, data_dir, folder)
        self._stored_splits = dict(info.splits.items())
        # Whether training and validation images are told apart by features rather than by TFDS.
        self._has_votes = "agreement" in info.features
        self.name = dataset.partition(":")[0]
        self.data_dir = data_dir
        self.folder = folder
        self.class_names: list[str] = list(info.features["label"].names)
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
        viewed: bool = True,
        device: str | None = None,
        settings: Settings | None = None,
        **options: Any,
    ) -> tf.data.Dataset:
        """Batches of a split; see `pipeline.load`, which has the same arguments."""
        *_, ds = self.stages(
            split,
            training=training,
            epochs=epochs,
            epoch=epoch,
            step=step,
            shard=shard,
            viewed=viewed,
            settings=self._settle(settings, options),
        ).values()
        if device is None:
            return ds.prefetch(2)
        return ds.apply(tf.data.experimental.prefetch_to_device(device, 2))

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
        viewed: bool = True,
    ) -> dict[str, tf.data.Dataset]:
        """The stream of `load` after each of its stages, in order."""
        stream = settings.sized(self.image_size).stream(training=training)
        return graph.stages(
            self.records(split, stream),
            self.records("all", stream),
            stream,
            training=training,
            epochs=epochs,
            epoch=epoch,
            step=step,
            shard=shard,
            viewed=viewed,
        )

    def describe(self, settings: Settings | None = None) -> Description:
        """What the dataset holds.

        Args:
            settings: `agreement` and `fold` choose images of Twitter I.
        """
        splits = {name: split.num_examples for name, split in self._stored_splits.items()}
        if self._has_votes:
            settings = settings or Settings()
            splits = {name: len(self._select(name, settings)) for name in votes.SPLITS}
        return Description(self.name, self.class_names, splits, self.storage, self.image_size)

    def files(self, split: str, settings: Settings | None = None, **options: Any) -> list[str]:
        """File names of a split, in the order of a stream with `training=False`.

        Args:
            split: as in `load`.
            settings: as in `load`; None for the defaults.
            **options: fields of `Settings` to replace.
        """
        return list(self.records(split, self._settle(settings, options)).filename)

    def device_pixels(self, settings: Settings | None = None, **options: Any) -> np.ndarray:
        """The resized pixels of all splits, for the memory of an accelerator.

        They are uint32 [blocks, pixels of a block], a pixel in each, red in the lowest byte.

        Args:
            settings: the input settings; None for the defaults.
            **options: fields of `Settings` to replace.

        Raises:
            InputError: they do not fit into the free memory, or what `load` raises.
        """
        stream = self._settle(settings, options).evaluation()
        return device_source.pixels(self.records("all", stream), stream)

    def stimuli_maps(self, files: Iterable[str], settings: Settings) -> Iterator[np.ndarray | None]:
        """The stimuli maps of photographs, cut as a stream with `training=False` cuts these.

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
        # Prepared alike, but for the storage.
        original = "_".join(["original", *config.split("_")[1:]])
        settings = settings.sized(self.image_size)
        try:
            records = open(f"{name}/{original}", data_dir=self.data_dir).records("all", settings)
        except InputError as error:
            rule = "Stimuli maps are kept in storage `original` alone."
            raise InputError(f"{rule} {error}") from None
        if not records.extra.get("stimuli_map", np.zeros(0)).any():
            rule = f"{name}/{original} in {self.data_dir} holds no stimuli maps"
            raise InputError(f"{rule}; EmotionROI's archive has them.")
        return stimuli.maps(records, files, settings.evaluation())

    def sheet(self, split: str, *, images: int, views: int, settings: Settings) -> pictures.Sheet:
        """Images of a split that take turns among the classes, for a contact sheet.

        Args:
            split: as in `load`.
            images: how many at most.
            views: epochs of training to show.
            settings: as in `load`; what they say of `cache` does not matter.
        """
        streamed = dataclasses.replace(settings, cache="none").sized(self.image_size)
        records = self.records(split, streamed)
        return pictures.sheet(records, images, views=views, settings=streamed)

    def windows(self, split: str, files: Iterable[str], settings: Settings) -> np.ndarray:
        """The centres of photographs, before preprocessing: uint8 [n, s, s, 3].

        Args:
            split: as in `load`.
            files: file names of the photographs, as `files` gives them.
            settings: as in `load`; what they say of `crop` and `cache` does not matter.

        Raises:
            InputError: the split does not hold one of them.
        """
        centred = self._settle(settings, {"crop": "center", "cache": "none"})
        records = self.records(split, centred)
        positions = {file: position for position, file in enumerate(self.files(split, centred))}
        wanted = list(files)
        missing = [file for file in wanted if file not in positions]
        if missing:
            rule = f"split {split!r} of {self.name} does not hold {missing[0]}"
            raise InputError(f"{rule}; it is not the dataset that was evaluated.")
        numbers = np.array([positions[file] for file in wanted], np.int64)
        return pictures.windows(records, numbers, centred.evaluation())

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
        stream = (
            settings
            if isinstance(settings, StreamSettings)
            else self._settle(settings, {}).evaluation()
        )
        stored.check_geometry(self._requested, self._metadata, stream)
        if split in self._stored_splits:
            before = itertools.takewhile(lambda name: name != split, self._stored_splits)
            first = sum(self._stored_splits[name].num_examples for name in before)
            return self._index.take(
                slice(first, first + self._stored_splits[split].num_examples)
            ).compact()
        if self._has_votes and split in votes.SPLITS:
            return self._select(split, settings)
        if split != "all":
            known = votes.SPLITS if self._has_votes else (*self._stored_splits, "all")
            raise InputError(
                f"{self._requested} has no split {split!r}; it has {', '.join(known)}."
            )
        return self._index

    def naming_damage(self) -> contextlib.AbstractContextManager[None]:
        """Around the reading of streams: an error about damaged bytes becomes an InputError.

        Its message names shard, record and file.
        """
        return damage.named(self.shards)

    @property
    def shards(self) -> list[str]:
        """Paths of the files that hold the records, split after split."""
        return [str(path) for split in self._stored_splits.values() for path in split.filepaths]

    def _select(self, split: str, settings: Settings | StreamSettings) -> Records:
        return votes.select(self._index, split, settings, dataset=self._requested)

    def _settle(self, settings: Settings | None, options: dict[str, Any]) -> Settings:
        """The settings with fields replaced, and the size that is stored where they name none."""
        return dataclasses.replace(settings or Settings(), **options).sized(self.image_size)

    @functools.cached_property
    def _index(self) -> Records:
        """The records of all splits, one behind the other."""
        records = read_index(self.shards, storage=self.storage)
        expected = sum(split.num_examples for split in self._stored_splits.values())
        if len(records) != expected:
            rule = f"{self.folder} should hold {expected} images"
            raise InputError(f"{rule} but its shards hold {len(records)}; rebuild it.")
        return records


# By name, data_dir and folder: when the dataset's files were written, and the dataset.
_opened: dict[tuple[str, str, str], tuple[tuple[int, ...], Dataset]] = {}
