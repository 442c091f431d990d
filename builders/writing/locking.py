"""The folder of a running build is locked; what dead builds left is cleared away."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

_INCOMPLETE = "incomplete."  # TFDS names the folder of a dataset that is being built so


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Holds a lock on the folder itself; the kernel ends it with the process, however that ends.

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
                yield
                return
        finally:
            os.close(descriptor)


def _is_still(folder: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(folder), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def remove_dead_siblings(folder: Path) -> None:
    """Removes what killed builds of the same configuration left.

    Those of running builds are locked and stay.
    """
    for sibling in folder.parent.glob(f"{_INCOMPLETE}*"):
        if sibling.name == folder.name or not sibling.is_dir():
            continue
        with contextlib.suppress(OSError):
            descriptor = os.open(sibling, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(sibling)
            finally:
                os.close(descriptor)
