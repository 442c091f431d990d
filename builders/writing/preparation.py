"""The part of a TFDS builder that all datasets share.

Check, convert and write every image once, on all cores.
"""

from __future__ import annotations

import abc
import contextlib
import inspect
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow_datasets.public_api as tfds
from tensorflow_datasets.core import example_serializer

from sentiflow import index
from sentiflow.photo import BadImage, quiet_pillow
from sentiflow.terminal import echo

from ..reading.sources import Bad, Entry, Source, first_names
from . import parallel, shards, storage
from .card import Card
from .config import StorageConfig
from .errors import DatasetError, report_errors_in_one_line
from .locking import lock_folder, remove_dead_siblings
from .quarantine import QUARANTINE, bad_message, write_quarantine
from .terminal import PlainBuilder

_FEW_FLAT = 3  # images of a set that may end in one colour when their values are cut off


class Prepared(NamedTuple):
    """One entry with what is stored of its files."""

    entry: Entry
    image: bytes | np.ndarray
    maps: list[bytes | np.ndarray]

    def features(self) -> dict[str, Any]:
        """The features that every dataset has."""
        return {
            "image": self.image,
            "label": self.entry.label,
            "filename": self.entry.filename,
        }


class Checked(NamedTuple):
    """What became of one entry; without an image there is no record."""

    entry: Entry
    image: storage.Stored | None  # without its value
    record: bytes | None
    bad: list[Bad]


