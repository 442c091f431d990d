"""Starts the process of a contestant, judges its evidence, and makes a row of what it measured."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sentiflow import pipeline
from sentiflow.files import write_json
from sentiflow.machine import cores

from ..contestants.task import Contestant, Task
from ..worker.job import GO, READY, Job
from . import prepared
from .modules import QUIET, last_line
from .rows import Row, provenance
from .settings import Settings

SLOWEST = 5.0  # images/s; a contestant that is slower is given up
PATIENCE = 120.0  # seconds, for start-up and compilation of a loader
# Seconds, for those of a training step; a GPU that TensorFlow has no code for takes minutes.
COMPILING = 900.0

Judge = Callable[[Mapping[str, np.ndarray], Task], str | None]


def make_task(
    entry: Contestant, settings: Settings, *, work: str, data_dir: str, photos: str, images: int
) -> Task:
    """What a contestant is asked to do; its geometry and rotation are the pipeline's defaults."""
    defaults = pipeline.Settings().training()
    return Task(
        work=work,
        dataset=settings.dataset,
        data_dir=os.path.abspath(data_dir),
        split=settings.split,
        photos=photos,
        images=images,
        tier=entry.tier,
        storage=entry.storage,
        batch_size=settings.batch_size,
        image_size=defaults.image_size,
        crop_fraction=defaults.crop_fraction,
        rotation=defaults.rotation,
        seed=settings.seed,
        cores=cores(),
        **settings.choice,
    )


def absent_row(entry: Contestant, task: Task, settings: Settings, reason: str) -> Row:
    """The row of a contestant that cannot be measured, and why."""
    return make_row(entry, task, settings, {"status": f"absent: {reason}"})


def run(
    entry: Contestant, task: Task, settings: Settings, judge: Judge | None, *, warm_up: bool = True
) -> Row:
    """Times a contestant, in a process of its own, as fast as it can.

    Args:
        entry: the contestant.
        task: what it has to do.
        settings: seconds and windows.
        judge: tells what is wrong with the evidence, before the clock starts; None takes the
            batches as they are.
        warm_up: whether an epoch is drawn before the clock starts. The judge needs one.

    Returns:
        Its row. Numbers stand in it only if the contestant was right and finished.
    """
    (row,) = _run(entry, task, settings, judge, warm_up=warm_up)
    return row


def emulate(
    entry: Contestant, task: Task, settings: Settings, judge: Judge | None, rates: Sequence[float]
) -> list[Row]:
    """Times a contestant in front of emulated accelerators, all in one process.

    Args:
        entry: the contestant.
        task: what it has to do.
        settings: seconds and windows.
        judge: as in `run`.
        rates: of the accelerators, images/s, slowest first.

    Returns:
        A row for each accelerator, up to the first that it keeps less than half busy.
    """
    return _run(entry, task, settings, judge, emulate=rates)


def _run(
    entry: Contestant, task: Task, settings: Settings, judge: Judge | None, **how: Any
) -> list[Row]:
    python = prepared.find_python(entry.environment)
    if python is None:
        missing = f"no environment {entry.environment!r}; install it with: make peers"
        return [absent_row(entry, task, settings, missing)]
    try:
        task = dataclasses.replace(task, prepared=prepared.provide(entry, task, python))
    except pipeline.InputError as error:
        return [make_row(entry, task, settings, {"status": f"failed: {error}"})]
    job = Job(
        function=entry.function,
        requires=entry.requires,
        prepare=entry.kind == "ours",
        task=task,
        seconds=settings.seconds,
        windows=settings.windows,
        evidence=judge is not None,
        **how,
    )
    result = _result(job, judge, python=python)
    timed = result.pop("timed", [{}])
    return [make_row(entry, task, settings, result | figures) for figures in timed]


def run_step(entry: Contestant, task: Task, settings: Settings, step: dict[str, Any]) -> Row:
    """Times the real training step with what the contestant feeds it, in a process of its own.

    Args:
        entry: the contestant, or `bench.harness.real_step.CEILING`.
        task: what it has to do beforehand.
        settings: seconds and windows.
        step: `train` and `inputs`, the fields of `TrainSettings` and `pipeline.Settings`.

    Returns:
        Its row, without the utilisation, which another row tells.
    """
    job = Job(
        function=entry.function,
        requires=entry.requires,
        prepare=True,
        task=task,
        seconds=settings.seconds,
        windows=settings.windows,
        step=step,
    )
    result = {"backbone": step["train"]["backbone"], **_result(job, None, patience=COMPILING)}
    return make_row(entry, dataclasses.replace(task, work="training"), settings, result)


def make_row(entry: Contestant, task: Task, settings: Settings, result: Mapping[str, Any]) -> Row:
    """The row of a contestant: who and what, beside the fields of `result`."""
    values = {**result, "windows": tuple(result.get("windows", ()))}
    return Row(
        contestant=entry.name,
        work=task.work,
        tier=entry.tier,
        storage=entry.storage,
        batch_size=task.batch_size,
        image_size=task.image_size,
        dataset=task.title,
        images=task.images,
        seconds=settings.seconds,
        deviation=entry.deviation,
        kind=entry.kind,
        **provenance(),
        **values,
    )


def _result(
    job: Job, judge: Judge | None, *, patience: float = PATIENCE, python: str = sys.executable
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        write_json(folder / "job.json", dataclasses.asdict(job))
        limit = patience + _duration(job)
        with _process(python, folder, limit) as process:
            fault = _judge(process, folder, job.task, judge)
            process.communicate(f"{GO}\n" if fault is None else "stop\n")
        if fault is not None:
            return {"status": f"wrong: {fault}"}
        with contextlib.suppress(FileNotFoundError):
            return dict(json.loads((folder / "result.json").read_text(encoding="utf-8")))
        return {"status": f"failed: {_reason(folder / 'log', process.returncode, limit)}"}


def _duration(job: Job) -> float:
    """The most seconds that the job itself may take, before the clock starts and behind it."""
    windows = 2 * job.seconds * max(len(job.emulate), 1)
    return windows + 2 * job.task.images / SLOWEST


@contextlib.contextmanager
def _process(python: str, folder: Path, limit: float) -> Iterator[subprocess.Popen[str]]:
    """The worker, its log in the folder; gone when the context ends, or after `limit` seconds."""
    command = [python, "-m", "bench.worker", str(folder)]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    variables = {**prepared.variables(), **QUIET}
    with (
        open(folder / "log", "w", encoding="utf-8") as log,
        subprocess.Popen(command, stderr=log, env=variables, **pipes) as process,
    ):
        timer = threading.Timer(limit, process.kill)
        timer.daemon = True
        timer.start()
        try:
            yield process
        finally:
            timer.cancel()
            process.kill()


def _judge(
    process: subprocess.Popen[str], folder: Path, task: Task, judge: Judge | None
) -> str | None:
    ready = any(line.strip() == READY for line in process.stdout or ())
    if not ready or judge is None:
        return None
    with np.load(folder / "evidence.npz") as evidence:
        return judge(evidence, task)


def _reason(log: Path, status: int, limit: float) -> str:
    if status == -9:
        return f"no result after {limit:.0f} s, or killed for want of memory"
    return last_line(log.read_text(encoding="utf-8", errors="replace")) or f"exit status {status}"
