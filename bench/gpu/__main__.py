"""Everything that wants an accelerator, within a budget of time.

`python -m bench.gpu OUT [PART...]`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

from sentiflow.terminal import echo

from ..harness.modules import last_line
from . import picture, rows
from .context import SCALES, Scale
from .rows import Measurement

Command = tuple[str, ...]  # a module and its arguments


@dataclasses.dataclass(frozen=True)
class Part:
    """A part of the plan.

    Attributes:
        name: of the part, and of its log.
        commands: run one after the other; each has a process of its own.
        needs: seconds without which it is not begun, on a machine such as the plan is made for.
        most: seconds after which it is ended, so that others get their turn.
        requires: a package without which it cannot be run; "" if it needs no more than this
            software does.
    """

    name: str
    commands: tuple[Command, ...]
    needs: float
    most: float = 150
    requires: str = ""


def plan(out: Path, work: Path, scale_name: str) -> list[Part]:
    """The parts, those first that tell most."""
    scale = SCALES[scale_name]
    small, large = (str(size) for size in scale.batches)

    def module(name: str, *choice: str) -> Command:
        return f"sentiflow.bench.gpu.{name}", str(out), str(work), scale_name, *choice

    def prepare(dataset: str, *forms: str) -> tuple[Command, Command]:
        configs = (f"{dataset}/{form}{scale.image_size}" for form in forms)
        return _draw(work, dataset, scale), module("prepare", ",".join(configs))

    torch_training = (module("export"), module("rival", "training"))
    nine = (*prepare("twitter1", "raw"), module("nine"))
    return [
        Part("prepare", prepare("emotionroi", "raw", "jpeg"), 20),
        Part("chip", (module("chip"),), 30),
        Part(f"step-{small}", (module("step", small),), 40),
        Part("experiment-cold", (module("experiment", "cold"),), 60),
        Part("experiment-warm", (module("experiment", "warm"),), 40),
        Part("torch-forward", (module("rival", "forward"),), 30, requires="torchvision"),
        Part(f"switches-{small}", (module("step", f"{small}-switches"),), 40),
        Part(f"step-{large}", (module("step", large),), 40),
        Part("torch-training", torch_training, 45, requires="torchvision"),
        Part("nine", nine, 90),
        Part(f"switches-{large}", (module("step", f"{large}-switches"),), 40),
    ]


def _draw(work: Path, dataset: str, scale: Scale) -> Command:
    images = () if scale.photographs is None else ("--images", str(scale.photographs))
    return "sentiflow.builders.sample", str(work / "photos"), "--dataset", dataset, *images


@click.command()
@click.argument("out", type=click.Path(path_type=Path, file_okay=False, resolve_path=True))
@click.argument("parts", nargs=-1)
@click.option(
    "--work",
    type=click.Path(path_type=Path, file_okay=False, resolve_path=True),
    default=Path(tempfile.gettempdir(), "sentiflow-gpu"),
    show_default=True,
    help="Photographs, datasets and compiled programs; kept, so that a second call finds them.",
)
@click.option(
    "--minutes", envvar="GPU_MINUTES", type=click.FloatRange(0.1), default=9, show_default=True
)
@click.option(
    "--small",
    envvar="SMALL",
    is_flag=True,
    help="The rehearsal: seconds for each part, on a CPU as well.",
)
def main(out: Path, parts: tuple[str, ...], work: Path, minutes: float, small: bool) -> None:
    """Measures what an accelerator does with this software, into OUT/gpu.json.

    All PARTs are measured, or those named.
    """
    scale_name = "small" if small else "full"
    folder = work / scale_name
    planned = choose(plan(out, folder, scale_name), parts)
    out.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + minutes * 60
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no part is left behind
    for part in planned:
        status = run(part, out, folder, end, patient=small)
        left = end - time.monotonic()
        print(f"== {part.name}: {status}; {max(left, 0):.0f} s left", flush=True)
        if status != "ok":
            rows.keep(out, Measurement(part=part.name, name="part", status=status))
        picture.draw(rows.read(out / rows.FILE), out / "gpu.png")
    echo(f"Written: {out}/{rows.FILE}, gpu.png, and a log of each part. {work} may be removed.")


def choose(parts: list[Part], names: tuple[str, ...]) -> list[Part]:
    """The parts of those names, in the order of the plan; all for none."""
    known = [part.name for part in parts]
    if wrong := [name for name in names if name not in known]:
        raise click.UsageError(f"PART must be one of {', '.join(known)}. Received: {wrong[0]}")
    return [part for part in parts if not names or part.name in names]


def run(part: Part, out: Path, work: Path, end: float, *, patient: bool) -> str:
    """Runs a part's commands until the budget ends; returns "ok", or what happened instead.

    Args:
        part: of the plan.
        out: for its log.
        work: for what is compiled.
        end: of the budget, in seconds of the monotonic clock.
        patient: begin it whatever it needs.
    """
    if part.requires and not _importable(part.requires):
        return f"absent: {part.requires}"
    left = end - time.monotonic()
    if left < (1 if patient else part.needs):
        budget = f"{max(left, 0):.0f} s of the budget were left"
        return f"skipped: {budget}, it needs {part.needs:.0f}"
    end = min(end, time.monotonic() + part.most)
    log = out / f"{part.name}.log"
    log.write_bytes(b"")
    for command in part.commands:
        status = _run(command, log, _environment(work), end)
        if status != "ok":
            return status
    return "ok"


def _importable(package: str) -> bool:
    command = [sys.executable, "-c", f"import {package}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _run(command: Command, log: Path, environment: dict[str, str], end: float) -> str:
    """Runs one module in a process group of its own, which is gone when this returns."""
    arguments = [sys.executable, "-m", *command]
    with (
        open(log, "ab") as errors,
        subprocess.Popen(
            arguments, stderr=errors, env=environment, start_new_session=True
        ) as process,
    ):
        try:
            code = process.wait(max(end - time.monotonic(), 1))
            return "ok" if code == 0 else f"failed: {_reason(log)}"
        except subprocess.TimeoutExpired:
            return "cut: its time was over; what was measured until then stands"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _environment(work: Path) -> dict[str, str]:
    """JAX, with a cache of what its compiler made and tried: nothing is compiled twice."""
    return {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "JAX_COMPILATION_CACHE_DIR": str(work / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.5",
        "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES": "xla_gpu_per_fusion_autotune_cache_dir",
        **os.environ,
        "KERAS_BACKEND": "jax",
    }


def _reason(log: Path) -> str:
    return last_line(log.read_text(encoding="utf-8", errors="replace")) or "it said nothing"


if __name__ == "__main__":
    main()
