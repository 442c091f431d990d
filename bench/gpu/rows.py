"""Rows of the measurements on an accelerator, and the clock that all parts use."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sentiflow import machine
from sentiflow.files import write_json

from ..harness.rows import environment
from ..worker import clock

FILE = "gpu.json"
WINDOWS = 5


@functools.cache
def machine_facts() -> dict[str, Any]:
    """The accelerator, the host and the versions behind a result."""
    card, driver, memory = (_nvidia_smi() or "none, -, -").split(", ")
    versions = {name: machine.version(name) for name in ("jax", "keras", "torch")}
    versions["tensorflow"] = machine.version("tensorflow") or machine.version("tensorflow-cpu")
    host = environment()
    return (
        {"card": card, "driver": driver, "card_memory": memory}
        | {name: host[name] for name in ("cpu", "cores", "memory_gib", "python", "numpy")}
        | versions
    )


def _nvidia_smi() -> str | None:
    """Name, driver and memory of the first card; None where there is none."""
    query = "--query-gpu=name,driver_version,memory.total"
    command = ["nvidia-smi", query, "--format=csv,noheader"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.splitlines()[0] if done.returncode == 0 and done.stdout.strip() else None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measurement:
    """One result. What was not measured is None.

    Attributes:
        part: which part of the plan it belongs to.
        name: what was measured.
        batch_size: images.
        variant: which way of doing it, "" for the trainer's own.
        status: "ok", or why there is no number.
        images_per_second: median over the windows, or of the whole.
        spread: (largest - smallest) / median of the windows.
        tflops: 10^12 floating-point operations a second, a multiplication and an addition being
            two.
        gigabytes_per_second: read and written.
        share: of the rate of the large product.
        utilisation: images_per_second / that of a constant batch at the same batch size.
        waiting_share: of the time, spent waiting for batches.
        cpu_seconds_per_image: of the host, all threads and processes.
        device_memory_mib: the most in use on the accelerator so far in that process.
        seconds: of the whole.
        import_seconds: of these, until everything was imported.
        data_seconds: of these, in opening, reading and decoding the dataset.
        compile_seconds: of these, in the accelerator's compiler.
        training_seconds: of these, in epochs, compilation left out.
        images: that went through.
        words: sentences, where the result is not a number.
        machine: card, driver, processor, versions.
        commit: of this software.
    """

    part: str
    name: str
    batch_size: int | None = None
    variant: str = ""
    status: str = "ok"
    images_per_second: float | None = None
    spread: float | None = None
    tflops: float | None = None
    gigabytes_per_second: float | None = None
    share: float | None = None
    utilisation: float | None = None
    waiting_share: float | None = None
    cpu_seconds_per_image: float | None = None
    device_memory_mib: float | None = None
    seconds: float | None = None
    import_seconds: float | None = None
    data_seconds: float | None = None
    compile_seconds: float | None = None
    training_seconds: float | None = None
    images: int | None = None
    words: tuple[str, ...] = ()
    machine: dict[str, Any] = dataclasses.field(default_factory=machine_facts)
    commit: str | None = dataclasses.field(
        default_factory=lambda: os.environ.get("COMMIT") or machine.commit()
    )

    @property
    def key(self) -> tuple[Any, ...]:
        """What tells it from other results."""
        return self.part, self.name, self.batch_size, self.variant


def read(path: Path) -> list[Measurement]:
    """The results in a file, as they were measured; none where there is no file."""
    if not path.exists():
        return []
    stored = json.loads(path.read_text(encoding="utf-8"))
    return [Measurement(**{**values, "words": tuple(values["words"])}) for values in stored]


def keep(out: Path, measurement: Measurement) -> None:
    """Adds a result to `OUT/gpu.json`, where it replaces an older one of the same.

    The file is always whole.
    """
    others = [other for other in read(out / FILE) if other.key != measurement.key]
    values = [dataclasses.asdict(stored) for stored in (*others, measurement)]
    write_json(out / FILE, values)
    print(line(measurement), flush=True)


def line(measurement: Measurement) -> str:
    """A result as one line of progress."""
    values = {
        name: value
        for name, value in dataclasses.asdict(measurement).items()
        if isinstance(value, float | int) and name != "batch_size"
    }
    batch = f" batch {measurement.batch_size}" if measurement.batch_size else ""
    figures = ", ".join(f"{name} {value:.4g}" for name, value in values.items())
    title = f"{measurement.part}: {measurement.name}{batch} {measurement.variant}".rstrip()
    return f"{title}: {measurement.status if measurement.status != 'ok' else figures}"


def time_calls(
    call: Callable[[], Any], wait: Callable[[Any], Any], *, seconds: float
) -> tuple[float, float]:
    """Times calls that are dispatched one behind the other and waited for at the end of a window.

    Args:
        call: does it once; its result may come later.
        wait: waits for a result.
        seconds: of all windows.

    Returns:
        Seconds of a call, the median over the windows; and (longest - shortest) / median.
    """
    for _ in range(2):  # the first may compile
        began = time.perf_counter()
        wait(call())
        once = time.perf_counter() - began
    calls = max(1, round(seconds / WINDOWS / once))
    windows = []
    for _ in range(WINDOWS):
        began = time.perf_counter()
        for _ in range(calls - 1):
            call()
        wait(call())
        windows.append((time.perf_counter() - began) / calls)
    return statistics.median(windows), clock.spread(windows)
