"""The part of a TFDS builder that all datasets share.

Check, convert and write every image once, on all cores.
"""

from __future__ import annotations

import abc
import contextlib
import inspect
import itertools
import shutil
from pathlib import Path
from typing import Any

import tensorflow_datasets.public_api as tfds

from sentiflow import index
from sentiflow.files import is_partial
from sentiflow.photo import quiet_pillow
from sentiflow.terminal import echo

from ..reading.sources import Source, first_names
from . import engines, parallel, reports, shards
from .config import StorageConfig
from .engines import EngineError
from .errors import DatasetError, report_errors_in_one_line
from .examples import Recipe, Recorder
from .locking import dead_siblings, finish, keep, lock_folder
from .outcome import Outcome
from .quarantine import QUARANTINE, bad_message, write_quarantine
from .shards import Task
from .terminal import PlainBuilder


class CheckedBuilder(PlainBuilder, skip_registration=True):  # type: ignore[call-arg]
    """A builder that names every bad image and leaves no half dataset.

    A dataset defines `_info` and `_read_source`. Records and their order are those of the base
    class; `shards` and `engines` tell how they are written.
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
        folder = Path(self.data_dir)
        self._while_building.enter_context(lock_folder(folder))
        self._source = self._read_checked(dl_manager)
        if limit := download_config.max_examples_per_split:
            self._source.splits = {
                split: entries[:limit] for split, entries in self._source.splits.items()
            }
        self._bad = list(self._source.bad)
        self._shards = download_config.num_shards or shards.default(self._source)
        self._check_splits()
        tasks = self._tasks()
        _adopt(tasks, self._recipe, folder)
        engine = {"options": download_config.beam_options, "runner": download_config.beam_runner}
        try:
            outcome = self._write(tasks, engine)
        except EngineError:
            keep(folder)
            raise
        self._bad += outcome.bad(self._source.splits)
        self._stop_if_bad()
        self.info.set_splits(tfds.core.SplitDict(self._split_infos(outcome)))
        self._finish(outcome)

    @property
    def _recipe(self) -> Recipe:
        info = self.info
        return Recipe(
            info.features, self.builder_config.plain(), info.file_format, str(self.version)
        )

    def _tasks(self) -> list[Task]:
        return [
            task
            for split, entries in self._source.splits.items()
            for task in shards.tasks(
                split, entries, self._get_filename_template(split_name=split), self._shards
            )
        ]

    def _write(self, tasks: list[Task], engine: dict[str, Any]) -> Outcome:
        """Writes the files of all splits."""
        folder = Path(self.data_dir)
        engines.write(tasks, self._recipe, folder, **engine)
        outcome = Outcome(tasks)
        if self._skips and (again := outcome.again()):
            for task in again:
                reports.path_of(task.path).unlink()
            engines.write(again, self._recipe, folder, **engine)
            outcome = Outcome(tasks)
        return outcome

    def _split_generators(self, dl_manager: Any) -> Any:
        raise NotImplementedError("The records are not made by generators.")

    # Both are abstract in the base class, which `tfds build` looks for.
    _generate_examples = _split_generators

    def _check_splits(self) -> None:
        """Refuses, before any image is written, what the lists alone rule out."""
        splits = self._source.splits
        if self._bad and not self._skips and not (splits and all(splits.values())):
            check = Recorder(self._recipe).check
            for checked in parallel.ordered_map(check, itertools.chain(*splits.values())):
                self._bad += checked.bad
            self._stop_if_bad()
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

    def _split_infos(self, outcome: Outcome) -> list[Any]:
        """What TFDS keeps of the splits; raises DatasetError where one cannot be used."""
        infos = []
        for split in self._source.splits:
            lengths = outcome.lengths(split)
            self._check_shards(split, sum(lengths))
            if not all(lengths):
                raise DatasetError(
                    f"Split {split!r} has files of bad images alone."
                    f" Give fewer than --num_shards {self._shards}."
                )
            info = tfds.core.SplitInfo(
                name=split,
                shard_lengths=lengths,
                num_bytes=outcome.record_bytes(split),
                filename_template=self._get_filename_template(split_name=split),
            )
            infos.append(info)
        return infos

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

    @property
    def _skips(self) -> bool:
        return bool(self.builder_config.on_bad_image == "skip")

    def _stop_if_bad(self) -> None:
        """Under `raise`, raises an error that names every bad file."""
        if self._bad and not self._skips:
            raise DatasetError(bad_message(self._bad, self.builder_config))

    def _finish(self, outcome: Outcome) -> None:
        """Writes what was found beside the records, and on the terminal."""
        folder = Path(self.data_dir)
        if self.info.file_format == tfds.core.FileFormat.TFRECORD:
            index.write(outcome.columns(), folder / index.FOLDER)
        card = outcome.card()
        names = self.info.features["label"].names
        facts = self._source.facts | card.facts(names) | {"bad_images": len(self._bad)}
        self.info.metadata.update(facts)
        if clipping := card.clipping():
            echo(clipping)
        splits = self._source.splits
        trained = splits["train"].labels[1] if "train" in splits else []
        if emptied := sorted(set(trained) - card.classes("train")):
            echo(f"All training images are bad of these classes: {first_names(emptied)}.")
        if self._bad:
            write_quarantine(folder / QUARANTINE, self._bad)
            echo(
                f"{len(self._bad)} bad files or lines left out;"
                f" they are listed in the dataset's {QUARANTINE}."
            )
        _clear(folder)


def _adopt(tasks: list[Task], recipe: Recipe, folder: Path) -> None:
    """Takes over what builds that were stopped have written of the same; then removes the rest."""
    adopted = 0
    with dead_siblings(folder) as dead:
        for task, earlier in itertools.product(tasks, dead):
            other = reports.path_of(str(earlier / Path(task.path).name))
            if other.exists() and not reports.path_of(task.path).exists():
                adopted += reports.adopt(task.path, shards.digest(task, recipe), earlier)
    if adopted:
        echo(f"{adopted} of {len(tasks)} files were written by a build that was stopped.")


def _clear(folder: Path) -> None:
    """Removes what only the build needed."""
    for name in (reports.FOLDER, engines.TASKS):
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in folder.iterdir():
        if is_partial(path):  # of a worker that was killed
            path.unlink(missing_ok=True)
    finish(folder)
