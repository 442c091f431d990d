"""Optional parts of the installation, and how to get the ones that are missing."""

from __future__ import annotations

import importlib.util
import sys
from typing import NoReturn

# The modules that setup.cfg's extras install.
MODULES = {
    "jax": ("jax",),
    "hub": ("keras_hub",),
    "heif": ("pillow_heif",),
    "tensorboard": ("tensorboard",),
    "dask": ("distributed",),
    "bench": ("keras_preprocessing",),
}


def missing(extra: str) -> list[str]:
    """The modules of an extra that are not installed."""
    return [module for module in MODULES[extra] if importlib.util.find_spec(module) is None]


def install_command(extra: str) -> str:
    """What to type in the checkout to get an extra."""
    return f"pip install '.[{extra}]'"


def need(extra: str) -> None:
    """Ends the command with one line and status 2 if an extra is not installed.

    Raises:
        SystemExit: it is not.
    """
    if absent := missing(extra):
        refuse(f"{', '.join(absent)} must be installed for this: {install_command(extra)}")


def refuse(line: str) -> NoReturn:
    """Ends a command with one line and status 2, where click may not be installed either."""
    print(f"Error: {line}", file=sys.stderr)
    raise SystemExit(2)
