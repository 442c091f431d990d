"""The pipeline of this software, as its users call it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .task import Batch, Task


def sentiflow(task: Task) -> Iterator[Batch]:
    """`pipeline.load`, as a training run calls it, for a consumer in Python.

    Tier `device` hands out no pixels: it only feeds real steps.
    """
    return _batches(task)


def sentiflow_windows(task: Task) -> Iterator[Any]:
    """The same where an accelerator has the view, as in a training run on one.

    The images are windows and what their views are, which become images where somebody asks.
    """
    preprocess = _options(task)["preprocess"]
    for windows, labels in _batches(task, viewed=False):
        yield Unviewed(windows, size=task.image_size, preprocess=preprocess), labels


class Unviewed:
    """What an accelerator is told of a batch. As an array it is the images that it would see."""

    def __init__(self, windows: Any, *, size: int, preprocess: str) -> None:
        self._windows = windows
        self._size = size
        self._preprocess = preprocess

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Images as of the other contestants."""
        from sentiflow import pipeline

        seen = pipeline.see_windows(
            self._windows, image_size=self._size, preprocess=self._preprocess
        )
        return np.asarray(seen)


def _batches(task: Task, *, viewed: bool = True) -> Iterator[Any]:
    from sentiflow import pipeline

    dataset = pipeline.load(
        f"{task.dataset}/{task.storage}",
        split=task.split,
        data_dir=task.data_dir,
        training=True,
        epochs=1_000_000,
        viewed=viewed,
        cache=task.tier,
        batch_size=task.batch_size,
        image_size=task.image_size,
        crop_fraction=task.crop_fraction,
        seed=task.seed,
        **_options(task),
        **task.choice,
    )
    return pipeline.ahead(dataset.as_numpy_iterator())


def _options(task: Task) -> dict[str, Any]:
    """What a work asks of the view."""
    if task.work == "crop":
        return {"rotation": 0.0, "preprocess": "none"}
    return {"rotation": task.rotation, "preprocess": "caffe"}
