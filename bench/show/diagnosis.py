"""What limits a run, in words, from the rows of `bench.training`."""

from __future__ import annotations

from collections.abc import Sequence

from ..harness.rows import BASELINE, Row
from .utilisation import LEVELS, fastest_kept, percent

KEPT = LEVELS[1]  # an accelerator this busy is not limited by its input
BETTER = (
    0.02  # utilisation by which another tier or storage must be ahead, and by more than the noise
)
BELIEVED = 1.05  # utilisation above which the ceiling was disturbed
VIEW = "the view: cutting windows, augmenting, copying batches"
OCCUPIED = 0.75  # share of all cores; below it something else than the processor limits


def diagnose(rows: Sequence[Row]) -> list[str]:
    """Sentences, one for each contestant in front of the real step, or in front of the emulated accelerators."""
    sentences = []
    for work in dict.fromkeys(row.work for row in rows):
        timed = [row for row in rows if row.work == work and row.utilisation is not None]
        fed = [row for row in timed if row.kind != "bound"]
        tell = _tell_step if work == "training" else _tell_emulated
        for name in dict.fromkeys(row.contestant for row in fed):
            sentence = tell([row for row in fed if row.contestant == name], fed)
            sentences.append(f"{work}: {sentence}")
    return sentences


def _tell_step(measured: Sequence[Row], rows: Sequence[Row]) -> str:
    (row,) = measured
    busy = row.utilisation or 0.0
    start = f"{row.contestant} keeps the {row.device} {percent(busy)} busy"
    if busy > BELIEVED:
        return f"{start}, more than a constant batch does: the machine was not left alone. Measure again."
    if busy >= KEPT:
        return f"{start}: the accelerator limits the run; no other tier or storage would lift it."
    lost = 1 - busy
    if (row.waiting_share or 0.0) >= lost / 2:
        cause = f"the input limits the run: {percent(row.waiting_share)} of the time goes by waiting for {stage(row)}"
    elif row.device == "CPU":
        cause = (
            "the step seldom waits, but shares the processor with its input, which takes the rest"
        )
    else:
        cause = "the step seldom waits for batches; the rest goes into copies to the device and calls from the host"
    return f"{start}: {cause}. {remedy(row, rows)}"


def _tell_emulated(emulated: Sequence[Row], rows: Sequence[Row]) -> str:
    kept = fastest_kept(emulated, KEPT)
    fastest = max(row.emulate or 0.0 for row in emulated)
    start = f"{emulated[0].contestant} keeps "
    if kept == fastest:
        return f"{start}every accelerator up to {fastest:,.0f} images/s {KEPT:.0%} busy."
    start += (
        "none of these accelerators" if kept is None else f"an accelerator of {kept:,.0f} images/s"
    )
    too_fast = [row for row in emulated if (row.emulate or 0.0) > (kept or 0.0)]
    beyond = min(too_fast, key=lambda row: row.emulate or 0.0)
    peers = [row for row in rows if row.emulate == beyond.emulate]
    limit = f"one of {beyond.emulate:,.0f} gets {beyond.images_per_second:,.0f} and waits for {stage(beyond)}"
    return f"{start} {KEPT:.0%} busy; {limit}. {remedy(beyond, peers)}"


def stage(row: Row) -> str:
    """What takes the time of a contestant, by what it reads and by how busy it keeps the processor.

    Files whose pages the memory holds are not waited for, so a disk is named only where the pages
    were cold.
    """
    occupied = _occupation(row)
    if row.contestant == BASELINE:
        return "its one worker, which decodes, resizes and augments image by image"
    if row.tier in ("memory", "device"):
        return VIEW
    if occupied < OCCUPIED:
        idle = f"it has only {percent(occupied)} of the processor"
        return (
            f"the disk: {idle}"
            if row.pages == "cold"
            else f"its workers, or their hand-over of batches: {idle}"
        )
    if row.storage.startswith("raw"):
        return VIEW
    if row.storage.startswith("jpeg"):
        return "the decoding of JPEGs, for which it has all cores"
    return "the decoding and resizing of the source files, for which it has all cores"


def _occupation(row: Row) -> float:
    cores = row.environment.get("cores") or 1
    return (row.cpu_seconds_per_image or 0.0) * (row.images_per_second or 0.0) / cores


def remedy(row: Row, rows: Sequence[Row]) -> str:
    """Which of the pipeline's tiers and storages among the rows does better."""
    ours = [other for other in rows if other.kind == "ours" and other.contestant != row.contestant]
    best = max(ours, key=lambda other: other.utilisation or 0.0, default=None)
    busy = row.utilisation or 0.0
    noise = busy * (row.spread or 0.0) / 2
    if best is None or (best.utilisation or 0.0) < busy + max(BETTER, noise):
        if row.tier == "none" and all(other.tier == "none" for other in ours):
            return "Tier memory, which leaves this stage out, was not measured."
        return (
            "No tier or storage among these would lift it: fewer augmentations or more cores would."
        )
    return (
        f"Tier {best.tier} on storage {best.storage} would lift it to {percent(best.utilisation)}."
    )
