"""Commands that are ended by signals at random moments, and started again."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import psutil

from ..harness.builds import build_into
from ..harness.modules import run_module
from .inputs import RAW_NAME, prepare
from .process import Ended, Started, run
from .rows import Report, Trial
from .snapshot import differences, snapshot
from .victims import MOST, VICTIMS, Sound, Victim, undisturbed

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
INTERRUPTED = 1.0  # seconds in which a command must have ended after Ctrl-C
PATIENCE = 10.0  # seconds in which it must have ended after any signal
EARLY = 0.1  # share of the moments while libraries are loaded
# What TensorFlow leaves in the temporary folder when it is not let end: source files of its own.
GENERATED = "__autograph_generated_file"


def kills(work: Path, *, seed: int, count: int) -> Report:
    """Ends each command so many times by each signal; by Ctrl-C a tenth as often."""
    prepare(work)
    prepare_experiments(work)
    trials = []
    for victim in VICTIMS:
        out = work / "struck" / "out"
        sound = undisturbed(victim, work, out)
        for sent in SIGNALS:
            times = count if sent != signal.SIGINT else -(-count // 10)
            for number in range(times):
                rng = np.random.default_rng([seed, VICTIMS.index(victim), sent, number])
                trial = strike(victim, work, out, sound, sent, moment(sound, sent, rng))
                trials.append(trial)
                print(f"{trial.subject} {number}: {trial.outcome} {trial.fault}", flush=True)
    return Report(trials)


def prepare_experiments(work: Path) -> None:
    """Builds a sample of EmotionROI, which the experiments are trained on, beside the rest."""
    photos = str(work / "sample")
    run_module("sentiflow.builders.sample", photos, "--images", "60", "--dataset", "emotionroi")
    build_into(str(work / "data"), "emotionroi", RAW_NAME, photos, 0)


def moment(sound: Sound, sent: signal.Signals, rng: np.random.Generator) -> float:
    """Seconds after a start: some while libraries are loaded, else before the command's end."""
    early = sent != signal.SIGINT and rng.random() < EARLY
    low, high = (0.0, sound.begin) if early else (sound.begin, sound.seconds)
    return float(rng.uniform(low, max(high, low + 0.1)))


def strike(
    victim: Victim, work: Path, out: Path, sound: Sound, sent: signal.Signals, after: float
) -> Trial:
    """Starts a command, sends a signal after so many seconds, and starts it again."""
    victim.prepare(work, out)
    temporary = str(out.parent / "tmp")
    started = Started(victim.command(work, out), TMPDIR=temporary)
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
    faults += _again(victim, work, out, sound)
    where = f"after {after:.2f} of {sound.seconds:.2f} s: "
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
        faults.append("a traceback")
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


def _again(victim: Victim, work: Path, out: Path, sound: Sound) -> list[str]:
    """What is not as promised about the same command, started again."""
    temporary = out.parent / "tmp"
    ended = run(victim.command(work, out), seconds=MOST, TMPDIR=str(temporary))
    if ended.failure:
        return [f"again, {ended.failure}"]
    faults = [differences(snapshot(out), sound.files)]
    if victim.name == "predict" and ended.output != sound.output:
        faults.append("other predictions")
    names = [path.name for path in temporary.rglob("*")]
    if rest := [name for name in names if not name.startswith(GENERATED)]:
        faults.append(f"temporary files left: {', '.join(rest)}")
    return [fault for fault in faults if fault]
