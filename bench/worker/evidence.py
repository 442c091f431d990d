"""What a loader's batches are: evidence that `bench.harness.check` judges."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from ..contestants.task import Batch

KEPT_BATCHES = 2  # batches left as evidence


def gather_evidence(first: Batch, batches: Iterator[Batch], steps: int) -> dict[str, np.ndarray]:
    """Draws one epoch and a batch of the next.

    That also fills caches, reads every file and compiles what is compiled.

    Args:
        first: the batch already drawn.
        batches: those that follow.
        steps: batches in an epoch.

    Returns:
        `images`, `labels`: of the first batches, one behind the other. `labels_seen`: of the whole
        epoch. `sizes`: int64 [steps], images in each batch. `distinct`: different images in the
        epoch. `repeated`: share of the next epoch's first batch that the epoch already held, pixel
        for pixel.
    """
    images: list[np.ndarray] = []
    labels: list[np.ndarray] = []
    digests: list[list[bytes]] = []
    batch = first
    for step in range(steps):
        pixels = np.asarray(batch[0])
        if step < KEPT_BATCHES:
            images.append(np.array(pixels))
        labels.append(np.array(batch[1]))
        digests.append(_digests(pixels))
        batch = next(batches)
    seen = [digest for batch_digests in digests for digest in batch_digests]
    return {
        "images": np.concatenate(images),
        "labels": np.concatenate(labels[:KEPT_BATCHES]),
        "labels_seen": np.concatenate(labels),
        "sizes": np.array([len(batch_digests) for batch_digests in digests]),
        "distinct": np.array(len(set(seen))),
        "repeated": np.array(
            np.mean([digest in set(seen) for digest in _digests(np.asarray(batch[0]))])
        ),
    }


def _digests(images: np.ndarray) -> list[bytes]:
    buffers = (np.ascontiguousarray(image).data for image in images)
    return [hashlib.blake2b(buffer, digest_size=8).digest() for buffer in buffers]
