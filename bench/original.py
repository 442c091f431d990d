"""The generator of the reference system: `keras_preprocessing` 1.1.2 with a loader that resizes with the aspect kept.

The package is used as it is; only its `load_img` is replaced, as the reference system replaced it.
"""

from __future__ import annotations

import functools
import random
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from bench.contestants import Batch, Task

if TYPE_CHECKING:
    from keras_preprocessing.image import DirectoryIterator

MAX_QUEUE_SIZE = 10  # batches ahead: the default of `fit_generator` in Keras 2.2.4


def cover(image: Image.Image, size: int, crop_fraction: float) -> Image.Image:
    """Resizes so that the image just covers a square of side `size / crop_fraction` pixels, with the aspect kept.

    An image that already is a square of side `size` stays as it is.
    """
    if image.size == (size, size):
        return image
    before = size / crop_fraction
    ratio = max(before / image.width, before / image.height)
    return image.resize((int(image.width * ratio), int(image.height * ratio)), Image.Resampling.LANCZOS)


def crop(image: Image.Image, size: int, place: str) -> Image.Image:
    """Cuts a square of side `size` pixels out of the image, at "center" or at "random"."""
    if place == "random":
        left, top = random.randint(0, image.width - size), random.randint(0, image.height - size)
    else:
        left, top = (round(side / 2) - round(size / 2) for side in image.size)
    return image.crop((left, top, left + size, top + size))


def load_image(
    path: str, color_mode: str, target_size: tuple[int, int], interpolation: str, *, crop_fraction: float
) -> Image.Image:
    """Stands in for `keras_preprocessing.image.load_img`; `interpolation` is "lanczos:random" or "lanczos:center"."""
    with Image.open(path) as file:
        image = cover(file.convert("RGB"), target_size[0], crop_fraction)
    return crop(image, target_size[0], interpolation.partition(":")[2])


@functools.lru_cache(maxsize=1)
def directory_iterator(task: Task) -> DirectoryIterator:
    """The generator over the class folders of `task.photos`, one for each process."""
    from keras.applications.resnet import preprocess_input
    from keras_preprocessing.image import ImageDataGenerator, iterator

    iterator.load_img = functools.partial(load_image, crop_fraction=task.crop_fraction)
    augmentations: dict[str, Any] = {"horizontal_flip": True}
    if task.work == "augmented":
        augmentations |= {"rotation_range": task.rotation, "preprocessing_function": preprocess_input}
    return ImageDataGenerator(**augmentations).flow_from_directory(
        task.photos,
        target_size=(task.image_size, task.image_size),
        batch_size=task.batch_size,
        class_mode="sparse",
        interpolation="lanczos:random",
    )


def batches(task: Task, executor: Executor) -> Iterator[Batch]:
    """Endless batches in order, at most `MAX_QUEUE_SIZE` of them made ahead by the executor's workers."""
    positions = _positions(directory_iterator(task).samples, task.batch_size, np.random.default_rng(task.seed))
    queue = deque(executor.submit(_batch, task, next(positions)) for _ in range(MAX_QUEUE_SIZE))
    try:
        while True:
            images, labels = queue.popleft().result()
            queue.append(executor.submit(_batch, task, next(positions)))
            yield images, labels
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _positions(images: int, batch_size: int, generator: np.random.Generator) -> Iterator[np.ndarray]:
    # Steps per epoch are floor(n / batch), as in the reference system, but the queue is not drained between epochs.
    while True:
        order = generator.permutation(images)
        yield from (order[i : i + batch_size] for i in range(0, images - batch_size + 1, batch_size))


def _batch(task: Task, positions: np.ndarray) -> Batch:
    images, labels = directory_iterator(task)._get_batches_of_transformed_samples(positions)
    # The generator always makes float32; flipped crops are whole numbers.
    return images.astype(np.uint8) if task.work == "crop" else images, labels.astype(np.int32)
