"""Everything that wants an accelerator, within a budget of time: `python -m bench.gpu OUT [PART...]`."""

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

from . import picture, rows
from .rows import SCALES, Measurement, Scale

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
    scale, told = SCALES[scale_name], (str(out), str(work), scale_name)
    small, large = (str(size) for size in scale.batches)
    raw, jpeg = f"raw{scale.image_size}", f"jpeg{scale.image_size}"

    def part(module: str, *choice: str) -> Command:
        return f"sentiflow.bench.gpu.{module}", *told, *choice

    build = part("prepare", f"emotionroi/{raw},emotionroi/{jpeg}")
    return [
        Part("prepare", (_draw(work, "emotionroi", scale), build), 20),
        Part("chip", (part("chip"),), 30),
        Part(f"step-{small}", (part("step", small),), 40),
        Part("experiment-cold", (part("experiment", "cold"),), 60),
        Part("experiment-warm", (part("experiment", "warm"),), 40),
        Part("torch-forward", (part("rival", "forward"),), 30, requires="torchvision"),
        Part(f"switches-{small}", (part("step", f"{small}-switches"),), 40),
        Part(f"step-{large}", (part("step", large),), 40),
        Part(
            "torch-training",
            (part("export"), part("rival", "training")),
            45,
            requires="torchvision",
        ),
        Part(
            "nine",
            (_draw(work, "twitter1", scale), part("prepare", f"twitter1/{raw}"), part("nine")),
            90,
        ),
        Part(f"switches-{large}", (part("step", f"{large}-switches"),), 40),
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
    """Measures what an accelerator does with this software, into OUT/gpu.json: all PARTs, or those named."""
    scale_name = "small" if small else "full"
    whole = plan(out, work / scale_name, scale_name)
    names = [part.name for part in whole]
    if wrong := [name for name in parts if name not in names]:
        raise click.UsageError(f"PART must be one of {', '.join(names)}. Received: {wrong[0]}")
    out.mkdir(parents=True, exist_ok=True)
    (work / scale_name).mkdir(parents=True, exist_ok=True)
    end = time.monotonic() + minutes * 60
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that no part is left behind
    for part in whole:
        if not parts or part.name in parts:
            status = run(part, out, work / scale_name, end, patient=small)
            left = end - time.monotonic()
            print(f"== {part.name}: {status}; {max(left, 0):.0f} s left", flush=True)
            if status != "ok":
                rows.keep(out, Measurement(part=part.name, name="part", status=status))
            picture.draw(rows.read(out / rows.FILE), out / "gpu.png")
    print(f"Written: {out}/{rows.FILE}, gpu.png, and a log of each part. {work} may be removed.")


def run(part: Part, out: Path, work: Path, end: float, *, patient: bool) -> str:
    """Runs a part's commands until the budget ends; returns "ok", or what happened instead.

    Args:
        part: of the plan.
        out: for its log.
        work: for what is compiled.
        end: of the budget, in seconds of the monotonic clock.
        patient: begin it whatever it needs.
    """
    if (
        part.requires
        and subprocess.run(
            [sys.executable, "-c", f"import {part.requires}"], capture_output=True
        ).returncode
    ):
        return f"absent: {part.requires}"
    began = time.monotonic()
    if end - began < (1 if patient else part.needs):
        return f"skipped: {max(end - began, 0):.0f} s of the budget were left, it needs {part.needs:.0f}"
    end = min(end, began + part.most)
    with open(out / f"{part.name}.log", "wb") as log:
        for command in part.commands:
            status = _run(command, log, _environment(work), end)
            if status != "ok":
                return (
                    status
                    if status.startswith("cut")
                    else f"failed: {_last_line(out / f'{part.name}.log')}"
                )
    return "ok"


def _run(command: Command, log: object, environment: dict[str, str], end: float) -> str:
    """Runs one module in a process group of its own, which is gone when this returns."""
    arguments = [sys.executable, "-m", *command]
    with subprocess.Popen(
        arguments, stdout=None, stderr=log, env=environment, start_new_session=True
    ) as process:  # type: ignore[call-overload]
        try:
            code = process.wait(max(end - time.monotonic(), 1))
            return "ok" if code == 0 else "failed"
        except subprocess.TimeoutExpired:
            return "cut: its time was over; what was measured until then stands"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _environment(work: Path) -> dict[str, str]:
    """JAX, with a cache of compiled programs and of what its compiler tried, so that none is compiled twice."""
    return {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "JAX_COMPILATION_CACHE_DIR": str(work / "compiled"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.5",
        "JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES": "xla_gpu_per_fusion_autotune_cache_dir",
        **os.environ,
        "KERAS_BACKEND": "jax",
    }


def _last_line(log: Path) -> str:
    lines = [
        line.strip()
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines()
        if line.strip()
    ]
    return lines[-1] if lines else "it said nothing"


if __name__ == "__main__":
    main()
