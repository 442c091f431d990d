"""Processes of a campaign: bounded in time, and a crash is a result."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Any, NamedTuple, Protocol

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


class Process(Protocol):
    """What a campaign does with a process that runs."""

    pid: int

    def poll(self) -> int | None:
        """Its status; None while it runs."""

    def wait(self, timeout: float | None = None) -> int:
        """Its status, at its end. Raises `subprocess.TimeoutExpired` after so many seconds."""

    def send_signal(self, sent: int) -> None:
        """Sends a signal, unless it has ended."""


# (command, standard output, standard error, variables added to the environment) -> the process,
# in a session of its own.
Launch = Callable[[Sequence[str], IO[str], IO[str], Mapping[str, str]], Process]


def launch(
    command: Sequence[str], output: IO[str], errors: IO[str], variables: Mapping[str, str]
) -> Process:
    """Starts a process of Python, as a user would."""
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=errors,
        env={**os.environ, **QUIET, **variables},
        start_new_session=True,
    )


class Started:
    """A process in a session of its own, by which all of its children are known.

    It writes into files: a child that is left behind would keep a pipe open.
    """

    def __init__(self, command: Sequence[str], launch: Launch = launch, **variables: str) -> None:
        self._files = [
            tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115  # `wait` closes it
            for _ in range(2)
        ]
        output, errors = self._files
        self.process = launch(command, output, errors, variables)

    def wait(self, seconds: float) -> Ended:
        """Waits for it; ends it, and all of its session, after so many seconds."""
        status = None
        try:
            status = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        texts = []
        for file in self._files:
            file.seek(0)
            texts.append(file.read())
            file.close()
        return Ended(status, *texts)


def run(
    command: Sequence[str], *, seconds: float, launch: Launch = launch, **variables: str
) -> Ended:
    """Runs a process to its end, which must come within so many seconds after its imports."""
    return Started(command, launch, **variables).wait(START + seconds)


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


def perform_range(task: str, first: int, count: int, *, seconds: float, **arguments: Any) -> Report:
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
