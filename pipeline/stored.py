"""What the builder and TFDS wrote beside the shards of a dataset, and what it can serve."""

from __future__ import annotations

import dataclasses
import json
import os
from typing import Any

import tensorflow_datasets as tfds
from tensorflow_datasets.core import dataset_info
from tensorflow_datasets.core.features.feature import make_config_path
from tensorflow_datasets.core.utils.version import list_all_versions

from .settings import CROP_FRACTION, InputError, StreamSettings

METADATA = "metadata.json"  # by the builder
INFO = "dataset_info.json"  # by TFDS


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


def find(dataset: str, data_dir: str) -> str:
    """The folder of a dataset: that of the highest version which the name allows.

    Raises:
        InputError: it is not there.
    """
    name, config, version = _parts(dataset)
    parent = os.path.join(data_dir, name, config)
    for candidate in reversed(list_all_versions(parent)):
        folder = os.path.join(parent, str(candidate))
        if candidate.match(version or "*.*.*") and make_config_path(folder).exists():
            return folder
    rule = f"{dataset} is not in {os.path.abspath(data_dir)}"
    raise InputError(f"{rule}; prepare it with: {_remedy(dataset, data_dir)}")


def read_info(dataset: str, data_dir: str, folder: str) -> tfds.core.DatasetInfo:
    """What TFDS wrote beside the shards in a folder.

    Not by way of a builder: TFDS keeps every one until the process ends.

    Raises:
        InputError: it is damaged.
    """
    try:
        proto = dataset_info.read_from_json(os.path.join(folder, INFO))
        identity = dataset_info.DatasetIdentity.from_proto(proto, folder)
        info = tfds.core.DatasetInfo(builder=identity)
        info.read_from_directory(folder)
    except Exception as error:  # of many types
        reason = " ".join(str(error).split())[:200]
        rule = f"{os.path.abspath(folder)} is damaged, so {dataset} cannot be read ({reason})"
        raise InputError(f"{rule}; rebuild it: {_remedy(dataset, data_dir)}") from error
    return info


def stamps(folder: str) -> tuple[int, ...]:
    """When the dataset in a folder was written, in nanoseconds."""
    paths = (os.path.join(folder, name) for name in (INFO, METADATA))
    return tuple(os.stat(path).st_mtime_ns for path in paths if os.path.exists(path))


def read_metadata(dataset: str, data_dir: str, folder: str) -> dict[str, Any]:
    """What the builder tells of the dataset in a folder.

    Raises:
        InputError: it tells nothing, or was none of ours.
    """
    path = os.path.join(folder, METADATA)
    try:
        with open(path, encoding="utf-8") as file:
            metadata: Any = json.load(file)
    except (OSError, ValueError):
        metadata = None
    if isinstance(metadata, dict) and "storage" not in metadata:
        rule = f"{dataset} was not prepared by a Sentiflow builder"
        raise InputError(f"{rule} ({path} names no storage).")
    if not isinstance(metadata, dict) or not _is_sound(metadata):
        rule = f"{path} is missing or damaged, so {dataset} cannot be read"
        raise InputError(f"{rule}; rebuild it: {_remedy(dataset, data_dir)}")
    return metadata


def _is_sound(metadata: dict[str, Any]) -> bool:
    """Whether a builder could have written what is said of the stored pixels."""
    if metadata["storage"] == "original":
        return True
    size, fraction = metadata.get("image_size"), metadata.get("crop_fraction") or CROP_FRACTION
    return (
        metadata["storage"] in ("raw", "jpeg")
        and type(size) is int
        and size > 0
        and isinstance(fraction, int | float)
        and 0 < fraction <= 1
    )


def check_geometry(dataset: str, metadata: dict[str, Any], settings: StreamSettings) -> None:
    """Raises InputError if the stored pixels were resized for another window."""
    if metadata["storage"] == "original":
        return
    size = int(metadata["image_size"])
    fraction = float(metadata.get("crop_fraction") or CROP_FRACTION)
    interpolation = metadata.get("interpolation") or "lanczos"
    same_size = abs(settings.cover - size / fraction) < 1e-6
    if same_size and settings.interpolation == interpolation:
        return
    name = dataset.partition("/")[0]
    config = json.dumps({"storage": metadata["storage"], "image_size": settings.image_size})
    raise InputError(
        f"{dataset} holds pixels for image_size={size}, crop_fraction={fraction}, {interpolation}; "
        f"it cannot serve image_size={settings.image_size}, crop_fraction={settings.crop_fraction},"
        f" {settings.interpolation}. Load {name}/original instead, or, for another size alone, "
        f"run: tfds build builders/{name} --config '{config}'"
    )


def _parts(dataset: str) -> tuple[str, str, str]:
    """Name, config and version; the last is empty where none is asked for."""
    name, _, versioned = dataset.partition("/")
    config, _, version = versioned.partition(":")
    if not config:
        rule = f"dataset must be NAME/CONFIG, such as {name}/raw256"
        raise InputError(f"{rule}. Received: {dataset!r}")
    return name, config, version


def _remedy(dataset: str, data_dir: str) -> str:
    name, _, config = dataset.partition("/")
    options = f"--config {config} --manual_dir DOWNLOADS --data_dir {data_dir}"
    return f"tfds build builders/{name} {options}"
