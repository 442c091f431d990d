"""Emotion stimuli maps: where people said that a photograph's emotion comes from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from PIL import Image

from sentiflow import photo

from .pixels import NUMPY, corner, cover_shape
from .records import Records
from .settings import StreamSettings


def maps(
    records: Records, files: Iterable[str], settings: StreamSettings
) -> Iterator[np.ndarray | None]:
    """The stimuli maps of photographs; see `Dataset.stimuli_maps`.

    Args:
        records: of storage `original`, with stimuli maps.
        files: file names of the photographs.
        settings: of the stream whose crops the maps are to follow.
    """
    numbers = {file: number for number, file in enumerate(records.filename)}
    return (_map(records, numbers.get(file), settings) for file in files)


def _map(records: Records, number: int | None, settings: StreamSettings) -> np.ndarray | None:
    if number is None or not records.extra["stimuli_map"][number, 1]:
        return None
    with photo.opened_bytes(records.value(number)) as photograph:
        shape = cover_shape(np.array([photograph.height, photograph.width]), settings)
    top, left = map(int, corner(shape, np.zeros(2), settings, NUMPY))
    height, width = map(int, shape)
    data = records.read(number, *records.extra["stimuli_map"][number])
    with photo.opened_bytes(data) as file:
        stimuli = file.convert("L").resize((width, height), Image.Resampling.BILINEAR)
    box = (left, top, left + settings.image_size, top + settings.image_size)
    return np.asarray(stimuli.crop(box), np.float32) / 255
