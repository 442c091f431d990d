"""What a worker is told to do, and the lines by which it and its parent talk."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from ..contestants.task import Task

READY = "bench: ready"  # the worker's line when it could start the clock
GO = "go"  # the parent's line that starts it


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What to time, and for how long.

    Attributes:
        function: "module:function" of the loader.
        requires: what to import before the clock starts, see `Contestant`.
        prepare: whether the process is prepared as those of commands are, see `sentiflow.startup`.
        task: what the loader is called with.
        seconds: timed in all.
        windows: that the seconds are divided into.
        evidence: whether to leave evidence of what the batches are.
        warm_up: whether an epoch is drawn before the clock starts. Evidence needs one.
        emulate: images/s of the emulated accelerators that take the batches, one after the other,
            slowest first; without any, batches are taken as fast as they come.
        step: settings of the real training step that takes them, see `bench.ours.step`; None trains
            nothing.
    """

    function: str
    requires: tuple[str, ...]
    prepare: bool
    task: Task
    seconds: float
    windows: int
    evidence: bool = True
    warm_up: bool = True
    emulate: Sequence[float] = ()
    step: dict[str, Any] | None = None
