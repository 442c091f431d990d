"""Writes tables into Markdown files, from the rows beside them: `python -m bench.docs README.md`.

A table stands between two lines, `<!-- KIND docs/ROWS.json -->` and `<!-- end -->`; all between
them is replaced. KIND is one of `TABLES`. So no number of a page is typed by hand.
"""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sentiflow import cli
from sentiflow.files import write_text
from sentiflow.model.reports import results
from sentiflow.pipeline import InputError
from sentiflow.terminal import echo

from .gpu import page as gpu
from .harness.rows import Row, read_json
from .show import (
    builds,
    campaign,
    costs,
    curves,
    growth,
    memory,
    race,
    rates,
    sentences,
    stages,
    starts,
    utilisation,
)

BLOCK = re.compile(
    r"(?P<head><!-- (?P<kind>[a-z]+) (?P<rows>\S+\.json) -->\n).*?(?P<tail>\n?<!-- end -->)",
    re.DOTALL,
)


def _of_dicts(show: Callable[[list[dict[str, Any]]], str]) -> Callable[[Path], str]:
    return lambda path: show(json.loads(path.read_text(encoding="utf-8")))


def _of_rows(show: Callable[[list[Row]], str]) -> Callable[[Path], str]:
    return lambda path: show(read_json(path))


TABLES: dict[str, Callable[[Path], str]] = {
    "headline": _of_rows(sentences.headline),
    "summary": _of_rows(rates.summary),
    "throughput": _of_rows(rates.markdown),
    "start": _of_rows(starts.markdown),
    "build": _of_rows(builds.markdown),
    "growth": _of_rows(growth.markdown),
    "cost": costs.markdown,
    "scaling": _of_rows(curves.markdown),
    "memory": _of_rows(memory.markdown),
    "utilisation": _of_rows(utilisation.markdown),
    "stages": _of_dicts(stages.markdown),
    "experiments": lambda path: results.as_markdown(results.read_rows(path)),
    "margin": _of_dicts(sentences.margin),
    "gain": sentences.gain,
    "race": race.markdown,
    "sooner": race.sentence,
    "campaign": campaign.markdown,
    "gpu": gpu.markdown,
    "gpulimit": gpu.limit,
}
WITHOUT_ROWS = ("campaign", "gpu", "gpulimit")  # these say themselves that nothing was measured


def fill(text: str, root: Path) -> str:
    """The text with every table made anew; one whose rows are missing says so.

    Args:
        text: of a page.
        root: the folder that files of rows are named relative to.

    Raises:
        InputError: a kind is unknown.
    """
    return BLOCK.sub(lambda block: _table(block, root), text)


def _table(block: re.Match[str], root: Path) -> str:
    kind = block["kind"]
    path = root / block["rows"]
    if kind not in TABLES:
        rule = f"the kind of a table must be one of {', '.join(TABLES)}"
        raise InputError(f"{rule}. Received: {kind!r}")
    if path.exists() or kind in WITHOUT_ROWS:
        table = TABLES[kind](path)
    else:
        table = f"*Not measured: {block['rows']}, which `bench/measure.sh` makes.*"
    return f"{block['head']}{table}\n{block['tail'].lstrip()}"


@click.command(cls=cli.Command)
@click.argument(
    "pages", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
def main(pages: tuple[Path, ...]) -> None:
    """Makes the tables of Markdown pages anew.

    Rows are looked for relative to the working directory.
    """
    for page in pages:
        old = page.read_text(encoding="utf-8")
        new = fill(old, Path())
        if new != old:
            write_text(page, new)
            echo(f"written: {page}")


if __name__ == "__main__":
    main()
