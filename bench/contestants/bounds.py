"""What this machine allows: loaders that do a single thing, with all cores.

No contestant can be faster at that thing.

* `decode`: every prepared JPEG of the dataset through libjpeg-turbo, accurate DCT, all cores,
  nothing else done. Three libraries do the same; the fastest is the bound of loaders that decode
  whole images.
* `copy`: windows of uint8 pixels at random positions of the resized images in RAM, copied into
  batches, all cores.
* `memory`: plain copies of blocks too large for the processor's caches, counted in windows.
* `disk`: the shards of storage raw256, none of them in the page cache, read from begin to end,
  counted in windows. On a virtual machine the host's cache may hold them.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from .task import IMAGE_SIZE, Batch, Task

T = TypeVar("T")

# Of the reference system's window, uint8 pixels: the unit in which copies are counted.
WINDOW_BYTES = IMAGE_SIZE * IMAGE_SIZE * 3
BLOCK_BYTES = 2**27
READ_BYTES = 2**23
CHUNK = 8  # images a thread takes at a time


def decode_simplejpeg(task: Task) -> Iterator[Batch]:
    """simplejpeg, which brings its own libjpeg-turbo."""
    import simplejpeg

    return _decode(
        task, lambda file: simplejpeg.decode_jpeg(file, fastdct=False, fastupsample=False)
    )


def decode_pillow(task: Task) -> Iterator[Batch]:
    """Pillow."""
    from PIL import Image

    return _decode(task, lambda file: Image.open(io.BytesIO(file)).convert("RGB"))


def decode_tensorflow(task: Task) -> Iterator[Batch]:
    """`tf.io.decode_jpeg` in `tf.data`; of each image a single value leaves the graph."""
    import tensorflow as tf

    def decode(file: tf.Tensor) -> tf.Tensor:
        return tf.io.decode_jpeg(file, channels=3, dct_method="INTEGER_ACCURATE")[0, 0, 0]

    files = tf.data.Dataset.from_tensor_slices(_read(task)).repeat()
    pixels = (
        files.map(decode, num_parallel_calls=task.cores, deterministic=False)
        .batch(task.batch_size)
        .prefetch(2)
    )
    return ((batch, batch) for batch in pixels.as_numpy_iterator())


def copy_windows(task: Task) -> Iterator[Batch]:
    """NumPy slices of the images of storage raw256.

    There is a thread for each core, and a batch for each thread.
    """
    images, size = _read(task), task.image_size
    buffers = [np.empty((task.batch_size, size, size, 3), np.uint8) for _ in range(task.cores)]

    def fill(thread: int, corners: np.ndarray) -> None:
        for slot, (i, y, x) in enumerate(corners.tolist()):
            buffers[thread][slot] = images[i][y : y + size, x : x + size]

    generator = np.random.default_rng(task.seed)
    limits = np.array(
        [[1, image.shape[0] - size + 1, image.shape[1] - size + 1] for image in images]
    )
    drawn = generator.integers(len(images), size=(64, task.cores, task.batch_size))
    corners = generator.integers(limits[drawn])
    corners[..., 0] = drawn
    with ThreadPoolExecutor(task.cores) as executor:
        for turn in _endless(range(len(corners))):
            list(executor.map(fill, range(task.cores), corners[turn]))
            yield buffers[0], corners[turn, :, :, 0].reshape(-1)


def copy_memory(task: Task) -> Iterator[Batch]:
    """`numpy.copyto` of large blocks, one for each core."""
    blocks = [
        (np.ones(BLOCK_BYTES, np.uint8), np.zeros(BLOCK_BYTES, np.uint8)) for _ in range(task.cores)
    ]
    windows = np.zeros(task.cores * BLOCK_BYTES // WINDOW_BYTES, np.int32)
    with ThreadPoolExecutor(task.cores) as executor:
        while True:
            list(executor.map(lambda block: np.copyto(block[1], block[0]), blocks))
            yield blocks[0][1], windows


def read_disk(task: Task) -> Iterator[Batch]:
    """Sequential reads of the shards, whose pages are dropped before each pass."""
    from sentiflow import pipeline

    from ..harness.grown import evict

    data = pipeline.open(f"{task.dataset}/{task.storage}", data_dir=task.data_dir)
    buffer = bytearray(READ_BYTES)
    remainder = 0  # bytes, fewer than a window has
    while True:
        evict(Path(data.folder))
        for path in data.shards:
            with open(path, "rb", buffering=0) as file:
                while count := file.readinto(buffer):
                    windows, remainder = divmod(remainder + count, WINDOW_BYTES)
                    yield np.frombuffer(buffer, np.uint8), np.zeros(windows, np.int32)


def _read(task: Task) -> list[Any]:
    """Each image of the task's storage: the bytes of a plain file, or uint8 [h, w, 3]."""
    from ..harness.inputs import read_plain

    origin = {"split": task.split, "data_dir": task.data_dir}
    stored = read_plain(task.dataset, task.storage, **origin, **task.choice)
    return [image for image, _ in stored]


def _decode(task: Task, decode: Callable[[bytes], Any]) -> Iterator[Batch]:
    """Decodes the files over and over with a thread for each core.

    Yields as many labels as there were images.
    """
    files = _read(task)
    chunks = [files[i : i + CHUNK] for i in range(0, len(files), CHUNK)]
    ahead: list[Any] = []
    with ThreadPoolExecutor(task.cores) as executor:
        for chunk in _endless(chunks):
            ahead.append(
                (
                    executor.submit(lambda chunk: [decode(file) for file in chunk][-1], chunk),
                    len(chunk),
                )
            )
            if len(ahead) >= 2 * task.cores:
                future, images = ahead.pop(0)
                yield np.asarray(future.result()), np.zeros(images, np.int32)


def _endless(values: Sequence[T]) -> Iterator[T]:
    while True:
        yield from values


def import_tensorflow(task: Task) -> Iterator[Batch]:
    """Nothing but the import, and empty batches: what `bench.start` compares with."""
    while True:
        yield np.empty(0, np.uint8), np.zeros(task.batch_size, np.int32)
