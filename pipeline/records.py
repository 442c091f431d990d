"""Where every image of a prepared dataset lies: an index over the shards that TFDS wrote, and reads by position.

A shard stores its records one behind the other, uncompressed, so a record can be read at random from its offset
alone. The index costs a few reads per record, none of pixels. It is what makes exact permutations, exact resumption,
subsets and host shards cheap: all of them are arithmetic on positions.

Formats: https://www.tensorflow.org/tutorials/load_data/tfrecord (record framing and `tf.train.Example`) and
https://protobuf.dev/programming-guides/encoding (wire format).
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
import tensorflow_datasets as tfds

from pipeline.settings import CROP_FRACTION, InputError, Settings, StreamSettings

_HEADER, _FOOTER = 12, 4  # bytes around a record: length and its checksum; checksum of the data
_CHUNK = 4096  # bytes fetched at once while indexing


@dataclasses.dataclass(frozen=True)
class Records:
    """The records of one split, in stored order; `take` selects and reorders.

    Attributes:
        paths: shard files.
        number: int64 [n], each record's number among those of the whole dataset.
        shard: int32 [n], the shard each record lies in.
        offset: int64 [n], first byte of the image's value in its shard.
        length: int64 [n], bytes of that value.
        shape: int32 [n, 2], stored height and width in pixels; zeros unless the storage is `raw`.
        label: int32 [n].
        filename: str [n].
        extra: further integer features by name, each int64 [n, ...]; of `stimuli_map`, first byte and length of the
            value in its shard, both 0 where there is none.
        storage: "original", "raw" or "jpeg".
    """

    paths: tuple[str, ...]
    number: np.ndarray
    shard: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    shape: np.ndarray
    label: np.ndarray
    filename: np.ndarray
    extra: dict[str, np.ndarray]
    storage: str

    def __len__(self) -> int:
        return len(self.label)

    def take(self, chosen: np.ndarray) -> Records:
        """The records that a boolean mask or an array of positions names."""
        names = ("number", "shard", "offset", "length", "shape", "label", "filename")
        arrays = {name: getattr(self, name)[chosen] for name in names}
        return dataclasses.replace(self, **arrays, extra={name: value[chosen] for name, value in self.extra.items()})


@dataclasses.dataclass(frozen=True)
class Description:
    """What a prepared dataset holds.

    Attributes:
        name: such as "emotionroi/raw256".
        class_names: by label.
        splits: images by split name, as `pipeline.load` understands it.
        storage: "original", "raw" or "jpeg".
        image_size: side in pixels that the stored pixels were resized for; None when they are the source files.
    """

    name: str
    class_names: list[str]
    splits: dict[str, int]
    storage: str
    image_size: int | None


def describe(dataset: str, *, data_dir: str = "data", **settings: Any) -> Description:
    """Class names, split sizes and storage of a prepared dataset.

    Args:
        dataset: "name/config", optionally "name/config:version".
        data_dir: the folder given to `tfds build --data_dir`.
        **settings: fields of `Settings` that choose images (agreement, fold).

    Raises:
        InputError: the dataset is not there.
    """
    builder, metadata = _builder(dataset, data_dir)
    chosen = Settings(**settings)
    splits = {name: split.num_examples for name, split in builder.info.splits.items()}
    if _is_composed(builder):
        records = _index(builder, tuple(splits), metadata["storage"])
        splits = {name: len(_compose(dataset, records, name, chosen)) for name in ("train", "validation", "all")}
    return Description(
        name=dataset.partition(":")[0],
        class_names=list(builder.info.features["label"].names),
        splits=splits,
        storage=metadata["storage"],
        image_size=metadata.get("image_size"),
    )


def folder(dataset: str, *, data_dir: str = "data") -> str:
    """Where a prepared dataset lies: shards, metadata.json, and quarantine.tsv if files were left out.

    Raises:
        InputError: the dataset is not there.
    """
    return str(_builder(dataset, data_dir)[0].data_dir)


def open_records(dataset: str, *, split: str, data_dir: str, settings: Settings | StreamSettings) -> Records:
    """Indexes one split of a prepared dataset.

    Args:
        dataset: "name/config".
        split: `train`, `validation`, `test`, `all`, or any split name of the TFDS dataset.
        data_dir: the folder given to `tfds build --data_dir`.
        settings: `agreement` and `fold` choose images of Twitter I; the geometry must be one that the storage can
            serve.

    Raises:
        InputError: no such dataset or split, a geometry that the storage cannot serve, or a damaged shard.
    """
    builder, metadata = _builder(dataset, data_dir)
    _check_geometry(dataset, metadata, settings)
    stored = list(builder.info.splits)
    if split in stored:
        return _index(builder, (split,), metadata["storage"])
    if split != "all" and not (_is_composed(builder) and split in ("train", "validation")):
        known = ["train", "validation", "all"] if _is_composed(builder) else [*stored, "all"]
        raise InputError(f"{dataset} has no split {split!r}; it has {', '.join(known)}.")
    records = _index(builder, tuple(stored), metadata["storage"])
    if not _is_composed(builder):
        return records
    return _compose(dataset, records, split, settings)


def _compose(dataset: str, records: Records, split: str, settings: Settings | StreamSettings) -> Records:
    """Twitter I: `train`, `validation` or `all` images of the chosen agreement level."""
    level = {5: 0, 4: 1, 3: 2}[settings.agreement]
    agreement = records.extra["agreement"][:, 0]
    if settings.agreement < agreement.min():
        raise InputError(f"{dataset} was built without the list of agreement {settings.agreement}; rebuild it with it.")
    records = records.take(agreement >= settings.agreement)
    held_out = records.extra["validation"][:, level] == 1
    if settings.fold is not None:
        held_out = records.extra["fold"][:, 0] == settings.fold
    return records if split == "all" else records.take(held_out if split == "validation" else ~held_out)


def _is_composed(builder: tfds.core.DatasetBuilder) -> bool:
    """Whether training and validation images are told apart by features (Twitter I) rather than by TFDS splits."""
    return "agreement" in builder.info.features


def _builder(dataset: str, data_dir: str) -> tuple[tfds.core.DatasetBuilder, dict[str, Any]]:
    name, _, config = dataset.partition("/")
    remedy = f"tfds build builders/{name} --config {config or 'raw256'} --manual_dir DOWNLOADS --data_dir {data_dir}"
    if not config:
        raise InputError(f"dataset must be NAME/CONFIG, such as {name}/raw256. Received: {dataset!r}")
    try:
        builder = tfds.core.read_only_builder.builder_from_files(
            name, config=config.partition(":")[0], data_dir=data_dir
        )
    except (tfds.core.DatasetNotFoundError, FileNotFoundError):
        raise InputError(f"{dataset} is not in {os.path.abspath(data_dir)}; prepare it with: {remedy}") from None
    path = os.path.join(builder.data_dir, "metadata.json")
    try:
        with open(path, encoding="utf-8") as file:
            metadata = json.load(file)
    except (OSError, ValueError):
        raise InputError(f"{path} is missing or damaged, so {dataset} cannot be read; rebuild it: {remedy}") from None
    if "storage" not in metadata:
        raise InputError(f"{dataset} was not prepared by a Sentiflow builder ({path} names no storage).")
    return builder, metadata


def _check_geometry(dataset: str, metadata: dict[str, Any], settings: Settings | StreamSettings) -> None:
    if metadata["storage"] == "original":
        return
    name = dataset.partition("/")[0]
    stored_size = int(metadata["image_size"])
    stored_fraction = float(metadata.get("crop_fraction") or CROP_FRACTION)
    stored_filter = metadata.get("interpolation") or "lanczos"
    same_size = abs(settings.cover - stored_size / stored_fraction) < 1e-6
    if same_size and settings.interpolation == stored_filter:
        return
    config = json.dumps({"storage": metadata["storage"], "image_size": settings.image_size})
    raise InputError(
        f"{dataset} holds pixels for image_size={stored_size}, crop_fraction={stored_fraction}, {stored_filter}; "
        f"it cannot serve image_size={settings.image_size}, crop_fraction={settings.crop_fraction}, "
        f"{settings.interpolation}. "
        f"Load {name}/original instead, or, for another size alone, run: tfds build builders/{name} --config '{config}'"
    )


def _index(builder: tfds.core.DatasetBuilder, splits: tuple[str, ...], storage: str) -> Records:
    paths = [str(path) for split in splits for path in builder.info.splits[split].filepaths]
    expected = sum(builder.info.splits[split].num_examples for split in splits)
    rows: list[dict[str, Any]] = []
    shard: list[int] = []
    for number, path in enumerate(paths):
        for row in _rows(path):
            rows.append(row)
            shard.append(number)
    if len(rows) != expected:
        raise InputError(
            f"{builder.data_dir} should hold {expected} images but its shards hold {len(rows)}; rebuild it."
        )
    before = itertools.takewhile(lambda item: item[0] != splits[0], builder.info.splits.items())
    first = sum(split.num_examples for _, split in before)
    value = "image/value" if rows and "image/value" in rows[0] else "image"
    places = np.array([row[value] for row in rows], np.int64).reshape(-1, 2)
    shape = [row["image/shape"][:2] if "image/shape" in row else (0, 0) for row in rows]
    extra = [name for name in ("agreement", "validation", "fold") if rows and name in rows[0]]
    integers: dict[str, np.ndarray] = {name: np.array([row[name] for row in rows], np.int64) for name in extra}
    if rows and "stimuli_map" in rows[0]:
        integers["stimuli_map"] = np.array([row["stimuli_map"] or (0, 0) for row in rows], np.int64).reshape(-1, 2)
    return Records(
        paths=tuple(paths),
        number=first + np.arange(len(rows)),
        shard=np.array(shard, np.int32),
        offset=places[:, 0],
        length=places[:, 1],
        shape=np.array(shape, np.int32).reshape(-1, 2),
        label=np.array([row["label"][0] for row in rows], np.int32),
        filename=np.array([row["filename"] for row in rows], object),
        extra=integers,
        storage=storage,
    )


def _rows(path: str) -> Iterator[dict[str, Any]]:
    """Features of every record of a shard: integers as lists, `filename` as text, other bytes as (offset, length)."""
    with open(path, "rb", buffering=_CHUNK) as file:
        end = os.fstat(file.fileno()).st_size
        start = 0
        while start < end:
            file.seek(start)
            length = int.from_bytes(file.read(8), "little")
            following = start + _HEADER + length + _FOOTER
            if following > end:
                raise InputError(f"{path} is cut short or damaged at byte {start}; rebuild the dataset.")
            yield _features(file, start + _HEADER, start + _HEADER + length)
            start = following


def _features(file: BinaryIO, start: int, end: int) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for _, features, features_end in _fields(file, start, end):  # Example.features
        for _, entry, entry_end in _fields(file, features, features_end):  # Features.feature, a map
            (_, key, key_end), (_, feature, feature_end) = _fields(file, entry, entry_end)
            name = _bytes(file, key, key_end).decode()
            for kind, values, values_end in _fields(file, feature, feature_end):  # Feature.kind
                row[name] = _values(file, name, kind, values, values_end)
    return row


def _values(file: BinaryIO, name: str, kind: int, start: int, end: int) -> Any:
    if kind == 3:  # Int64List, packed
        packed = b"".join(_bytes(file, *place) for _, *place in _fields(file, start, end))
        return _varints(packed)
    places = [(first, last - first) for _, first, last in _fields(file, start, end)] if kind == 1 else []
    if name == "filename" and places:
        return _bytes(file, places[0][0], sum(places[0])).decode()
    return places[0] if len(places) == 1 else places


def _fields(file: BinaryIO, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """(number, first byte, end) of each length-delimited field of the message in bytes [start, end)."""
    while start < end:
        file.seek(start)
        head = file.read(min(11, end - start))
        number, size, used = head[0] >> 3, 0, 1
        while True:
            size |= (head[used] & 0x7F) << 7 * (used - 1)
            used += 1
            if head[used - 1] < 0x80:
                break
        yield number, start + used, start + used + size
        start += used + size


def _bytes(file: BinaryIO, start: int, end: int) -> bytes:
    file.seek(start)
    return file.read(end - start)


def _varints(packed: bytes) -> list[int]:
    values, value, shift = [], 0, 0
    for byte in packed:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            values.append(value - (1 << 64) if value >> 63 else value)
            value, shift = 0, 0
    return values
