"""Times one contestant, in a process of its own: `python -m bench.measure FOLDER`.

The folder holds `job.json`. The process draws an epoch of batches, leaves evidence about them there, prints `READY`,
and waits for a line on its standard input: `GO` starts the clock. Nothing but NumPy and psutil is imported for it, so
that time and memory are the contestant's.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import importlib
import json
import statistics
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from bench import accelerator
from bench.contestants import Batch, Loader, Task

READY, GO = "bench: ready", "go"
KEPT_BATCHES = 2  # batches left as evidence
HOPELESS = 0.5  # utilisation; a loader that keeps an accelerator less busy is not tried with faster ones
MIB = 2**20


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What to time, and for how long.

    Attributes:
        function: "module:function" of the loader.
        requires: modules to import before the clock starts.
        task: what the loader is called with.
        seconds: timed in all.
        windows: that the seconds are divided into.
        evidence: whether to leave evidence of what the batches are.
        warm_up: whether an epoch is drawn before the clock starts. Evidence needs one.
        emulate: images/s of the emulated accelerators that take the batches, one after the other, slowest first;
            without any, batches are taken as fast as they come.
        step: settings of the real training step that takes them, see `bench.step`; None trains nothing.
    """

    function: str
    requires: tuple[str, ...]
    task: Task
    seconds: float
    windows: int
    evidence: bool = True
    warm_up: bool = True
    emulate: Sequence[float] = ()
    step: dict[str, Any] | None = None


def main(folder: Path) -> None:
    """Runs the job in `folder`, leaves `evidence.npz`, and `result.json` once timed."""
    values = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    job = Job(**{**values, "task": Task(**values["task"])})
    channel = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):  # what libraries print is no answer
        result = _run(job, folder, channel)
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")


def _run(job: Job, folder: Path, channel: Any) -> dict[str, Any]:
    try:
        for module in job.requires:
            importlib.import_module(module)
    except ImportError as error:
        return {"status": f"absent: {error}"}
    if job.step is not None:
        from bench import step

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
            np.savez(folder / "evidence.npz", allow_pickle=False, **gather_evidence(first, batches, steps))
        elif job.warm_up:
            for _ in range(steps):
                next(batches)
        print(READY, file=channel, flush=True)
        if sys.stdin.readline().strip() != GO:
            return {"status": "stopped"}
        timed = _measure(batches, job, usage)
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


def _measure(batches: Iterator[Batch], job: Job, usage: Usage) -> list[dict[str, Any]]:
    """What was timed in front of each accelerator, up to the first that is kept less busy than `HOPELESS`."""
    if not job.emulate:
        return [measure(batches, job.seconds, job.windows, usage)]
    found: list[dict[str, Any]] = []
    for rate in job.emulate:
        taker = accelerator.Accelerator(batches, rate)
        timed = measure(taker, job.seconds, job.windows, usage, waited=partial(getattr, taker, "waited"))
        found.append({"emulate": rate, **accelerator.utilisation(timed, rate)})
        if found[-1]["utilisation"] < HOPELESS:
            break
    return found


def find_loader(path: str) -> Loader:
    """The loader that "module:function" names."""
    module, _, name = path.partition(":")
    loader: Loader = getattr(importlib.import_module(module), name)
    return loader


def gather_evidence(first: Batch, batches: Iterator[Batch], steps: int) -> dict[str, np.ndarray]:
    """Draws one epoch and a batch of the next, which also fills caches, reads every file and compiles what is compiled.

    Args:
        first: the batch already drawn.
        batches: the rest.
        steps: batches in an epoch.

    Returns:
        `images`, `labels`: of the first batches, one behind the other. `labels_seen`: of the whole epoch.
        `sizes`: int64 [steps], images in each batch. `distinct`: different images in the epoch.
        `repeated`: share of the next epoch's first batch that the epoch already held, pixel for pixel.
    """
    images, labels, digests = [], [], []
    batch = first
    for step in range(steps):
        if step < KEPT_BATCHES:
            images.append(np.array(batch[0]))
        labels.append(np.array(batch[1]))
        digests.append(_digests(batch[0]))
        batch = next(batches)
    seen = [digest for batch_digests in digests for digest in batch_digests]
    return {
        "images": np.concatenate(images),
        "labels": np.concatenate(labels[:KEPT_BATCHES]),
        "labels_seen": np.concatenate(labels),
        "sizes": np.array([len(batch_digests) for batch_digests in digests]),
        "distinct": np.array(len(set(seen))),
        "repeated": np.array(np.mean([digest in set(seen) for digest in _digests(batch[0])])),
    }


