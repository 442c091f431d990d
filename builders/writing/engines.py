"""Who writes the shards: the threads of this process, or an engine of Apache Beam.

Either way it is `shards.write`, once for every file. To an engine a file is one element of one
chain, and what it learns of it is where its task lies; no pixel goes through the engine. Tasks,
shards and reports lie in the folder of the unfinished dataset, on a disk that all workers share.
"""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import tensorflow_datasets.public_api as tfds

from sentiflow import extras
from sentiflow.photo import quiet_pillow

from . import reports, shards
from .errors import DatasetError, disk_in_words
from .examples import Recipe
from .shards import Task

TASKS = "tasks"  # the folder of the tasks, in that of an unfinished dataset
_REFUSED = ".refused"  # ends the name of a file that says why a shard could not be written
_LEVEL = "ERROR"  # of what workers log
_OPTIONS_FILE = "PIPELINE_OPTIONS_FILE"
_PAUSE = 1.0  # seconds between two looks at how many shards are done


class EngineError(DatasetError):
    """The engine ended before all shards were written; those that are stay."""


def write(
    tasks: Sequence[Task], recipe: Recipe, folder: Path, *, options: Any = None, runner: Any = None
) -> None:
    """Writes the files, those that are not done.

    Args:
        tasks: the files.
        recipe: of the dataset.
        folder: of the unfinished dataset.
        options: Beam's `PipelineOptions`; without them and a runner, threads of this process write.
        runner: Beam's, or its name.

    Raises:
        DatasetError: a shard could not be written.
        EngineError: the engine gave up.
    """
    undone = [task for task in tasks if not reports.path_of(task.path).exists()]
    if options is None and runner is None:
        _write_in_threads(undone, recipe)
    else:
        _write_on_engine(undone, recipe, folder, options, runner)


def _write_in_threads(tasks: Sequence[Task], recipe: Recipe) -> None:
    for split in dict.fromkeys(task.split for task in tasks):
        of_split = [task for task in tasks if task.split == split]
        images = sum(len(task.entries) for task in of_split)
        with _bar(f"Writing {split}", images, "images") as bar:
            for task in of_split:
                shards.write(task, recipe, advance=bar.update)


def _bar(title: str, total: int, unit: str) -> Any:
    shown = {"unit": f" {unit}", "leave": False, "mininterval": 1.0}
    return tfds.core.utils.tqdm(desc=title, total=total, **shown)


def _write_on_engine(
    tasks: Sequence[Task], recipe: Recipe, folder: Path, options: Any, runner: Any
) -> None:
    """Runs the engine until all is done, again as long as that brings the build further."""
    undone = {str(_saved(task, recipe, folder)): task for task in tasks}
    with _progress(len(undone), folder):
        while undone:
            before = len(undone)
            with _quiet_processes(folder / TASKS):
                reason = _run(list(undone), options, runner)
            _refuse(undone)
            undone = {
                path: task
                for path, task in undone.items()
                if not reports.path_of(task.path).exists()
            }
            if len(undone) == before:
                rule = f"The engine ended with {before} of {len(tasks)} shards to be written"
                remedy = "Build again: what is written is not written again."
                raise EngineError(f"{rule} ({reason}). {remedy}")


@contextlib.contextmanager
def _quiet_processes(folder: Path) -> Iterator[None]:
    """Workers that are started on this machine meanwhile log no more than errors.

    Beam's FnApiRunner does not hand its options over to them; they look for a file of such.
    """
    path = folder / "options.json"
    path.write_text(json.dumps({"default_sdk_harness_log_level": _LEVEL}), encoding="utf-8")
    os.environ[_OPTIONS_FILE] = str(path.absolute())
    try:
        yield
    finally:
        del os.environ[_OPTIONS_FILE]


def _saved(task: Task, recipe: Recipe, folder: Path) -> Path:
    """Writes a task for a process of another working directory; returns where."""
    path = folder / TASKS / Path(task.path).name
    path.parent.mkdir(exist_ok=True)
    entries = [
        entry._replace(
            path=entry.path.absolute(),
            maps={name: tuple(map(Path.absolute, maps)) for name, maps in entry.maps.items()},
        )
        for entry in task.entries
    ]
    there = task._replace(path=str(Path(task.path).absolute()), entries=entries)
    path.write_bytes(pickle.dumps((there, recipe)))
    return path.absolute()


def _run(paths: Sequence[str], options: Any, runner: Any) -> str:
    """Has the engine write the shards of tasks; returns what it says if it fails."""
    import apache_beam as beam  # seconds, and only here
    from apache_beam.options.pipeline_options import PipelineOptions

    options = options or PipelineOptions([])
    _complete(options, len(paths))
    try:
        with beam.Pipeline(runner=runner, options=options) as pipeline:
            # One chain with one leaf: of several, the runner of Dask computes the last alone.
            # It keeps nothing that is made, so what became of a shard is read from its report.
            _ = pipeline | beam.Create(paths) | beam.Reshuffle() | beam.Map(write_saved)
    except Exception as error:  # an engine's, of any type
        lines = str(error).strip().splitlines() or [""]
        return f"{type(error).__name__}: {lines[-1].strip()[:300]}"
    return "it lost them"


def _complete(options: Any, count: int) -> None:
    """Sets what is not given: quiet workers, and with Dask a partition for each shard.

    Raises:
        DatasetError: it is Dask that is to write them, and not installed.
    """
    from apache_beam.options.pipeline_options import StandardOptions, WorkerOptions

    workers = options.view_as(WorkerOptions)
    if workers.default_sdk_harness_log_level is None:
        workers.default_sdk_harness_log_level = _LEVEL
    name = options.view_as(StandardOptions).runner or ""
    if not name.endswith("DaskRunner"):
        return
    if extras.missing("dask"):
        remedy = f"install it with: {extras.install_command('dask')}"
        raise DatasetError(f"runner={name} needs Dask; {remedy}")
    from apache_beam.runners.dask.dask_runner import DaskOptions

    dask = options.view_as(DaskOptions)
    if dask.npartitions is None and dask.partition_size is None:
        dask.npartitions = count


def write_saved(path: str) -> str:
    """Writes the shard of a task that lies in a file; what cannot be written is told in another."""
    task, recipe = pickle.loads(Path(path).read_bytes())
    if reports.path_of(task.path).exists():
        return path
    try:
        with disk_in_words(Path(path).parent), quiet_pillow():
            shards.write(task, recipe, workers=1)
    except DatasetError as error:
        Path(path + _REFUSED).write_text(str(error), encoding="utf-8")
    return path


def _refuse(paths: Iterable[str]) -> None:
    """Raises what a worker refused to do."""
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            raise DatasetError(Path(path + _REFUSED).read_text(encoding="utf-8"))


@contextlib.contextmanager
def _progress(shards: int, folder: Path) -> Iterator[None]:
    """Shows meanwhile how many shards are done, whoever writes them."""
    ended = threading.Event()
    first = reports.count(folder)

    def look() -> None:
        with _bar("Writing", shards, "shards") as bar:
            while not ended.wait(_PAUSE):
                if more := reports.count(folder) - first - bar.n:
                    bar.update(more)

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
