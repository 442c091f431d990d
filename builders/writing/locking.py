"""The folder of a running build is taken; what dead builds left is cleared away.

Two things tell that a build is alive: a lock on the folder, which the kernel ends with the process,
and a file in it whose time is set anew while the build runs. The lock is seen on one machine, the
file on all that share the disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

HEARTBEAT = "building-on"  # names the machine; its time is that of the last sign of life
_INCOMPLETE = "incomplete."  # TFDS names the folder of a dataset that is being built so
_STOPPED = f"{_INCOMPLETE}stopped-"  # that of a build that ended before its time
_BEAT = 60.0  # seconds between two signs of life
_DEAD = 3600.0  # seconds without any, after which a build on another machine is dead


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Holds the folder of a build, which is made.

    A builder that removes dead folders may have seen this one before it was locked; then it is made
    again.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            # A file system may have no locks: then no folder is ever found dead.
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_still(folder, descriptor):
                with _beating(folder / HEARTBEAT):
                    yield
                return
        finally:
            os.close(descriptor)


def _is_still(folder: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(folder), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def _beating(file: Path) -> Iterator[None]:
    """Gives signs of life; ends when the file is gone, as it is once the dataset is whole."""
    file.write_text(_machine(), encoding="utf-8")
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(_BEAT):
            with contextlib.suppress(OSError):  # gone, or a disk that is away for a while
                os.utime(file)

    threading.Thread(target=beat, daemon=True).start()
    try:
        yield
    finally:
        ended.set()
        with contextlib.suppress(OSError):
            file.unlink()


def _machine() -> str:
    """This machine since it was started: processes of an earlier start are dead."""
    try:
        started = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:  # macOS
        started = ""
    return f"{socket.gethostname()} {started}"


def finish(folder: Path) -> None:
    """Removes the sign of life of a build whose dataset is whole."""
    (folder / HEARTBEAT).unlink(missing_ok=True)


def keep(folder: Path) -> None:
    """Keeps the folder of a build that ends before its time, for the next one to take up."""
    finish(folder)
    folder.rename(folder.with_name(folder.name.replace(_INCOMPLETE, _STOPPED, 1)))


@contextlib.contextmanager
def dead_siblings(folder: Path) -> Iterator[list[Path]]:
    """Folders that ended builds of the same configuration left; they are removed afterwards.

    Those of running builds, on this machine or another, are not among them.
    """
    with contextlib.ExitStack() as held:
        dead = [
            sibling
            for sibling in sorted(folder.parent.glob(f"{_INCOMPLETE}*"))
            if sibling.name != folder.name and sibling.is_dir() and _is_dead(sibling, held)
        ]
        yield dead
        for sibling in dead:
            shutil.rmtree(sibling, ignore_errors=True)


def _is_dead(sibling: Path, held: contextlib.ExitStack) -> bool:
    """Whether a build has ended; its folder is then locked until `held` is closed."""
    try:
        if not _has_ended_elsewhere(sibling / HEARTBEAT):
            return False
        descriptor = os.open(sibling, os.O_RDONLY)
        held.callback(os.close, descriptor)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _has_ended_elsewhere(file: Path) -> bool:
    """Whether no other machine builds there."""
    try:
        machine, beaten = file.read_text(encoding="utf-8"), file.stat().st_mtime
    except FileNotFoundError:  # kept, or not begun yet: the lock decides
        return True
    return machine == _machine() or time.time() - beaten > _DEAD
