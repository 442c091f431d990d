"""What a disk refuses: found in the errors of any library, and told in one line.

Libraries tell it in their own ways: HDF5 and TensorFlow name the system's error in a text, NumPy
does not name it at all.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

# By the system's number of an error, what to do about it.
REMEDIES = {
    errno.ENOSPC: "Make room there, or name another place",
    errno.EDQUOT: "Make room within your quota, or name another place",
    errno.EFBIG: "Raise the limit of a file's size (ulimit -f), or name another place",
    errno.EROFS: "Name a place that can be written",
    errno.EACCES: "Change the permissions, or name a place that you may use",
    errno.EPERM: "Change the permissions, or name a place that you may use",
    errno.ENOENT: "Bring it back, or name what is there",
    errno.ENOTDIR: "Name a place that lies below folders alone",
    errno.EISDIR: "Name a file",
    errno.EEXIST: "Remove what is there, or name another place",
    errno.ENOTEMPTY: "Remove what is there, or name another place",
    errno.ENAMETOOLONG: "Name a place with a shorter name",
    errno.ESTALE: "Mount it again, or name another place",
    errno.ENODEV: "Mount it again, or name another place",
    errno.ENOTCONN: "Mount it again, or name another place",
    errno.EIO: "Check the disk, or name another place",
    errno.EMFILE: "Raise the limit of open files (ulimit -n)",
    errno.ENFILE: "Close other programs",
}
_NO_INODES = "No inodes are left there: remove files, or name another place"
_FEW_FILES = 16
_ADDRESS = re.compile(r" at 0x[0-9a-f]+|, \w+ = 0x[0-9a-f]+", re.IGNORECASE)
_OF_HDF5 = re.compile(r"errno = (\d+)")
_OF_NUMPY = re.compile(r"\d+ requested and \d+ written|Not enough free space")
# Of a Python function in one of TensorFlow's graphs.
_OF_PYTHON = re.compile(r"\[Errno (\d+)\] [^:\n]+: '([^'\n]+)'")
_NUMBERS = {os.strerror(number): number for number in REMEDIES}
_LONGEST_FIRST = sorted(map(re.escape, _NUMBERS), key=len, reverse=True)
_OF_TENSORFLOW = re.compile(rf"([^;}}\n]+); ({'|'.join(_LONGEST_FIRST)})")


def find(error: BaseException) -> OSError | None:
    """What a disk refused, if an error tells of it; only the numbers of `REMEDIES` count."""
    text = str(error)
    if match := _OF_HDF5.search(text):
        return _known(int(match[1]), None)
    if isinstance(error, OSError) and error.errno is not None:
        return error if error.errno in REMEDIES else None
    if isinstance(error, OSError) and _OF_NUMPY.search(text):
        return _known(errno.ENOSPC, None)
    if not type(error).__module__.startswith("tensorflow."):
        return None
    if match := _OF_TENSORFLOW.search(text):
        return _known(_NUMBERS[match[2]], match[1].strip())
    if match := _OF_PYTHON.search(text):
        return _known(int(match[1]), match[2])
    return None


def find_cause(error: BaseException) -> OSError | None:
    """As `find`, of the error or of the nearest one that led to it."""
    cause: BaseException | None = error
    while cause is not None:
        if fault := find(cause):
            return fault
        cause = cause.__cause__ or cause.__context__
    return None


def at(path: Path, fault: OSError) -> OSError:
    """The same fault, of a path."""
    return OSError(fault.errno, fault.strerror, str(path))


@contextlib.contextmanager
def naming(folder: Path) -> Iterator[None]:
    """Makes what the disk refuses inside an OSError that names a path: the file, or the folder.

    Raises:
        OSError: it refused something.
    """
    try:
        yield
    except Exception as error:
        fault = find_cause(error)
        if fault is None or (fault is error and fault.filename):
            raise
        raise (fault if fault.filename else at(folder, fault)) from error


def line(fault: OSError) -> str:
    """What a disk refused, with the path and what to do."""
    path = fault.filename2 or fault.filename
    where = f"{os.fsdecode(path)}: " if isinstance(path, str | bytes | os.PathLike) else ""
    return f"{where}{fault.strerror}. {_remedy(fault.errno, path)}, and run the command again."


def without_addresses(text: str) -> str:
    """A text of a library without the addresses in memory that it shows."""
    return _ADDRESS.sub("", text)


def _known(number: int, path: str | None) -> OSError | None:
    return OSError(number, os.strerror(number), path) if number in REMEDIES else None


def _remedy(number: int | None, path: object) -> str:
    if number == errno.ENOSPC and isinstance(path, str) and _lacks_inodes(Path(path)):
        return _NO_INODES
    return REMEDIES[number or 0]


def _lacks_inodes(path: Path) -> bool:
    """Whether a file system has room for bytes, but for few further files, if any.

    What could not be finished is removed before anybody asks, so that some are free again.
    """
    folder = next((parent for parent in path.absolute().parents if parent.exists()), None)
    if folder is None:
        return False
    state = os.statvfs(folder)
    return state.f_files > 0 and state.f_favail < _FEW_FILES and state.f_bavail > 0
