"""Processes of a campaign: bounded in time, and a crash is a result."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from ..harness.modules import QUIET, last_line
from .rows import Report, Trial

WORKER = "sentiflow.bench.campaign.worker"
START = 60.0  # seconds in which a process must have loaded everything, on a busy machine


class Ended(NamedTuple):
    """How a process ended.

    Attributes:
        status: negative for a signal; None if it was ended because its time was over.
        output: what it wrote to standard output.
        errors: what it wrote to standard error.
    """

    status: int | None
    output: str
    errors: str

    @property
    def failure(self) -> str:
        """Why the process is no success, in a line; "" for a success."""
        if self.status is None:
            return "no end in time"
        if self.status < 0:
            return f"ended by {signal.Signals(-self.status).name}"
        if self.status:
            return f"status {self.status}: {last_line(self.output + self.errors)}"
        return ""


def start(command: Sequence[str], **variables: str) -> subprocess.Popen[str]:
    """Starts a process in a session of its own, so that all of its children are known by that."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env={**os.environ, **QUIET, **variables},
        start_new_session=True,
    )


def wait(process: subprocess.Popen[str], seconds: float) -> Ended:
    """Waits for a process; ends it, and all of its session, after so many seconds."""
    try:
        output, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        output, errors = process.communicate()
        return Ended(None, output, errors)
    return Ended(process.returncode, output, errors)


def run(command: Sequence[str], *, seconds: float, **variables: str) -> Ended:
    """Runs a process to its end, see `start` and `wait`."""
    return wait(start(command, **variables), START + seconds)


def perform(task: str, *, seconds: float, **arguments: Any) -> Report | str:
    """Has a worker perform a task; returns why it could not, if it ended before its report.

    Args:
        task: one of `worker.TASKS`.
        seconds: that it may take, imports left out.
        **arguments: of the task.
    """
    command = [sys.executable, "-m", WORKER, task, json.dumps(arguments)]
    ended = run(command, seconds=seconds)
    if ended.failure:
        return ended.failure
    trials, peak_mib = json.loads(ended.output.splitlines()[-1])
    return Report([Trial(*trial) for trial in trials], peak_mib)


def perform_alone(task: str, subject: str, *, seconds: float, **arguments: Any) -> Report:
    """As `perform`; a worker without a report is a trial of its own."""
    report = perform(task, seconds=seconds, **arguments)
    return report if isinstance(report, Report) else Report([Trial(subject, "crash", report)])


def perform_range(
    task: str, first: int, count: int, *, seconds: float, **arguments: Any
) -> Report:
    """Has a worker try inputs by number; one that ends it is narrowed down to.

    Args:
        task: one of `worker.TASKS`, that takes `first` and `count`.
        first: number of the first input.
        count: inputs.
        seconds: that one of them may take.
        **arguments: of the task.
    """
    begun = time.monotonic()
    report = perform(task, seconds=START + seconds * count, first=first, count=count, **arguments)
    if isinstance(report, Report):
        pace = (time.monotonic() - begun) / count
        print(f"{task} {first} to {first + count - 1}: {pace:.2f} s each", file=sys.stderr)
        return report
    if count == 1:
        return Report([Trial(task, "crash", f"number {first}: {report}")])
    half = count // 2
    return perform_range(task, first, half, seconds=seconds, **arguments) + perform_range(
        task, first + half, count - half, seconds=seconds, **arguments
    )
