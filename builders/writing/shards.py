"""The files of a split, written record by record in TFDS's order."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import tensorflow_datasets.public_api as tfds
from tensorflow_datasets.core import hashing
from tensorflow_datasets.core.utils import shard_utils

from sentiflow import tfrecord

from ..reading.sources import Entry, Source

_MIN_SHARDS = 8
_IMAGES_PER_SHARD = 1024
_SMALLEST_SHARD = 16  # images

Note = Callable[[bytes, int, int], None]  # record, number of its shard, first byte there


def default(source: Source) -> int:
    """Files per split: at least 8, at most about 1,024 images a file.

    Fewer where a file would have under 16 images.

    TFDS on its own writes one file for every split under 128 MiB, which cannot be read in parallel.
    """
    sizes = [len(entries) for entries in source.splits.values()] or [0]
    most = max(_MIN_SHARDS, -(-max(sizes) // _IMAGES_PER_SHARD))
    return max(1, min(min(sizes) // _SMALLEST_SHARD, most))


def shuffled(split: str, entries: Sequence[Entry]) -> list[Entry]:
    """The entries in the order in which `GeneratorBasedBuilder` stores them.

    That is by the salted hash of the file name.
    """
    hasher = hashing.Hasher(split)
    return sorted(entries, key=lambda entry: hasher.hash_key(entry.filename))


def write(
    records: Iterator[bytes | None],
    count: int,
    *,
    template: Any,
    shards: int,
    writer: Any,
    note: Note,
) -> Any:
    """Writes the files of one split, each record as soon as it is there.

    Args:
        records: the split's records in order; None stands for an image that is left out.
        count: how many `records` there are, None included.
        template: `tfds.core.ShardedFileTemplate` of the split.
        shards: number of files. Each gets an equal share of `records`.
        writer: `tfds.core.ExampleWriter`.
        note: is told of every record where it is written.

    Returns:
        The `tfds.core.SplitInfo`. A file has length 0 if all of its images were left out.
    """
    lengths = [0] * shards
    size = 0

    def part(shard: int, length: int) -> Iterator[tuple[int, bytes]]:
        nonlocal size
        end = 0
        for record in itertools.islice(records, length):
            if record is None:
                continue
            note(record, shard, end + tfrecord.HEADER)
            end += tfrecord.HEADER + len(record) + tfrecord.FOOTER
            lengths[shard] += 1
            size += len(record)
            yield lengths[shard], record

    ends = shard_utils.get_shard_boundaries(count, shards)
    for shard, (start, end) in enumerate(itertools.pairwise([0, *ends])):
        path = template.sharded_filepath(shard_index=shard, num_shards=shards)
        writer.write(path, part(shard, end - start))
    return tfds.core.SplitInfo(
        name=template.split, shard_lengths=lengths, num_bytes=size, filename_template=template
    )
