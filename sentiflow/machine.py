"""What results are measured with: processor, installed versions, commit of this software."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import platform
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

CPU_FACTS = Path("/proc/cpuinfo")  # of Linux, which names the processor nowhere else


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def hardware() -> dict[str, Any]:
    """`cpu`, the model's name; `cores` that this process may use; `memory_gib` of the machine."""
    import psutil  # not above: only who measures has to have it

    memory_gib = psutil.virtual_memory().total / 2**30
    return {"cpu": cpu_model(), "cores": cores(), "memory_gib": round(memory_gib, 1)}


def software(packages: Iterable[str]) -> dict[str, str | None]:
    """`platform`, `python`, and the installed version of each package, None where it is missing."""
    system = {"platform": platform.platform(), "python": platform.python_version()}
    return system | {package: version(package) for package in packages}


def version(package: str) -> str | None:
    """The installed version of a package; None where no package of that name is installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def cpu_model() -> str:
    """The name of the processor."""
    return _cpu_fact("model name") or platform.processor() or platform.machine()


def instructions() -> str:
    """A short name for the set of instructions that the processor has."""
    facts = _cpu_fact("flags") or _cpu_fact("Features") or cpu_model()
    return hashlib.sha256(facts.encode()).hexdigest()[:12]


def _cpu_fact(name: str) -> str:
    """What the system says of the first core; nothing where it says nothing."""
    try:
        lines = CPU_FACTS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "")


@functools.cache
def commit() -> str | None:
    """The checked-out commit of this software, with "-dirty" where files differ from it.

    None outside a checkout.
    """
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    folder = Path(__file__).parent
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() or None
