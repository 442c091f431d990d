"""The files of a dataset, each written from its entries alone.

A shard is a pure function of its task and the recipe, so it does not matter which process of which
machine writes it, nor how often. The order of the records is that of TFDS, which sorts them by the
hash of their keys before it writes any. Here the keys, the file names, are known from the start:
images are read in the final order, and each record goes straight to its file while the next ones
are made, so that neither memory nor temporary files grow with the dataset.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets.public_api as tfds
from tensorflow_datasets.core import hashing
from tensorflow_datasets.core.utils import shard_utils

from sentiflow import index, tfrecord
from sentiflow.files import raced

from ..reading.entries import Entries, Entry
from ..reading.sources import Bad, Source
from . import parallel, reports
from .card import Card
from .examples import Checked, Recipe, Recorder
from .reports import Flat, Report

MOST_FLAT = 3  # images of a set that may end in one colour when their values are cut off
_MIN_SHARDS = 8
IMAGES_PER_SHARD = 1024
_SMALLEST_SHARD = 16  # images


class Task(NamedTuple):
    """One file that is to be written.

    Attributes:
        path: of the file.
        split: that it is of.
        entries: of its images, in stored order.
        flat: how many images of one colour it may hold.
    """

    path: str
    split: str
    entries: Sequence[Entry]
    flat: int = MOST_FLAT


def default(source: Source) -> int:
    """Files per split: at least 8, at most about 1,024 images a file.

    Fewer where a file would have under 16 images.

    TFDS on its own writes one file for every split under 128 MiB, which cannot be read in parallel.
    """
    sizes = [len(entries) for entries in source.splits.values()] or [0]
    most = max(_MIN_SHARDS, -(-max(sizes) // IMAGES_PER_SHARD))
    return max(1, min(min(sizes) // _SMALLEST_SHARD, most))


def shuffled(split: str, entries: Sequence[Entry]) -> Entries:
    """The entries in the order in which `GeneratorBasedBuilder` stores them.

    That is by the salted hash of the file name.
    """
    entries = Entries.collect(entries)
    hasher = hashing.Hasher(split)
    # In two halves, because NumPy has no integers of 128 bits.
    halves = np.zeros((2, len(entries)), np.uint64)
    for number, name in enumerate(entries.filenames):
        halves[0, number], halves[1, number] = divmod(hasher.hash_key(name), 2**64)
    return entries[np.lexsort(halves[::-1])]


def tasks(split: str, entries: Sequence[Entry], template: Any, count: int) -> list[Task]:
    """The files of a split, with about equal shares of its entries.

    Args:
        split: its name.
        entries: of its images, in any order.
        template: `tfds.core.ShardedFileTemplate` of the split.
        count: number of files.
    """
    stored = shuffled(split, entries)
    ends = shard_utils.get_shard_boundaries(len(stored), count)
    paths = [
        str(template.sharded_filepath(shard_index=number, num_shards=count))
        for number in range(count)
    ]
    bounds = itertools.pairwise([0, *ends])
    return [
        Task(path, split, stored[start:end])
        for path, (start, end) in zip(paths, bounds, strict=True)
    ]


def digest(task: Task, recipe: Recipe) -> str:
    """Hash of all that the file follows from: the recipe, and of the images what the disk tells."""
    state = hashlib.sha256()
    config = sorted(recipe.config.settings().items())
    facts = (Path(task.path).name, task.split, task.flat, config, *recipe[2:])
    state.update(repr((facts, recipe.features, recipe.features["label"].names)).encode())
    for entry in task.entries:
        paths = [entry.path, *itertools.chain(*entry.maps.values())]
        stats = [(str(path.absolute()), _state(path)) for path in paths]
        features = sorted((name, repr(value)) for name, value in entry.features.items())
        state.update(repr((entry.filename, entry.label, features, stats)).encode())
    return state.hexdigest()


def _state(path: Path) -> tuple[int, int] | None:
    """Size and time of a file; None where there is none."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    return status.st_size, status.st_mtime_ns


def write(
    task: Task,
    recipe: Recipe,
    *,
    workers: int | None = None,
    advance: Callable[[], Any] | None = None,
) -> Report:
    """Writes one file, then the report of it, each whole or not at all.

    Args:
        task: the file.
        recipe: of the dataset.
        workers: threads that make records; None for one a core.
        advance: is called after each image.
    """
    path = Path(task.path)
    shard = _Shard(task)
    before = digest(task, recipe)
    writer = tfds.core.ExampleWriter(file_format=recipe.file_format)
    checked = parallel.ordered_map(Recorder(recipe).check, task.entries, workers=workers)
    with contextlib.closing(checked), raced(path) as temporary:
        writer.write(temporary, enumerate(shard.records(checked, advance or (lambda: None))))
    report = shard.report(before)
    reports.save(report, task.path)
    return report


class _Shard:
    """What becomes of the images of one shard, while it is written."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._card = Card()
        self._index = index.Collector()
        self._bad: list[Bad] = []
        self._flat: list[Flat] = []
        self._lengths: list[int] = []  # of the records, bytes

    def records(self, checked: Iterable[Checked], advance: Callable[[], Any]) -> Iterator[bytes]:
        """The records that are stored, in order."""
        end = 0
        for entry, image, record, bad in checked:
            advance()
            self._bad += bad
            if image is None or record is None:
                continue
            if image.flat:
                self._flat.append(Flat(entry.filename, image.mode))
                if len(self._flat) > self._task.flat:
                    continue
            self._card.add(self._task.split, entry.label, image)
            self._index.add(record, 0, len(record), at=end + tfrecord.HEADER)
            end += tfrecord.HEADER + len(record) + tfrecord.FOOTER
            self._lengths.append(len(record))
            yield record

    def report(self, digest: str) -> Report:
        """The report of the shard, which is written."""
        return Report(
            digest=digest,
            shard_bytes=os.stat(self._task.path).st_size,
            records=len(self._lengths),
            record_bytes=sum(self._lengths),
            bad=self._bad,
            flat=self._flat,
            card=self._card,
            columns=self._index.columns(),
        )
