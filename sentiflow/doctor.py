"""`sentiflow doctor`: what this installation consists of, what it can use, and what is missing."""

from __future__ import annotations

import importlib
import os
import platform
import shutil
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from typing import Any

import click
import psutil
from rich.console import Console
from rich.table import Table
from rich.text import Text

from . import cli, extras, startup
from .machine import cores

PACKAGES = (
    "sentiflow",
    "tensorflow",
    "keras",
    "jax",
    "numpy",
    "tensorflow-datasets",
    "pillow",
    "keras-hub",
)
GIBIBYTE = 2**30

Line = tuple[str, str]


@click.command(cls=cli.Command)
def main() -> None:
    """Shows versions, devices and room of this machine, and the command to get what is missing."""
    console = Console()
    for title, lines in (
        ("Versions", versions()),
        ("Machine", [*machine(), *devices()]),
        ("Optional", [*extra_lines(), *peer_lines()]),
    ):
        console.print(make_table(title, lines))


def make_table(title: str, lines: Iterable[Line]) -> Table:
    """A table of two columns."""
    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, text in lines:
        table.add_row(name, Text(text))  # brackets of a command are no markup
    return table


def versions() -> Iterator[Line]:
    """Of Python, and of the packages that decide what is computed."""
    yield "python", platform.python_version()
    for package in PACKAGES:
        try:
            yield package, metadata.version(package)
        except metadata.PackageNotFoundError:
            yield package, "not installed"


def machine() -> Iterator[Line]:
    """Cores that this process may use, memory and disk."""
    memory = psutil.virtual_memory()
    disk = shutil.disk_usage(os.curdir)
    yield "cores", str(cores())
    yield "memory", _room(memory.available, memory.total)
    yield "disk", _room(disk.free, disk.total)


def devices() -> Iterator[Line]:
    """Keras' backend, and the devices that it computes on."""
    try:
        startup.prepare()
        backend = importlib.import_module("keras").backend.backend()
        names = _LISTS[backend]() if backend in _LISTS else ["unknown to this command"]
    except (ImportError, RuntimeError) as error:
        yield "devices", f"cannot be loaded: {' '.join(str(error).split())}"
        return
    yield "Keras backend", f"{backend} (another by KERAS_BACKEND)"
    yield "devices", ", ".join(names)


def extra_lines() -> Iterator[Line]:
    """Which extras are installed, and the command for each that is not."""
    for extra in extras.MODULES:
        command = extras.install_command(extra)
        absent = ", ".join(extras.missing(extra))
        yield f"extra {extra}", f"{absent} missing: {command}" if absent else "installed"


def peer_lines() -> Iterator[Line]:
    """Which of the benchmark's other loaders have their environment."""
    from .bench.contestants import CONTESTANTS
    from .bench.harness.prepared import find_python

    for peer in sorted({entry.environment for entry in CONTESTANTS.values()} - {""}):
        yield f"peer {peer}", "installed" if find_python(peer) else "missing: make peers"


def _room(free: int, total: int) -> str:
    return f"{free / GIBIBYTE:.1f} GiB of {total / GIBIBYTE:.1f} GiB are free"


def _jax_devices() -> list[str]:
    import jax

    return [f"{device.platform} {device.device_kind}" for device in jax.devices()]


def _tensorflow_devices() -> list[str]:
    import tensorflow as tf

    return [_describe(device) for device in tf.config.list_physical_devices()]


def _describe(device: Any) -> str:
    import tensorflow as tf

    details = tf.config.experimental.get_device_details(device)
    return " ".join([device.device_type, details.get("device_name", "")]).strip()


_LISTS: dict[str, Callable[[], list[str]]] = {
    "jax": _jax_devices,
    "tensorflow": _tensorflow_devices,
}


if __name__ == "__main__":
    main()
