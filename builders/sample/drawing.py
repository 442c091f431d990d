"""Draws photographs into files, on all cores."""

from __future__ import annotations

import io
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageFilter

from sentiflow.files import write_atomically

from .archives import DATASETS, Photo
from .moods import MOODS
from .scene import develop, paint

QUALITIES = (85, 94, 95, 96, 97)  # JPEG


def size_of(rng: np.random.Generator, photo: Photo) -> tuple[int, int]:
    """Height and width in pixels, distributed like the real dataset's."""
    if photo.dataset == "emotionroi":
        long = int(rng.choice([500, 640, 1024], p=[0.87, 0.09, 0.04]))
        short = round(
            long * float(rng.choice([2 / 3, 3 / 4, 9 / 16, 1], p=[0.6, 0.28, 0.06, 0.06]))
        )
        return (long, short) if rng.random() < 0.25 else (short, long)
    ratio = float(np.clip(np.exp(rng.normal(np.log(0.83), 0.33)), 0.55, 2.0))  # height / width
    width = int(rng.choice([599, 600, int(rng.integers(400, 599))], p=[0.5, 0.25, 0.25]))
    if photo.small:
        width = int(rng.integers(100, 292) / min(1.0, ratio))
        return max(100, int(width * ratio)), width
    return max(292, round(width * ratio)), width


def jpeg(picture: Image.Image, **options: Any) -> bytes:
    """The picture as a JPEG file."""
    file = io.BytesIO()
    picture.save(file, "JPEG", **options)
    return file.getvalue()


def draw(seed: int, photo: Photo) -> tuple[bytes, bytes]:
    """The photograph and its stimuli map, as JPEG files."""
    rng = np.random.default_rng([seed, DATASETS.index(photo.dataset), photo.number])
    scene = paint(rng, *size_of(rng, photo), MOODS[photo.mood], photo.purity)
    picture = Image.fromarray(develop(scene)).convert("L" if photo.grey else "RGB")
    options: dict[str, Any] = {
        "quality": int(rng.choice(QUALITIES)),
        "progressive": photo.progressive,
    }
    if not photo.grey:
        options["subsampling"] = "4:2:0" if rng.random() < 0.4 else "4:4:4"
    stimuli = Image.fromarray((255 * scene.stimuli).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(scene.side / 25)
    )
    return jpeg(picture, **options), jpeg(stimuli, quality=85)


def save(path: Path, content: bytes) -> None:
    """Writes the whole file or, when killed, none of it."""
    write_atomically(path, lambda target: target.write_bytes(content))


def draw_files(folder: Path, seed: int, photo: Photo) -> None:
    """Draws the photograph, and its stimuli map if it has one, unless they are there."""
    wanted = [folder / path for path in (photo.path, photo.stimuli_path) if path]
    if not all(path.exists() for path in wanted):
        for path, content in zip(wanted, draw(seed, photo), strict=False):
            save(path, content)


def end_with_parent() -> None:
    """Leaves Ctrl-C to the parent, and ends this worker when the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()

    def follow() -> None:
        if parent:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def draw_all(folder: Path, seed: int, photos: Sequence[Photo], workers: int) -> Iterator[None]:
    """Draws the photographs, yielding after each."""
    task = partial(draw_files, folder, seed)
    if workers == 1:
        yield from map(task, photos)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=end_with_parent) as pool:
        yield from pool.map(task, photos, chunksize=4)
