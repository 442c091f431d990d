"""What every command does with its rows: show them, and write the files that were asked for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from sentiflow.terminal import echo

from ..harness.rows import Row, write_csv, write_json
from ..harness.settings import Settings
from . import bars, rates


def publish(
    measured: Sequence[Row],
    settings: Settings,
    *,
    show: Callable[[Sequence[Row], Console], None] = rates.print_tables,
    draw: Callable[[Sequence[Row], Path], None] = bars.plot,
) -> None:
    """Prints the tables with `show`, and writes the files of the settings, the plot with `draw`."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=140)
    show(measured, console)
    files = ((settings.json, write_json), (settings.csv, write_csv), (settings.plot, draw))
    for path, write in files:
        if path is not None:
            write(measured, path)
            echo(f"written: {path}")
