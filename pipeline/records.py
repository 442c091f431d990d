"""Where every image of a prepared dataset lies, and its label: reads by position.

A shard stores its records one behind the other, uncompressed, so an image can be read at random
from its offset alone. The builder wrote down where they are (`sentiflow/index.py`); those columns
are mapped, not read. It is what makes exact permutations, exact resumption, subsets and host shards
cheap: all of them are arithmetic on positions.

A dataset without an index, as versions before 1.1.0 have none, is scanned once, and gets one where
its folder can be written. A scan touches a few bytes of each record, none of pixels.
"""

from __future__ import annotations

import contextlib
import dataclasses
import mmap
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track

from sentiflow import index, tfrecord
from sentiflow.options import InputError
from sentiflow.terminal import echo


@dataclasses.dataclass(frozen=True)
class Records:
    """The records of one split, in stored order; `take` selects and reorders.

    Attributes:
        paths: shard files.
        number: int64 [n], each record's number among those of the whole dataset.
        shard: int32 [n], the shard each record lies in.
        offset: int64 [n], first byte of the image's value in its shard.
        length: int64 [n], bytes of that value.
        shape: int32 [n, 2], stored height and width in pixels; zeros unless the storage is `raw`.
        label: int32 [n].
        filename: [n], decoded when asked for.
        extra: further integer features by name, each an integer type [n, k]; of `stimuli_map`,
            first byte and length of the value in its shard, both 0 where there is none.
        storage: "original", "raw" or "jpeg".
    """

    paths: tuple[str, ...]
    number: np.ndarray
    shard: np.ndarray
    offset: np.ndarray
    length: np.ndarray
    shape: np.ndarray
    label: np.ndarray
    filename: index.Names
    extra: dict[str, np.ndarray]
    storage: str

    def __len__(self) -> int:
        return len(self.label)

    def value(self, position: int) -> bytes:
        """The bytes of one image's value; raises what `read` does."""
        return self.read(position, self.offset[position], self.length[position])

    def read(self, position: int, begin: int, length: int) -> bytes:
        """Bytes of the shard that an image lies in.

        Raises:
            ValueError: the index is damaged, they would not lie in the shard.
        """
        path, begin, end = self.paths[self.shard[position]], int(begin), int(begin) + int(length)
        with open(path, "rb", buffering=0) as file:
            if not 0 <= begin <= end <= os.fstat(file.fileno()).st_size:
                raise ValueError(f"{path}: the index leads beyond its end")
            file.seek(begin)
            return file.read(end - begin)

    def take(self, selection: np.ndarray | slice) -> Records:
        """The records that a boolean mask, an array of positions or a slice names."""
        return dataclasses.replace(
            self,
            number=self.number[selection],
            shard=self.shard[selection],
            offset=self.offset[selection],
            length=self.length[selection],
            shape=self.shape[selection],
            label=self.label[selection],
            filename=self.filename[selection],
            extra={name: column[selection] for name, column in self.extra.items()},
        )

    def compact(self) -> Records:
        """The same records, without the shards that hold none of them."""
        used, shard = np.unique(self.shard, return_inverse=True)
        paths = tuple(self.paths[number] for number in used)
        return dataclasses.replace(self, paths=paths, shard=shard.astype(np.int32))


def read_index(paths: Sequence[str], *, storage: str) -> Records:
    """All records of a dataset, by the index beside its shards, or else by a scan of them.

    Args:
        paths: its shards, split after split.
        storage: "original", "raw" or "jpeg".

    Raises:
        InputError: a shard is missing or damaged.
    """
    columns = index.read(paths)
    if columns is None:
        folder = Path(paths[0]).parent
        rule = f"{folder} has no index of its shards, like any dataset of a version before 1.1.0"
        echo(f"{rule}; they are scanned, and it is kept there if it can be.", err=True)
        columns = scan(paths)
        keep(columns, folder)
    return _records(columns, paths, storage)


def _records(columns: index.Columns, paths: Sequence[str], storage: str) -> Records:
    # Plain arrays: a memmap costs more at each selection.
    plain = {name: np.asarray(column) for name, column in columns.items()}
    begin = plain["name_begin"]
    return Records(
        paths=tuple(paths),
        number=np.arange(len(plain["label"])),
        shard=plain["shard"],
        offset=plain["offset"],
        length=plain["length"],
        shape=plain["shape"],
        label=plain["label"],
        filename=index.Names(plain["names"], begin[:-1], begin[1:]),
        extra={
            name.removeprefix(index.FEATURE): column
            for name, column in plain.items()
            if name.startswith(index.FEATURE)
        },
        storage=storage,
    )


def scan(paths: Sequence[str]) -> index.Columns:
    """The columns of the index, out of the shards themselves.

    Raises:
        InputError: a shard is missing or damaged.
    """
    console = Console(stderr=True)
    parts = [
        scan_shard(path)
        for path in track(
            paths,
            description="Indexing shards, once",
            console=console,
            disable=not console.is_terminal,
        )
    ]
    try:
        return index.join(parts, paths)
    except ValueError as error:
        raise InputError(f"{os.path.dirname(paths[0])}: {error}; rebuild the dataset.") from None


def scan_shard(path: str) -> index.Columns:
    """The rows of all records of one file.

    Raises:
        InputError: it is missing, cut short or damaged.
    """
    collector = index.Collector()
    start = 0
    with map_shard(path) as data:
        try:
            for start, length in tfrecord.records(data, path):
                collector.add(data, start, length, at=start)
            return collector.columns()
        except InputError:
            raise
        except ValueError as error:
            raise InputError(
                f"{path} is damaged at byte {start}: {error}; rebuild the dataset."
            ) from None


@contextlib.contextmanager
def map_shard(path: str) -> Iterator[tfrecord.Buffer]:
    """The bytes of a file, mapped."""
    try:
        with open(path, "rb") as file:
            if os.fstat(file.fileno()).st_size == 0:
                yield b""
                return
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                data.madvise(mmap.MADV_RANDOM)
                yield data
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}).") from None


def keep(columns: index.Columns, folder: Path) -> None:
    """Writes the index into the dataset's folder, or does nothing where that cannot be written."""
    partial = folder / f"{index.FOLDER}.{os.getpid()}"
    try:
        index.write(columns, partial)
        shutil.rmtree(folder / index.FOLDER, ignore_errors=True)
        partial.rename(folder / index.FOLDER)
    except OSError:  # read-only, full, or another process was faster
        shutil.rmtree(partial, ignore_errors=True)
