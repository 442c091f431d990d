"""The generator of the reference system: `keras_preprocessing` 1.1.2, aspect kept.

The package is used as it is; only its `load_img` is replaced, as the reference system replaced it.
"""

from __future__ import annotations

import functools
import random
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import numpy as np

from .task import INTERPOLATION, Batch, Task

if TYPE_CHECKING:
    from keras_preprocessing.image import DirectoryIterator
    from PIL.Image import Image

MAX_QUEUE_SIZE = 10  # batches ahead: the default of `fit_generator` in Keras 2.2.4


def one_worker(task: Task) -> Iterator[Batch]:
    """The replaced generator as `fit` ran it: one worker thread, ten batches ahead."""
    return batches(task, ThreadPoolExecutor(1))


def threads(task: Task) -> Iterator[Batch]:
    """The replaced generator with `workers` = cores."""
    return batches(task, ThreadPoolExecutor(task.cores))


def processes(task: Task) -> Iterator[Batch]:
    """The replaced generator with `workers` = cores and `use_multiprocessing=True`."""
    import multiprocessing

    forkserver = multiprocessing.get_context("forkserver")
    return batches(task, ProcessPoolExecutor(task.cores, forkserver))


def cover(image: Image, size: int, crop_fraction: float) -> Image:
    """Resizes so that the image just covers a square of side `size / crop_fraction` pixels.

    The aspect is kept. An image that already is a square of side `size` stays as it is.
    """
    from PIL.Image import Resampling

    if image.size == (size, size):
        return image
    side = size / crop_fraction
    ratio = max(side / image.width, side / image.height)
    covering = (int(image.width * ratio), int(image.height * ratio))
    return image.resize(covering, Resampling[INTERPOLATION.upper()])


def crop(image: Image, size: int, position: str) -> Image:
    """Cuts a square of side `size` pixels out of the image, at "center" or at "random"."""
    if position == "random":
        left = random.randint(0, image.width - size)
        top = random.randint(0, image.height - size)
    else:
        left, top = (round(side / 2) - round(size / 2) for side in image.size)
    return image.crop((left, top, left + size, top + size))


def load_image(
    path: str,
    color_mode: str,
    target_size: tuple[int, int],
    interpolation: str,
    *,
    crop_fraction: float,
) -> Image:
    """Stands in for `keras_preprocessing.image.load_img`.

    `interpolation` is "lanczos:random" or "lanczos:center".
    """
    import PIL.Image

    with PIL.Image.open(path) as file:
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
        augmentations["rotation_range"] = task.rotation
        augmentations["preprocessing_function"] = preprocess_input
    return ImageDataGenerator(**augmentations).flow_from_directory(
        task.photos,
        target_size=(task.image_size, task.image_size),
        batch_size=task.batch_size,
        class_mode="sparse",
        interpolation=f"{INTERPOLATION}:random",
    )


def batches(task: Task, executor: Executor) -> Iterator[Batch]:
    """Endless batches in order, at most `MAX_QUEUE_SIZE` made ahead by the executor's workers."""
    generator = np.random.default_rng(task.seed)
    positions = _positions(directory_iterator(task).samples, task.batch_size, generator)
    ahead = (executor.submit(_batch, task, next(positions)) for _ in range(MAX_QUEUE_SIZE))
    queue = deque(ahead)
    try:
        while True:
            images, labels = queue.popleft().result()
            queue.append(executor.submit(_batch, task, next(positions)))
            yield images, labels
    finally:
        executor.shutdown(wait=False, cancel_futures=True)


def _positions(
    images: int, batch_size: int, generator: np.random.Generator
) -> Iterator[np.ndarray]:
    # Steps per epoch are floor(n / batch), as in the reference system, but the queue is not drained
    # between epochs.
    while True:
        order = generator.permutation(images)
        for start in range(0, images - batch_size + 1, batch_size):
            yield order[start : start + batch_size]


def _batch(task: Task, positions: np.ndarray) -> Batch:
    images, labels = directory_iterator(task)._get_batches_of_transformed_samples(positions)
    # The generator always makes float32; flipped crops are whole numbers.
    return images.astype(np.uint8) if task.work == "crop" else images, labels.astype(np.int32)