def _digests(images: np.ndarray) -> list[bytes]:
    return [hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=8).digest() for image in images]


def measure(
    batches: Iterator[tuple[Any, np.ndarray]],
    seconds: float,
    windows: int,
    usage: Usage,
    waited: Callable[[], float] | None = None,
) -> dict[str, Any]:
    """Images per second in consecutive windows of `seconds / windows` each.

    The batches that were made ahead while nobody drew are used up first, in a window that does not count.

    Returns:
        `windows`: images/s of each. `images_per_second`: their median. `spread`: (largest - smallest) / median.
        `cpu_seconds_per_image`: of all threads and child processes. With `waited`, the seconds waited so far:
        `waiting_share`, of the time of all windows.
    """
    time_window(batches, seconds / windows)
    cpu, waiting = usage.cpu_seconds(), waited() if waited else 0.0
    timed = [time_window(batches, seconds / windows) for _ in range(windows)]
    result = summarise(timed)
    if waited:
        result["waiting_share"] = (waited() - waiting) / sum(elapsed for _, elapsed in timed)
    return {**result, "cpu_seconds_per_image": (usage.cpu_seconds() - cpu) / sum(images for images, _ in timed)}


def summarise(timed: list[tuple[int, float]]) -> dict[str, Any]:
    """Images/s of windows, each so many images in so many seconds; see `measure`."""
    rates = [images / elapsed for images, elapsed in timed]
    return {"windows": rates, "images_per_second": statistics.median(rates), "spread": spread(rates)}


def time_window(batches: Iterator[tuple[Any, np.ndarray]], seconds: float) -> tuple[int, float]:
    """Images drawn, and the seconds that took: at least `seconds`, and up to the end of a batch."""
    images, begin = 0, time.perf_counter()
    while True:
        images += len(next(batches)[1])
        elapsed = time.perf_counter() - begin
        if elapsed >= seconds:
            return images, elapsed


def spread(rates: list[float]) -> float:
    """(largest - smallest) / median."""
    return (max(rates) - min(rates)) / statistics.median(rates)


class Usage:
    """Processor time and peak memory of this process and its children; memory is sampled while the context is open.

    Attributes:
        peak_total: resident memory in MiB, pages that processes share counted once for each.
        peak_anonymous: the part of it that no file backs, in MiB; None where the system does not tell.
    """

    def __init__(self, interval: float = 0.1) -> None:
        self.peak_total = 0.0
        self.peak_anonymous: float | None = None
        self._processes = [psutil.Process()]
        self._interval = interval  # seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Usage:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.sample()

    def follow_children(self) -> None:
        """Counts the processes that were started so far."""
        self._processes = [psutil.Process(), *psutil.Process().children(recursive=True)]

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        times = [process.cpu_times() for process in self._processes]
        return sum(time.user + time.system for time in times)

    def _watch(self) -> None:
        while not self._stop.wait(self._interval):
            self.sample()

    def sample(self) -> None:
        """Takes one reading of memory."""
        try:
            infos = [process.memory_info() for process in self._processes]
        except psutil.NoSuchProcess:
            return
        self.peak_total = max(self.peak_total, sum(info.rss for info in infos) / MIB)
        if hasattr(infos[0], "shared"):  # Linux: resident pages of files and of shared memory
            anonymous = sum(info.rss - info.shared for info in infos) / MIB
            self.peak_anonymous = max(self.peak_anonymous or 0.0, anonymous)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
