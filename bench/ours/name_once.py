"""The process of `bench.growth` that names the pictures of a set and shares them out into files."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path

import tensorflow_datasets as tfds

from sentiflow.builders.reading.entries import Entries, Entry
from sentiflow.builders.writing import shards

from ..worker.clock import Usage

CLASSES = 100
SUFFIX = "tfrecord"


@dataclasses.dataclass(frozen=True)
class Naming:
    """How a set was named.

    Attributes:
        seconds: from the first name to the last file's share.
        anonymous_mib: peak of resident memory that no file backs, of the whole process.
        total_mib: peak of all resident memory.
    """

    seconds: float
    anonymous_mib: float
    total_mib: float


def name_once(count: int) -> Naming:
    """Does with so many names what a build does before it reads a picture."""
    folder = Path("/photos")
    names = (f"class{i % CLASSES:02d}/{i:012d}.jpg" for i in range(count))
    template = tfds.core.ShardedFileTemplate(
        data_dir=folder, dataset_name="photo_folder", split="train", filetype_suffix=SUFFIX
    )
    begin = time.perf_counter()
    with Usage(interval=0.1) as usage:
        entries = Entries.collect(Entry(name, folder / name, name[:7]) for name in names)
        files = max(1, count // shards.IMAGES_PER_SHARD)
        tasks = shards.tasks("train", entries, template, files)
        assert sum(len(task.entries) for task in tasks) == count
        seconds = time.perf_counter() - begin
    return Naming(seconds, usage.peak_anonymous or usage.peak_total, usage.peak_total)


if __name__ == "__main__":
    print(json.dumps(dataclasses.asdict(name_once(int(sys.argv[1])))))
