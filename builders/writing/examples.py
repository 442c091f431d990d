"""How one image becomes a record."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import tensorflow_datasets.public_api as tfds
from tensorflow_datasets.core import example_serializer

from sentiflow.photo import BadImage

from ..reading.entries import Entry
from ..reading.sources import Bad
from . import storage
from .config import StorageConfig


class Recipe(NamedTuple):
    """All that a process has to know of a dataset in order to write a part of it.

    Attributes:
        features: of the dataset.
        config: what is stored of an image; a plain one, which any process can load.
        file_format: of the shards.
        version: of the dataset.
    """

    features: tfds.features.FeaturesDict
    config: StorageConfig
    file_format: tfds.core.FileFormat
    version: str


class Checked(NamedTuple):
    """What became of one entry; without an image there is no record."""

    entry: Entry
    image: storage.Stored | None  # without its value
    record: bytes | None
    bad: list[Bad]


class Recorder:
    """Makes records by a recipe; several threads may use one."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        specs = recipe.features.get_serialized_info()
        self._serializer = example_serializer.ExampleSerializer(specs)

    def check(self, entry: Entry) -> Checked:
        """Makes the record of one entry."""
        try:
            image = storage.store(entry.path, self._recipe.config)
        except BadImage as reason:
            return Checked(entry, None, None, [Bad(entry.filename, str(reason), near=entry.near)])
        maps, bad = _stored_maps(entry)
        example = {
            "image": image.value,
            "label": entry.label,
            "filename": entry.filename,
            **entry.features,
            **maps,
        }
        encoded = self._recipe.features.encode_example(example)
        # Protocol buffers order the features by chance else, so that no two builds are the same.
        record = self._serializer.get_tf_example(encoded).SerializeToString(deterministic=True)
        return Checked(entry, image._replace(value=b""), record, bad)


def _stored_maps(entry: Entry) -> tuple[dict[str, list[bytes | np.ndarray]], list[Bad]]:
    """The entry's maps as they are stored, by feature, and those that cannot be."""
    maps: dict[str, list[bytes | np.ndarray]] = {feature: [] for feature in entry.maps}
    bad: list[Bad] = []
    for feature, paths in entry.maps.items():
        for path in paths:
            try:
                maps[feature].append(storage.store(path, StorageConfig()).value)
            except BadImage as reason:
                bad.append(Bad(entry.filename, f"its map {path.parent.name}/{path.name}: {reason}"))
    return maps, bad
