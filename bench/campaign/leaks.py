"""Long runs whose process must stay as it is, and commands that are started twice at once."""

from __future__ import annotations

import sys
from pathlib import Path

from .inputs import STORAGES, prepare
from .kills import left_behind
from .process import Ended, Started, perform_alone
from .rows import Report, Trial
from .snapshot import differences, snapshot
from .victims import MOST, VICTIMS, Sound, Victim, undisturbed

TIERS = ("none", "memory", "device")
OPENINGS = 10  # of a dataset, for every epoch of a training
EPOCH, OPENING = 2.0, 0.5  # seconds that each may take
TWICE = ("build", "train")
PAIRS = 50  # epochs, for each of which pairs are started


def leaks(work: Path, *, seed: int, count: int) -> Report:
    """Trains so many epochs with every tier and storage, opens a dataset, and starts pairs."""
    report = Report([])
    for storage in STORAGES:
        for cache in TIERS:
            arguments = {"storage": storage, "cache": cache, "count": count}
            subject = f"{count} epochs, {cache} tier, {storage}"
            report += perform_alone("epochs", subject, seconds=EPOCH * count, **arguments)
            print(*report.trials[-1:], file=sys.stderr)
    openings = OPENINGS * count
    subject = f"{openings} openings of a dataset"
    report += perform_alone("opens", subject, seconds=OPENING * openings, count=openings)
    return report + pairs(work, max(1, count // PAIRS))


def pairs(work: Path, count: int) -> Report:
    """Starts each of `TWICE` twice at once in the same folder, so many times."""
    prepare(work)
    victims = [victim for victim in VICTIMS if victim.name in TWICE]
    trials = []
    for victim in victims:
        out = work / "shared" / "out"
        sound = undisturbed(victim, work, out)
        trials += [pair(victim, work, out, sound) for _ in range(count)]
    return Report(trials)


def pair(victim: Victim, work: Path, out: Path, sound: Sound) -> Trial:
    """Starts a command twice at once: one succeeds, the other is refused or is right as well."""
    victim.prepare(work, out)
    command = victim.command(work, out)
    both = [Started(command), Started(command)]
    ended = [started.wait(MOST) for started in both]
    faults = [_wrong(one) for one in ended]
    if all(one.failure for one in ended):
        faults.append("neither succeeds")
    faults.append(differences(snapshot(out), sound.files))
    faults += [f"left behind: {name}" for one in both for name in left_behind(one.process.pid)]
    refused = sum(bool(one.failure) for one in ended)
    outcome = "one is refused" if refused == 1 else "both succeed" if not refused else "fault"
    return Trial(f"two of {victim.name} at once", outcome, "; ".join(filter(None, faults)))


def _wrong(ended: Ended) -> str:
    """What is wrong about how one of two ended; a refusal is right."""
    refused = ended.status == 2 and "Traceback" not in ended.errors
    return "" if refused else ended.failure
