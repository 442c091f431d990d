"""What the accelerator does during training steps: a trace, reduced to shares of the time.

JAX's profiler makes it. It tells what is left to gain where the input is no longer waited for: the
time without any operation, copies from the host, and the operations that take most. The trace
itself can be opened in TensorBoard or in Perfetto.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from rich.table import Table

from sentiflow.files import write_text

from ..show.table import rich_table

STEPS = 20
SHOWN = 12  # kinds of operation
# The numbers by which a compiler tells operations of one kind apart.
NAME = re.compile(r"[._-]?\d+(?=[._-]|$)")


class Operation(NamedTuple):
    """Something that a device did: its kind, and when, in nanoseconds."""

    kind: str
    start: float
    end: float


def trace(
    train: Callable[[Callable[[int, Callable[[], Any]], bool]], None], folder: Path
) -> dict[str, Any]:
    """Trains for `STEPS` more steps under the profiler, on JAX.

    Args:
        train: trains until what it is given, a `step.Tick`, says that it is enough.
        folder: of the trace.

    Returns:
        What `summarise` returns; it also lies in `folder`, as `profile.json`, beside the trace.
    """
    import jax

    options = jax.profiler.ProfileOptions()
    options.python_tracer_level = 0  # it would slow the host down
    with jax.profiler.trace(folder, profiler_options=options):
        train(_enough)
    files = sorted(folder.rglob("*.xplane.pb"), key=lambda path: path.stat().st_mtime)
    summary = summarise(list(operations(jax.profiler.ProfileData.from_file(str(files[-1])))))
    write_text(folder / "profile.json", json.dumps(summary, indent=1) + "\n")
    return summary


def _enough(steps: int, wait: Callable[[], Any]) -> bool:
    if steps < STEPS:
        return False
    wait()
    return True


def operations(profile: Any) -> Iterator[Operation]:
    """What an accelerator's streams did.

    On a machine without one, what the host did for compiled programs.
    """
    planes = list(profile.planes)
    devices = [plane for plane in planes if plane.name.startswith("/device:")]
    for plane in devices or planes:
        for line in plane.lines:
            if devices and not line.name.startswith(("Stream", "XLA Ops")):
                continue  # the same time once more, by program, by step or by source line
            for event in line.events:
                known = dict(event.stats)
                if devices or "hlo_op" in known:
                    kind = NAME.sub("", str(known.get("hlo_op") or event.name))
                    yield Operation(kind, event.start_ns, event.start_ns + event.duration_ns)


def summarise(done: Sequence[Operation]) -> dict[str, Any]:
    """Shares of the time from the first operation to the end of the last.

    Returns:
        `seconds`: that time. `busy`: the share in which something ran. `operations`: the kinds that
        took most, each with its `share` (of all operations' time, which may overlap) and number of
        `calls`. `groups`: the shares of all kinds of a group together.
    """
    if not done:
        return {"seconds": 0.0, "busy": 0.0, "operations": [], "groups": {}}
    busy = 0.0
    reached = float("-inf")
    for _, start, end in sorted(done, key=lambda operation: operation.start):
        busy += max(end - max(start, reached), 0.0)
        reached = max(reached, end)
    span = max(operation.end for operation in done) - min(operation.start for operation in done)
    spent = Counter[str]()
    calls = Counter(operation.kind for operation in done)
    for kind, start, end in done:
        spent[kind] += end - start  # type: ignore[assignment]
    total = sum(spent.values())
    most = [
        {"kind": kind, "share": time / total, "calls": calls[kind]}
        for kind, time in spent.most_common(SHOWN)
    ]
    groups = Counter[str]()
    for kind, time in spent.items():
        groups[group_of(kind)] += time / total  # type: ignore[assignment]
    return {"seconds": span / 1e9, "busy": busy / span, "operations": most, "groups": dict(groups)}


# What kinds of operation are called, in their order: the first that fits. Names are those of XLA
# and of its libraries.
GROUPS = {
    "copies between host and accelerator": re.compile(
        r"memcpy(h2d|d2h)|infeed|outfeed", re.IGNORECASE
    ),
    "convolutions and matrix products": re.compile(
        r"conv(?!ert)|cudnn|gemm|cublas|\bdot|cutlass|xmma|nvjet", re.IGNORECASE
    ),
    "gathers": re.compile(r"gather|scatter|dynamic", re.IGNORECASE),
    "copies and conversions": re.compile(r"copy|memcpy|convert|transpose|bitcast", re.IGNORECASE),
}
OTHERS = "other kernels, element by element"
ADVICE = {
    "convolutions and matrix products": "only another number format or faster kernels would "
    "shorten these",
    OTHERS: "normalisation, additions and activations that were not fused into a convolution are "
    "among them: folding BatchNormalization takes most of these away",
    "gathers": "these are the view: fewer checks and words of four bytes would shorten them",
    "copies and conversions": "weights that are held in the format of the computation need none",
    "copies between host and accelerator": "the tier device needs next to none",
}
SLIGHT = 0.03  # share of the time below which nothing is advised


def words(summary: dict[str, Any]) -> list[str]:
    """What is left of the time, the largest share first, a sentence each.

    Each says what would take it away.
    """
    if not summary["operations"]:
        return ["The profiler saw no operation."]
    shares = Counter[str]()
    for group, share in summary["groups"].items():
        shares[group] = share * summary["busy"]
    shares["nothing at all"] = 1 - summary["busy"]
    advice = ADVICE | {
        "nothing at all": "it waits for calls from the host: more steps in one call would fill it"
    }
    return [
        f"{share:.1%} of the time: {group}" + (f" ({advice[group]})." if share >= SLIGHT else ".")
        for group, share in shares.most_common()
        if share >= 0.0005
    ]


def group_of(kind: str) -> str:
    """Which of `GROUPS` a kind of operation belongs to."""
    return next((name for name, pattern in GROUPS.items() if pattern.search(kind)), OTHERS)


def table(contestant: str, summary: dict[str, Any]) -> Table:
    """The shares, the largest first."""
    idle = f"idle {1 - summary['busy']:.1%} of {summary['seconds']:.2f} s"
    title = f"profile of {STEPS} steps fed by {contestant}: {idle}"
    lines = [
        (operation["kind"][:80], f"{operation['share']:.1%}", f"{operation['calls']:,}")
        for operation in summary["operations"]
    ]
    return rich_table(title, ("operation", "share", "calls"), lines)
