"""A run that fails before an epoch of it is kept leaves its folder as it was."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from types import TracebackType

from sentiflow.options import InputError

from .checkpoint import INITIAL, STATE
from .history import HISTORY, read_history
from .record import SETTINGS, is_run

# What there is of a run before its first epoch ends.
_BEGINNINGS = (SETTINGS, HISTORY, INITIAL, STATE, "checkpoint", "tensorboard")


class Attempt:
    """A context in which a run is begun, and may fail.

    Another run can be started in the folder then. What can go on is left there: a run that is
    interrupted, or that the disk has no room for.

    Args:
        out: run folder, as yet untouched.
    """

    def __init__(self, out: Path) -> None:
        self.out = out
        self._is_first = not is_run(out)
        parts = [out / name for name in _BEGINNINGS]
        self._parts = [part for part in parts if not part.exists()]

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None and self._is_first and not self._goes_on(error):
            self._undo()

    def _goes_on(self, error: BaseException) -> bool:
        """Whether what was written of the run is of use."""
        from_outside = isinstance(error, OSError) or not isinstance(error, Exception)
        return is_run(self.out) and (from_outside or _has_epoch(self.out))

    def _undo(self) -> None:
        """Removes what was made of the run."""
        for part in self._parts:
            with contextlib.suppress(OSError):
                shutil.rmtree(part) if part.is_dir() else part.unlink()


def _has_epoch(out: Path) -> bool:
    try:
        return bool(read_history(out))
    except InputError:
        return False
