"""The process of a campaign that tries inputs: its address space is bounded, it prints a report."""

from __future__ import annotations

import contextlib
import json
import resource
import sys
from collections.abc import Callable, Iterator
from typing import Any

from sentiflow import startup

startup.command(__name__)

import psutil

from . import damage, levels, mutants, strangers
from .rows import Trial

MIB = 2**20
# Of address space, beyond what libraries take: a picture of the builder's most pixels fits in
# several times, what grows with a number in a header does not.
BOUND = 3072 * MIB

TASKS: dict[str, Callable[..., Iterator[Trial]]] = {
    "pictures": mutants.pictures,
    "lists": damage.lists,
    "shards": damage.shards,
    "epochs": levels.epochs,
    "opens": levels.opens,
    "strangers": strangers.strangers,
    "changed": strangers.changed,
}


def main() -> None:
    """Performs the task that is named, with arguments in JSON."""
    task, arguments = sys.argv[1:]
    bound_memory()
    with contextlib.redirect_stdout(sys.stderr):
        trials = list(TASKS[task](**json.loads(arguments)))
    print(json.dumps([trials, peak_mib()]))


def bound_memory() -> None:
    """Makes an allocation beyond `BOUND` fail, from now on."""
    most = psutil.Process().memory_info().vms + BOUND
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def peak_mib() -> float:
    """The most resident memory that this process has had, MiB."""
    used: Any = resource.getrusage(resource.RUSAGE_SELF)
    return float(used.ru_maxrss / 1024)


if __name__ == "__main__":
    main()
