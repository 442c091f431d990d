"""Modules run as processes of their own; one that fails is one line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping

from sentiflow.pipeline import InputError
from sentiflow.terminal import echo

QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3"}  # so that the last line of a failure is its reason


def run_module(
    module: str,
    *arguments: str,
    task: str = "",
    python: str = sys.executable,
    variables: Mapping[str, str] = os.environ,
) -> str:
    """Runs `python -m module` to its end; returns its standard output.

    Args:
        module: to run.
        *arguments: for it.
        task: what it does, for the message; the command line where there is none.
        python: the interpreter.
        variables: of its environment.

    Raises:
        InputError: it failed; the message ends with the last line that it wrote.
    """
    command = [python, "-m", module, *arguments]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**variables, **QUIET},
        stdin=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode:
        reason = last_line(done.stdout + done.stderr) or f"exit status {done.returncode}"
        raise InputError(f"{task or command_line(module, *arguments)} failed: {reason}")
    return done.stdout


def show_module(module: str, *arguments: str) -> None:
    """Runs `python -m module`, the command line and all that it writes shown.

    Raises:
        InputError: it failed.
    """
    echo("", f"$ python -m {' '.join((module, *arguments))}")
    command = [sys.executable, "-m", module, *arguments]
    if subprocess.run(command, env={**QUIET, **os.environ}, check=False).returncode:
        raise InputError(f"{command_line(module, *arguments)} failed; see above.")


def command_line(module: str, *arguments: str) -> str:
    """The command as a message quotes it."""
    return f"`python -m {' '.join((module, *arguments))}`"


def last_line(text: str) -> str:
    """The last line that is not blank; "" without one."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""
