"""A process that has loaded the libraries, and becomes the commands that it is sent.

A command that is struck some moment after its start is struck at its own work then: nine tenths of
a short command's time are imports otherwise. `python -m sentiflow.bench.campaign.forkserver` takes
a JSON list a line; it answers with the number of the forked process, and then with how that ended.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import IO

from sentiflow import startup

from .process import Process


class ForkServer:
    """Forks one command at a time; a context that ends the server.

    Unlike that of `multiprocessing`, its commands end as they do when Python runs them.
    """

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,  # so that `select` sees every line that was not read
        )

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.communicate()

    def launch(
        self, command: Sequence[str], output: IO[str], errors: IO[str], variables: Mapping[str, str]
    ) -> Process:
        """As `process.launch`, for a command `python -m MODULE ARGUMENT...`."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        request = (command[2:], output.fileno(), errors.fileno(), os.getpid(), dict(variables))
        self._server.stdin.write(json.dumps(request).encode() + b"\n")
        return _Forked(int(self._server.stdout.readline()), self._server.stdout)


class _Forked:
    """A command's process, of which the server alone may wait for the end."""

    def __init__(self, pid: int, answers: IO[bytes]) -> None:
        self.pid = pid
        self._answers = answers
        self._status: int | None = None

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self._status

    def wait(self, timeout: float | None = None) -> int:
        if self._status is None:
            if not select.select([self._answers], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("a command", timeout or 0)
            self._status = int(self._answers.readline())
        return self._status

    def send_signal(self, sent: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sent)


def serve() -> list[str]:
    """Forks a process for each line; returns in these, with the command's module and arguments."""
    for line in sys.stdin:
        command, output, errors, campaign, variables = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.setsid()
            startup.stop_at_once()  # the first act of a command
            print(os.getpid(), flush=True)
            for descriptor, target in ((output, 1), (errors, 2)):
                file = os.open(f"/proc/{campaign}/fd/{descriptor}", os.O_WRONLY)
                os.dup2(file, target)
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.environ.update(variables)
            tempfile.tempdir = None  # where it is was found out before
            return list(command)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
    raise SystemExit


def load() -> None:
    """Imports what the commands import.

    Threads do not survive a fork. TensorFlow and JAX start theirs with the first computation, and
    OpenBLAS and jemalloc, which have some by then, start them anew.
    """
    startup.prepare()
    import matplotlib.pyplot  # noqa: F401
    from tensorflow_datasets.scripts.cli import main  # noqa: F401

    from sentiflow.model import experiments, predict, report, train  # noqa: F401

    startup.leave_libraries_to_the_end()


if __name__ == "__main__":
    load()
    module, *arguments = serve()
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
