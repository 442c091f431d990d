"""Commands that are ended by signals at random moments, and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import psutil

from sentiflow import machine

from ..harness.builds import build_into
from ..harness.modules import last_line, run_module
from .forkserver import ForkServer
from .inputs import RAW_NAME, prepare
from .process import Ended, Launch, Started, launch, run
from .rows import Report, Trial
from .snapshot import differences, snapshot
from .victims import MOST, VICTIMS, Sound, Victim, undisturbed

SIGNALS = (signal.SIGKILL, signal.SIGTERM)
INTERRUPTED = 1.0  # seconds in which a command must have ended after Ctrl-C
PATIENCE = 10.0  # seconds in which it must have ended after any signal
EARLY = 0.1  # share of the moments while libraries are loaded
# What TensorFlow leaves in the temporary folder when it is not let end: source files of its own.
GENERATED = "__autograph_generated_file"


def kills(work: Path, *, seed: int, count: int) -> Report:
    """Ends each command so many times by each signal, as many at a time as there are cores."""
    return _storm(work, seed, count, SIGNALS, machine.cores())


def interrupts(work: Path, *, seed: int, count: int) -> Report:
    """Ends each command so many times by Ctrl-C, one at a time: they must end soon."""
    return _storm(work, seed, count, (signal.SIGINT,), 1)


def _storm(
    work: Path, seed: int, count: int, signals: Sequence[signal.Signals], at_a_time: int
) -> Report:
    prepare(work)
    prepare_experiments(work)
    with ThreadPoolExecutor(at_a_time) as pool:
        reports = pool.map(lambda victim: strikes(victim, work, seed, count, signals), VICTIMS)
        return Report([trial for trials in reports for trial in trials])


def strikes(
    victim: Victim, work: Path, seed: int, count: int, signals: Sequence[signal.Signals]
) -> list[Trial]:
    """Ends one command so many times by each signal, some while it loads libraries."""
    out = work / f"{victim.name}-struck" / "out"
    sound = undisturbed(victim, work, out)
    trials = []
    with ForkServer() as server:
        for sent in signals:
            for number in range(count):
                rng = np.random.default_rng([seed, VICTIMS.index(victim), sent, number])
                after = moment(sound, rng)
                trials.append(strike(victim, work, out, sound, sent, after, server.launch))
                print(f"{number}: {' '.join(trials[-1])}", flush=True)
    return trials


def prepare_experiments(work: Path) -> None:
    """Builds a sample of EmotionROI, which the experiments are trained on, beside the rest."""
    photos = str(work / "sample")
    run_module("sentiflow.builders.sample", photos, "--images", "60", "--dataset", "emotionroi")
    build_into(str(work / "data"), "emotionroi", RAW_NAME, photos, 0)


def moment(sound: Sound, rng: np.random.Generator) -> float:
    """Seconds after a start: some while libraries are loaded, else before the command's end."""
    low, high = (0.0, sound.begin) if rng.random() < EARLY else (sound.begin, sound.seconds)
    return float(rng.uniform(low, max(high, low + 0.1)))


def strike(
    victim: Victim,
    work: Path,
    out: Path,
    sound: Sound,
    sent: signal.Signals,
    after: float,
    loaded: Launch | None = None,
) -> Trial:
    """Starts a command, sends a signal, and starts it again.

    Args:
        victim: the command.
        work: the campaign's folder.
        out: what the command writes.
        sound: what it makes when it is left alone.
        sent: the signal.
        after: seconds, of a start that loads libraries.
        loaded: starts a process that has loaded them already.
    """
    victim.prepare(work, out)
    temporary = str(out.parent / "tmp")
    first = launch if loaded is None or after < sound.begin else loaded
    if first is loaded:
        after -= sound.begin
    started = Started(victim.command(work, out), first, TMPDIR=temporary)
    process = started.process
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(after)
    running = process.poll() is None
    process.send_signal(sent)
    began = time.monotonic()
    ended = started.wait(PATIENCE)
    faults = _ending(ended, sent, time.monotonic() - began) if running else []
    if left := left_behind(process.pid):
        faults.append(f"left behind: {', '.join(left)}")
    faults += _again(victim, work, out, sound, loaded or launch)
    where = f"after {after:.2f} s{' of its own' if first is loaded else ''}: "
    subject = f"{victim.name}, {sent.name}"
    outcome = "ended and repeated" if running else "was done before"
    return Trial(subject, outcome, where + "; ".join(faults) if faults else "")


def _ending(ended: Ended, sent: signal.Signals, seconds: float) -> list[str]:
    """What is not as promised about how a command ended."""
    right = (-sent, 128 + sent)  # to a shell both are the second
    faults = []
    if ended.status not in (*right, 0):  # 0: it had done everything
        faults.append(f"{ended.failure or 'status 0'}, not status {right[-1]}")
    if sent == signal.SIGINT and seconds > INTERRUPTED:
        faults.append(f"ended after {seconds:.1f} s")
    if "Traceback" in ended.errors:
        faults.append(f"a traceback: {last_line(ended.errors)}")
    return faults


def left_behind(session: int) -> list[str]:
    """The processes of a session that go on, after a moment."""
    for _ in range(20):
        names = [process.name() for process in _members(session)]
        if not names:
            break
        time.sleep(0.1)
    for process in _members(session):
        process.kill()
    return names


def _members(session: int) -> list[psutil.Process]:
    members = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            alive = process.status() != psutil.STATUS_ZOMBIE
            if alive and os.getsid(process.pid) == session:
                members.append(process)
    return members


def _again(victim: Victim, work: Path, out: Path, sound: Sound, launch: Launch) -> list[str]:
    """What is not as promised about the same command, started again."""
    temporary = out.parent / "tmp"
    command = victim.command(work, out)
    ended = run(command, seconds=MOST, launch=launch, TMPDIR=str(temporary))
    if ended.failure:
        return [f"again, {ended.failure}"]
    faults = [differences(snapshot(out), sound.files)]
    if victim.name == "predict" and ended.output != sound.output:
        faults.append("other predictions")
    names = [path.name for path in temporary.rglob("*") if path.is_file()]
    if left := [name for name in names if not name.startswith(GENERATED)]:
        faults.append(f"temporary files left: {', '.join(left)}")
    return [fault for fault in faults if fault]
