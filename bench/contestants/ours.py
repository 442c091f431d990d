"""The pipeline of this software, as its users call it."""

from __future__ import annotations

from collections.abc import Iterator

from .task import Batch, Task


def sentiflow(task: Task) -> Iterator[Batch]:
    """`pipeline.load`, as a training run calls it, for a consumer in Python.

    Tier `device` hands out no pixels: it only feeds real steps.
    """
    from sentiflow import pipeline

    augmented = task.work == "augmented"
    dataset = pipeline.load(
        f"{task.dataset}/{task.storage}",
        split=task.split,
        data_dir=task.data_dir,
        training=True,
        epochs=1_000_000,
        cache=task.tier,
        batch_size=task.batch_size,
        image_size=task.image_size,
        crop_fraction=task.crop_fraction,
        rotation=task.rotation if augmented else 0.0,
        preprocess="caffe" if augmented else "none",
        seed=task.seed,
        **task.choice,
    )
    return pipeline.ahead(dataset.as_numpy_iterator())
