"""Emotion stimuli maps: where people said that a photograph's emotion comes from, cut as the photograph is."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator

import numpy as np
import tensorflow as tf
from PIL import Image

from pipeline.pixels import corner, cover_shape
from pipeline.records import Records, open_records
from pipeline.settings import InputError, Settings, StreamSettings


def stimuli_maps(
    dataset: str, *, files: Iterable[str], data_dir: str = "data", settings: Settings
) -> Iterator[np.ndarray | None]:
    """The stimuli maps of photographs, scaled and cropped as a stream with `training=False` does with the photographs.

    Args:
        dataset: "name/config"; whatever the storage, the maps come from `original` in the same folder.
        files: file names of the photographs, as `pipeline.filenames` gives them.
        data_dir: the folder given to `tfds build --data_dir`.
        settings: the input settings of the stream.

    Yields:
        One for each file: float32 [s, s] in [0, 1], or None where the photograph has none.

    Raises:
        InputError: `original` was not prepared, or holds no stimuli maps.
    """
    name, _, config = dataset.partition(":")[0].partition("/")
    original = "_".join(["original", *config.split("_")[1:]])  # prepared alike, but for the storage
    stream = settings.evaluation()
    try:
        records = open_records(f"{name}/{original}", split="all", data_dir=data_dir, settings=stream)
    except InputError as error:
        raise InputError(f"Stimuli maps are kept in storage `original` alone. {error}") from None
    if not records.extra.get("stimuli_map", np.zeros(0)).any():
        raise InputError(f"{name}/{original} in {data_dir} holds no stimuli maps; EmotionROI's archive has them.")
    numbers = {file: number for number, file in enumerate(records.filename)}
    return (_map(records, numbers.get(file), stream) for file in files)


def _map(records: Records, number: int | None, settings: StreamSettings) -> np.ndarray | None:
    if number is None or not records.extra["stimuli_map"][number, 1]:
        return None
    photograph = _open(records, number, records.offset[number], records.length[number])
    shape = cover_shape(tf.constant([photograph.height, photograph.width], tf.int64), settings)
    top, left = (int(side) for side in corner(shape, tf.zeros([2], tf.float64), settings))
    height, width = (int(side) for side in shape)
    stimuli = _open(records, number, *records.extra["stimuli_map"][number]).convert("L")
    stimuli = stimuli.resize((width, height), Image.Resampling.BILINEAR)
    box = (left, top, left + settings.image_size, top + settings.image_size)
    return np.asarray(stimuli.crop(box), np.float32) / 255


def _open(records: Records, number: int, offset: int, length: int) -> Image.Image:
    with open(records.paths[records.shard[number]], "rb") as file:
        file.seek(offset)
        return Image.open(io.BytesIO(file.read(length)))
