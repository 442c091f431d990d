"""Writes tables into Markdown files, from the rows beside them: `python -m bench.docs README.md docs/*.md`.

A table stands between two lines, `<!-- KIND docs/ROWS.json -->` and `<!-- end -->`; all between
them is replaced. KIND is one of `TABLES`. So no number of a page is typed by hand.
"""

from __future__ import annotations

import json
import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from sentiflow import cli
from sentiflow.model.reports import results
from sentiflow.pipeline import InputError

from . import build, growth, memory, stages, start
from .gpu import page as gpu
from .harness.grid import MEMORY
from .harness.rows import BASELINE, Row, read_json
from .show import curves, diagnosis, rates, utilisation

BLOCK = re.compile(
    r"(?P<head><!-- (?P<kind>[a-z]+) (?P<rows>\S+\.json) -->\n).*?(?P<tail>\n?<!-- end -->)",
    re.DOTALL,
)


def headline(rows: list[Row]) -> str:
    """The one sentence that matters: tier memory against the generator and against the fastest other loader."""
    timed = [row for row in rows if row.work == "augmented" and row.images_per_second]
    ours, base = (
        next(row for row in timed if row.contestant == name) for name in (MEMORY, BASELINE)
    )
    others = [row for row in timed if row.kind == "peer"]
    text = (
        f"**{_rate(ours) / _rate(base):.0f} times the images per second of the generator it replaces**: "
        f"{_rate(ours):,.0f} against {_rate(base):,.0f} images/s, rotation, mirroring and preprocessing included, from "
        f"tier {ours.tier} on {ours.environment['cores']} cores without a GPU"
    )
    if others:
        best = max(others, key=_rate)
        text += f"; {_rate(ours) / _rate(best):.1f} times the fastest other loader ({best.contestant}, {_rate(best):,.0f})"
    return f"{text}. {ours.images} photographs, batches of {ours.batch_size}, one run."


def _rate(row: Row) -> float:
    return row.images_per_second or 0.0


def words(rows: list[Row]) -> str:
    """What limits each, a sentence a line."""
    return "\n".join(f"* {sentence}" for sentence in diagnosis.diagnose(rows))


def margin(rows: list[dict[str, Any]]) -> str:
    """What `--recipe best` adds to the accuracy of the reference recipe, from the rows of an ablation."""
    by_name = {
        name: {row["seed"]: 100 * row["accuracy"] for row in rows if row["name"] == name}
        for name in ("reference", "best")
    }
    more = [by_name["best"][seed] - accuracy for seed, accuracy in by_name["reference"].items()]
    told = {
        name: f"{statistics.fmean(found.values()):.1f} % ({', '.join(f'{found[seed]:.1f}' for seed in sorted(found))})"
        for name, found in by_name.items()
    }
    return (
        f"Over {len(more)} seeds, `--recipe best` has a test accuracy of {told['best']}, the reference recipe "
        f"{told['reference']}: **{statistics.fmean(more):.1f} points more**, from {min(more):.1f} to {max(more):.1f} "
        f"with the same seed, on {rows[0]['images']} test images."
    )


def gain(path: Path) -> str:
    """What training in one pass saves, from the rows of a set and those of the same runs one after the other."""
    sequential = path.with_stem(f"{path.stem}-sequential")
    alone, together = (
        {row["run"]: row["seconds"] for row in json.loads(file.read_text(encoding="utf-8"))}
        for file in (sequential, path)
    )
    if alone.keys() != together.keys():
        raise InputError(f"{path} and {sequential} are not of the same runs; measure both anew.")
    seconds = sum(alone.values()), sum(together.values())
    return (
        f"These {len(alone)} runs trained for {seconds[0]:,.0f} s one after the other and for {seconds[1]:,.0f} s in "
        f"one pass a dataset: **{seconds[0] / seconds[1]:.1f} times faster**."
    )


def _of_dicts(show: Callable[[list[dict[str, Any]]], str]) -> Callable[[Path], str]:
    return lambda path: show(json.loads(path.read_text(encoding="utf-8")))


def _of_rows(show: Callable[[list[Row]], str]) -> Callable[[Path], str]:
    return lambda path: show(read_json(path))


TABLES: dict[str, Callable[[Path], str]] = {
    "headline": _of_rows(headline),
    "throughput": _of_rows(rates.markdown),
    "start": _of_rows(start.markdown),
    "build": _of_rows(build.markdown),
    "growth": _of_rows(growth.markdown),
    "scaling": _of_rows(curves.markdown),
    "memory": _of_rows(memory.markdown),
    "utilisation": _of_rows(utilisation.markdown),
    "diagnosis": _of_rows(words),
    "stages": _of_dicts(stages.markdown),
    "experiments": lambda path: results.as_markdown(results.read_rows(path)),
    "margin": _of_dicts(margin),
    "gain": gain,
    "gpu": gpu.markdown,
    "gpulimit": gpu.limit,
}
TOLD_WITHOUT_ROWS = ("gpu", "gpulimit")  # these say themselves that nothing was measured


def fill(text: str, root: Path) -> str:
    """The text with every table made anew; files of rows are named relative to `root`. Those missing are told.

    Raises:
        InputError: a kind is unknown.
    """

    def table(block: re.Match[str]) -> str:
        kind, path = block["kind"], root / block["rows"]
        if kind not in TABLES:
            raise InputError(
                f"the kind of a table must be one of {', '.join(TABLES)}. Received: {kind!r}"
            )
        made = f"*Not measured: {block['rows']}, which `bench/measure.sh` makes.*"
        if path.exists() or kind in TOLD_WITHOUT_ROWS:
            made = TABLES[kind](path)
        return f"{block['head']}{made}\n{block['tail'].lstrip()}"

    return BLOCK.sub(table, text)


@click.command(cls=cli.Command)
@click.argument(
    "pages", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
def main(pages: tuple[Path, ...]) -> None:
    """Makes the tables of Markdown pages anew; rows are looked for relative to the working directory."""
    for page in pages:
        old = page.read_text(encoding="utf-8")
        new = fill(old, Path())
        if new != old:
            page.write_text(new, encoding="utf-8")
            click.echo(f"written: {page}")


if __name__ == "__main__":
    main()
