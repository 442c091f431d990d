"""One process at a time writes into the folder of a run, or of a set of runs."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from sentiflow.options import InputError


@contextlib.contextmanager
def alone(out: Path) -> Iterator[None]:
    """Holds a lock on the folder itself, which is made if need be.

    The kernel ends it with the process, however that ends. Folders that are made for it do not stay
    if they are empty in the end.

    Raises:
        InputError: another process holds it.
    """
    made = [folder for folder in (out, *out.parents) if not folder.exists()]
    out.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(out, os.O_RDONLY)
    try:
        _lock(descriptor, out)
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # it holds something
                for folder in made:
                    folder.rmdir()
    finally:
        os.close(descriptor)


def _lock(descriptor: int, out: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise InputError(
            f"Another process is writing to {out}. Wait for its end, or name another --out."
        ) from None
    except OSError:  # a file system without locks
        return
