"""Times one contestant, in a process of its own: `python -m bench.worker FOLDER`.

The folder holds `job.json`. The process draws an epoch of batches, leaves evidence about them
there, prints `READY`, and waits for a line on its standard input: `GO` starts the clock. Nothing
but NumPy and psutil is imported for it, so that time and memory are the contestant's.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import time
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from ..contestants.task import Batch, Task, find_loader
from . import accelerator, clock
from .clock import Usage
from .evidence import gather_evidence
from .job import GO, READY, Job

HOPELESS = 0.5  # utilisation; a loader that keeps an accelerator less busy gets no faster ones


def main(folder: Path) -> None:
    """Runs the job in `folder`, leaves `evidence.npz`, and `result.json` once timed."""
    values = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    job = Job(**{**values, "task": Task(**values["task"])})
    channel = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # what libraries print is no answer
        result = _run(job, folder, channel)
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


def load(required: str) -> None:
    """Imports a module or, as "module:name", what a module loads when it is asked for it.

    Raises:
        ImportError: it is not installed.
    """
    module, _, name = required.partition(":")
    loaded = importlib.import_module(module)
    if name:
        getattr(loaded, name)


def _run(job: Job, folder: Path, channel: Any) -> dict[str, Any]:
    try:
        if job.prepare:
            from sentiflow import startup

            startup.prepare()
        for required in job.requires:
            load(required)
    except ImportError as error:
        return {"status": f"absent: {error}"}
    if job.step is not None:
        from ..ours import step

        print(READY, file=channel, flush=True)
        return step.run(job) if sys.stdin.readline().strip() == GO else {"status": "stopped"}
    with Usage() as usage:
        start_seconds = time.time() - psutil.Process().create_time()
        begin = time.perf_counter()
        batches = find_loader(job.function)(job.task)
        first = next(batches)
        first_batch_seconds = time.perf_counter() - begin
        usage.follow_children()
        steps = max(job.task.images // job.task.batch_size, 1)
        if job.evidence:
            evidence = gather_evidence(first, batches, steps)
            np.savez(folder / "evidence.npz", allow_pickle=False, **evidence)
        elif job.warm_up:
            for _ in range(steps):
                next(batches)
        print(READY, file=channel, flush=True)
        if sys.stdin.readline().strip() != GO:
            return {"status": "stopped"}
        timed = measure(batches, job, usage)
    if isinstance(batches, Generator):
        batches.close()  # stops its workers
    return {
        "status": "ok",
        "start_seconds": start_seconds,
        "first_batch_seconds": first_batch_seconds,
        "timed": timed,
        "peak_anonymous_mib": usage.peak_anonymous,
        "peak_total_mib": usage.peak_total,
    }


def measure(batches: Iterator[Batch], job: Job, usage: Usage) -> list[dict[str, Any]]:
    """What was timed in front of each accelerator, up to the first less busy than `HOPELESS`."""
    if not job.emulate:
        return [clock.measure(batches, job.seconds, job.windows, usage)]
    results: list[dict[str, Any]] = []
    for rate in job.emulate:
        taker = accelerator.Accelerator(batches, rate)
        waited = partial(getattr, taker, "waited")
        timed = clock.measure(taker, job.seconds, job.windows, usage, waited=waited)
        results.append({"emulate": rate, **accelerator.utilisation(timed, rate)})
        if results[-1]["utilisation"] < HOPELESS:
            break
    return results


if __name__ == "__main__":
    main(Path(sys.argv[1]))
