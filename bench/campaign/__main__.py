"""Makes faults on purpose, and says what came of them: `python -m bench.campaign PART...`."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

import secrets
import signal
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
from rich.console import Console

from sentiflow import cli

from ..show.campaign import print_faults, print_table
from . import deterministic, hostile, kills, leaks, mutations, rows
from .rows import Report, Row

# By name: the part, and how much it does by default, which takes minutes.
PARTS: dict[str, tuple[Callable[..., Report], int]] = {
    "mutations": (mutations.mutations, 200),
    "kills": (kills.kills, 2),
    "interrupts": (kills.interrupts, 2),
    "leaks": (leaks.leaks, 20),
    "hostile": (hostile.hostile, 20),
    "deterministic": (deterministic.deterministic, 1),
}


@click.command(cls=cli.Command)
@click.argument("parts", nargs=-1, required=True, type=click.Choice(list(PARTS)))
@click.option("--seed", type=click.IntRange(0), help="Of what is drawn.  [default: drawn itself]")
@click.option(
    "--count",
    type=click.IntRange(1),
    help="Changed pictures, strikes of a command by a signal, epochs, changed run folders, or "
    "repeated builds.  [default: few]",
)
@click.option(
    "--json",
    "path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File for the rows; those of other parts in it stay.",
)
def main(parts: tuple[str, ...], seed: int | None, count: int | None, path: Path | None) -> None:
    """Tries what should not happen, and says where a promise did not hold; then the status is 1.

    mutations: changed pictures, lists and shards. kills: signals at random moments. interrupts:
    Ctrl-C at such. leaks: long runs, and two at once. hostile: files from strangers. deterministic:
    the same bytes again.
    """
    # A shell's background jobs ignore it, and so would the commands that they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    seed = secrets.randbelow(2**32) if seed is None else seed
    click.echo(f"seed {seed}")
    performed: list[Row] = []
    for part in parts:
        performed += perform(part, seed, count)
        if path is not None:
            rows.keep(path, performed)
    console = Console()
    print_table(performed, console)
    print_faults(performed, console)
    if any(row.faults for row in performed):
        raise SystemExit(1)


def perform(part: str, seed: int, count: int | None) -> list[Row]:
    """The rows of a part, worked on in a temporary folder."""
    act, few = PARTS[part]
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"campaign-{part}-") as work:
        report = act(Path(work), seed=seed, count=count or few)
    return rows.gather(part, report, seconds=time.monotonic() - began, seed=seed)


if __name__ == "__main__":
    main()
