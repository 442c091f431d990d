"""What limits a run, from rows of `bench.training`: words for tables, sentences for terminals."""

from __future__ import annotations

from collections.abc import Sequence

from ..harness.rows import BASELINE, Row
from ..harness.storages import parse
from .table import percent

LEVELS = (0.9, 0.99)  # utilisation; MLPerf Storage demands the first
KEPT = LEVELS[1]  # an accelerator this busy is not limited by its input
# Utilisation by which another tier or storage must be ahead, and by more than the noise.
BETTER = 0.02
BELIEVED = 1.05  # utilisation above which the ceiling was disturbed
OCCUPIED = 0.75  # share of all cores; below it something else than the processor limits

# What a loader spends its time on: a word, and what it stands for.
WORKER = "worker"
VIEW = "view"
DISK = "disk"
HAND_OVER = "hand-over"
DECODING = "JPEG decoding"
RESIZING = "source files"
STAGES = {
    WORKER: "its one worker, which decodes, resizes and augments image by image",
    VIEW: "the view: cutting windows, augmenting, copying batches",
    DISK: "the disk",
    HAND_OVER: "its workers, or their hand-over of batches",
    DECODING: "the decoding of JPEGs, for which it has all cores",
    RESIZING: "the decoding and resizing of the source files, for which it has all cores",
}
# What else takes the time of a step.
ACCELERATOR = "accelerator"
DISTURBED = "disturbed"
PROCESSOR = "processor"
CALLS = "calls"
STEP = {
    ACCELERATOR: "the accelerator limits the run; no other tier or storage would lift it",
    DISTURBED: "more than a constant batch does: the machine was not left alone",
    PROCESSOR: "the step seldom waits, but shares the processor with its input, which takes the "
    "rest",
    CALLS: "the step seldom waits for batches; the rest goes into copies to the device and calls "
    "from the host",
}
MEANINGS = {**STAGES, **STEP}


def diagnose(rows: Sequence[Row]) -> list[str]:
    """Sentences, one for each contestant at each work.

    Work "training" is the real step; at the others the accelerators are emulated.
    """
    sentences = []
    for work in dict.fromkeys(row.work for row in rows):
        fed = [row for row in rows if row.work == work and is_fed(row)]
        describe = _describe_step if work == "training" else _describe_emulated
        for name in dict.fromkeys(row.contestant for row in fed):
            sentence = describe([row for row in fed if row.contestant == name], fed)
            sentences.append(f"{work}: {sentence}")
    return sentences


def is_fed(row: Row) -> bool:
    """Whether a loader was measured in front of an accelerator; the ceiling is no loader."""
    return row.utilisation is not None and row.kind != "bound"


def fastest_kept(rows: Sequence[Row], level: float) -> float | None:
    """The fastest of the rows' emulated accelerators, images/s, that was at least so busy."""
    kept = [row.emulate for row in rows if row.emulate and (row.utilisation or 0.0) >= level]
    return max(kept, default=None)


def first_too_fast(emulated: Sequence[Row]) -> Row | None:
    """A contestant's row for the slowest accelerator beyond the fastest that it keeps busy.

    None if it keeps all of them.
    """
    kept = fastest_kept(emulated, KEPT) or 0.0
    too_fast = [row for row in emulated if (row.emulate or 0.0) > kept]
    return min(too_fast, key=lambda row: row.emulate or 0.0, default=None)


def limit_of_step(row: Row) -> str:
    """What limits the real step, one of `MEANINGS`."""
    busy = row.utilisation or 0.0
    if busy >= KEPT:
        return DISTURBED if busy > BELIEVED else ACCELERATOR
    if (row.waiting_share or 0.0) >= (1 - busy) / 2:
        return stage(row)
    return PROCESSOR if row.device == "CPU" else CALLS


def stage(row: Row) -> str:
    """What takes the time of a contestant, one of `STAGES`.

    It is told by what the contestant reads and by how busy it keeps the processor. Files whose
    pages the memory holds are not waited for, so a disk is named only where the pages were cold.
    """
    if row.contestant == BASELINE:
        return WORKER
    if row.tier in ("memory", "device"):
        return VIEW
    if occupation(row) < OCCUPIED:
        return DISK if row.pages == "cold" else HAND_OVER
    return {"raw": VIEW, "jpeg": DECODING}.get(parse(row.storage).form, RESIZING)


def occupation(row: Row) -> float:
    """The share of all cores that a contestant keeps busy."""
    cores = row.environment.get("cores") or 1
    return (row.cpu_seconds_per_image or 0.0) * (row.images_per_second or 0.0) / cores


def _waited_for(row: Row) -> str:
    cause = stage(row)
    if cause in (DISK, HAND_OVER):
        return f"{STAGES[cause]}: it has only {percent(occupation(row))} of the processor"
    return STAGES[cause]


def better(row: Row, rows: Sequence[Row]) -> Row | None:
    """The best of the pipeline's tiers and storages among the rows, if it would lift this one."""
    best = max(_others_of_ours(row, rows), key=lambda row: row.utilisation or 0.0, default=None)
    busy = row.utilisation or 0.0
    noise = busy * (row.spread or 0.0) / 2
    ahead = best is not None and (best.utilisation or 0.0) >= busy + max(BETTER, noise)
    return best if ahead else None


def _others_of_ours(row: Row, rows: Sequence[Row]) -> list[Row]:
    return [other for other in rows if other.kind == "ours" and other.contestant != row.contestant]


def remedy(row: Row, rows: Sequence[Row]) -> str:
    """What would lift the utilisation of a row."""
    best = better(row, rows)
    if best is not None:
        lifted = percent(best.utilisation)
        return f"Tier {best.tier} on storage {best.storage} would lift it to {lifted}."
    if row.tier == "none" and all(other.tier == "none" for other in _others_of_ours(row, rows)):
        return "Tier memory, which leaves this stage out, was not measured."
    return "No tier or storage among these would lift it: fewer augmentations or more cores would."


def _describe_step(measured: Sequence[Row], rows: Sequence[Row]) -> str:
    (row,) = measured
    limit = limit_of_step(row)
    start = f"{row.contestant} keeps the {row.device} {percent(row.utilisation)} busy"
    if limit == DISTURBED:
        return f"{start}, {STEP[limit]}. Measure again."
    if limit == ACCELERATOR:
        return f"{start}: {STEP[limit]}."
    if limit in STEP:
        return f"{start}: {STEP[limit]}. {remedy(row, rows)}"
    waiting = f"{percent(row.waiting_share)} of the time goes by waiting for {_waited_for(row)}"
    return f"{start}: the input limits the run: {waiting}. {remedy(row, rows)}"


def _describe_emulated(emulated: Sequence[Row], rows: Sequence[Row]) -> str:
    start = f"{emulated[0].contestant} keeps"
    beyond = first_too_fast(emulated)
    if beyond is None:
        fastest = max(row.emulate or 0.0 for row in emulated)
        return f"{start} every accelerator up to {fastest:,.0f} images/s {KEPT:.0%} busy."
    kept = fastest_kept(emulated, KEPT)
    those = "none of these accelerators"
    if kept is not None:
        those = f"an accelerator of {kept:,.0f} images/s"
    waits = f"gets {beyond.images_per_second:,.0f} and waits for {_waited_for(beyond)}"
    lift = remedy(beyond, [row for row in rows if row.emulate == beyond.emulate])
    return f"{start} {those} {KEPT:.0%} busy; one of {beyond.emulate:,.0f} {waits}. {lift}"