class CheckedBuilder(PlainBuilder, skip_registration=True):  # type: ignore[call-arg]
    """A builder that names every bad image and leaves no half dataset.

    A dataset defines `_info`, `_read_source` and `_example`. Records and their order are those of
    the base class, which sorts all records by the hash of their keys before it writes any. Here the
    keys, the file names, are known from the start: images are read in the final order, and each
    record goes straight to its file while the next ones are made, so that neither memory nor
    temporary files grow with the dataset.
    """

    VERSION = tfds.core.Version("1.1.0")
    RELEASE_NOTES = {  # noqa: RUF012  # TFDS declares these class attributes
        "1.1.0": "An index beside the shards tells where every image lies; two builds of the same"
        " files are the same bytes; what TensorFlow decodes to other pixels is stored as PNG.",
        "1.0.0": "First release.",
    }
    BUILDER_CONFIGS: list[StorageConfig]

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        # Where description and example data lie; TFDS looks for the room inside of `sentiflow`, as
        # installed.
        cls.code_path = tfds.core.Path(inspect.getfile(cls))
        cls.pkg_dir_path = cls.code_path.parent

    @abc.abstractmethod
    def _read_source(self, manual_dir: Path) -> Source:
        """Reads lists and folders, but no image."""

    @abc.abstractmethod
    def _example(self, prepared: Prepared) -> dict[str, Any]:
        """The features of one image."""

    def _create_builder_config(self, builder_config: Any, version: Any) -> Any:
        # TFDS refuses a custom configuration that is the same as one of the class; to us both are
        # the same.
        if isinstance(builder_config, StorageConfig):
            same = [
                known.name for known in self.BUILDER_CONFIGS if vars(known) == vars(builder_config)
            ]
            builder_config = same[0] if same else builder_config
        return super()._create_builder_config(builder_config, version)

    def download_and_prepare(self, **kwargs: Any) -> None:
        """See the base class; the lock on the temporary folder outlives its renaming."""
        report_errors_in_one_line()
        if "://" in self.data_dir:
            raise DatasetError(
                "data_dir must be a local folder; copy the finished dataset."
                f" Received: {self.data_dir}"
            )
        with contextlib.ExitStack() as self._while_building, quiet_pillow():
            try:
                super().download_and_prepare(**kwargs)
            except FileExistsError:
                if not Path(self.data_dir).exists():
                    raise
                rule = f"{self.data_dir} was built by another process in the meantime"
                raise DatasetError(f"{rule}; it is left as it is.") from None

    def _download_and_prepare(self, dl_manager: Any, download_config: Any) -> None:
        self._while_building.enter_context(lock_folder(Path(self.data_dir)))
        remove_dead_siblings(Path(self.data_dir))
        self._source = self._read_checked(dl_manager)
        if limit := download_config.max_examples_per_split:
            self._source.splits = {
                split: entries[:limit] for split, entries in self._source.splits.items()
            }
        self._shards = download_config.num_shards or shards.default(self._source)
        self._begin_counts()
        self._check_splits()
        written = [self._write_split(split) for split in self._source.splits]
        self.info.set_splits(tfds.core.SplitDict(written))
        self._finish()

    def _begin_counts(self) -> None:
        """Makes what grows with every record: bad files, card, index, paths of the shards."""
        features = self.info.features
        self._bad = list(self._source.bad)
        self._flat = 0  # images of one colour, since their values were cut off
        self._card = Card(features["label"].names)
        self._serializer = example_serializer.ExampleSerializer(features.get_serialized_info())
        self._index = index.Collector()
        self._paths: list[str] = []  # of the shards that are written

    def _split_generators(self, dl_manager: Any) -> Any:
        raise NotImplementedError("The records are not made by generators.")

    # Both are abstract in the base class, which `tfds build` looks for.
    _generate_examples = _split_generators

    def _check_splits(self) -> None:
        """Refuses, before any image is read, what the lists alone rule out."""
        splits = self._source.splits
        if not splits or not all(splits.values()):
            self._stop_if_bad(unread=list(splits))
        if not splits:
            raise DatasetError(f"No image can be used. Bad files or lines: {len(self._bad)}.")
        for split, entries in splits.items():
            self._check_shards(split, len(entries))

    def _read_checked(self, dl_manager: Any) -> Source:
        try:
            manual_dir = Path(dl_manager.manual_dir)
        except AssertionError as error:
            # The folder is missing or empty; TFDS adds MANUAL_DOWNLOAD_INSTRUCTIONS.
            raise DatasetError(" ".join(str(error).split())) from None
        try:
            source = self._read_source(manual_dir)
        except OSError as error:
            raise DatasetError(f"{error.filename}: cannot be read ({error.strerror}).") from None
        if source.notes:
            echo(*source.notes)
        return source

    def _write_split(self, split: str) -> Any:
        """Writes the files of a split; then raises DatasetError if there was a reason to."""
        entries = self._source.splits[split]
        earlier = len(self._bad)
        info = self._write_shards(split, len(entries))
        rank = {entry.filename: i for i, entry in enumerate(entries)}
        self._bad[earlier:] = sorted(self._bad[earlier:], key=lambda bad: rank[bad.filename])
        splits = list(self._source.splits)
        self._stop_if_bad(unread=splits[splits.index(split) + 1 :])
        self._check_shards(split, info.num_examples)
        if not all(info.shard_lengths):
            raise DatasetError(
                f"Split {split!r} has files of bad images alone."
                f" Give fewer than --num_shards {self._shards}."
            )
        self._paths += [str(path) for path in info.filepaths]
        return info

    def _write_shards(self, split: str, count: int) -> Any:
        with contextlib.closing(self._records(split)) as records:
            return shards.write(
                records,
                count,
                template=self._get_filename_template(split_name=split),
                shards=self._shards,
                writer=tfds.core.ExampleWriter(file_format=self.info.file_format),
                note=self._note,
            )

    def _note(self, record: bytes, shard: int, start: int) -> None:
        """Notes in the index where a record is written."""
        number = len(self._paths) + shard
        self._index.add(record, 0, len(record), shard=number, at=start)

    def _records(self, split: str) -> Generator[bytes | None, None, None]:
        """The records of a split in the order of its files, None for an image that is left out."""
        entries = shards.shuffled(split, self._source.splits[split])
        with contextlib.closing(parallel.ordered_map(self._check, entries)) as results:
            options = {"unit": " images", "leave": False, "mininterval": 1.0}
            shown = tfds.core.utils.tqdm(results, f"Writing {split}", len(entries), **options)
            for entry, image, record, bad in shown:
                self._bad += bad
                if image is None or (image.flat and self._is_one_too_many(entry, image)):
                    yield None
                else:
                    self._card.add(split, entry.label, image)
                    yield record

    def _is_one_too_many(self, entry: Entry, image: storage.Stored) -> bool:
        """Whether an image of one colour comes after a few others; it is then a bad one."""
        self._flat += 1
        if self._flat <= _FEW_FLAT:
            return False
        reason = f"cut off at 255, its values of mode {image.mode} became one flat colour"
        self._bad.append(Bad(entry.filename, f"{reason}, as {self._flat - 1} others before it"))
        return True

    def _check_shards(self, split: str, images: int) -> None:
        if not images:
            raise DatasetError(
                f"Split {split!r} has no image that can be used."
                f" Bad files or lines: {len(self._bad)}."
            )
        if images < self._shards:
            raise DatasetError(
                "num_shards must not exceed the images of the smallest split."
                f" Received: {self._shards} files for the {images} images of split {split!r}."
                f" Give --num_shards {images} or fewer."
            )

    def _check(self, entry: Entry) -> Checked:
        """Makes the record of one entry, in a thread of its own."""
        try:
            image = storage.store(entry.path, self.builder_config)
        except BadImage as reason:
            return Checked(entry, None, None, [Bad(entry.filename, str(reason), near=entry.near)])
        maps, bad = stored_maps(entry)
        example = self._example(Prepared(entry, image.value, maps))
        encoded = self.info.features.encode_example(example)
        # Protocol buffers order the features by chance else, so that no two builds are the same.
        record = self._serializer.get_tf_example(encoded).SerializeToString(deterministic=True)
        return Checked(entry, image._replace(value=b""), record, bad)

    def _stop_if_bad(self, unread: Sequence[str] = ()) -> None:
        """Under `raise`, raises an error that names every bad file, of the unread splits too."""
        if not self._bad or self.builder_config.on_bad_image == "skip":
            return
        for split in unread:
            for checked in parallel.ordered_map(self._check, self._source.splits[split]):
                self._bad += checked.bad
        raise DatasetError(bad_message(self._bad, self.builder_config))

    def _finish(self) -> None:
        """Writes what was found beside the records, and on the terminal."""
        if self.info.file_format == tfds.core.FileFormat.TFRECORD:
            index.write(self._index.columns(self._paths), Path(self.data_dir) / index.FOLDER)
        facts = self._source.facts | self._card.facts() | {"bad_images": len(self._bad)}
        self.info.metadata.update(facts)
        if clipping := self._card.clipping():
            echo(clipping)
        trained = {entry.label for entry in self._source.splits.get("train", ())}
        if emptied := sorted(trained - self._card.classes("train")):
            echo(f"All training images are bad of these classes: {first_names(emptied)}.")
        if self._bad:
            write_quarantine(Path(self.data_dir) / QUARANTINE, self._bad)
            echo(
                f"{len(self._bad)} bad files or lines left out;"
                f" they are listed in the dataset's {QUARANTINE}."
            )


def stored_maps(entry: Entry) -> tuple[list[bytes | np.ndarray], list[Bad]]:
    """The entry's maps as they are stored, and those that cannot be."""
    maps: list[bytes | np.ndarray] = []
    bad: list[Bad] = []
    for path in entry.maps:
        try:
            maps.append(storage.store(path, StorageConfig()).value)
        except BadImage as reason:
            bad.append(Bad(entry.filename, f"its map {path.parent.name}/{path.name}: {reason}"))
    return maps, bad
