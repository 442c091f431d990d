"""The table and the sentence of `bench.race`."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from sentiflow.markdown import pipe_table

from .table import rich_table

REFERENCE, OURS = "generator and fit", "model.train"
HEADINGS = ("", "seconds", "spread", "runs", "accuracy")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Finish:
    """How long one of two took for the same training.

    Attributes:
        name: which.
        seconds: from the start of the process to its end; median over the runs.
        spread: (longest - shortest) / median.
        runs: how many.
        accuracy: on the held-out split, of the last run.
        dataset: that was trained on.
        images: of its training split.
        held_out: images of the split that is evaluated after every epoch.
        backbone: and its options.
        epochs: of the training.
        backend: of Keras.
        device: that computed.
        commit: of this software.
        environment: machine and versions.
    """

    name: str
    seconds: float
    spread: float
    runs: int
    accuracy: float
    dataset: str
    images: int
    held_out: int
    backbone: str
    epochs: int
    backend: str
    device: str
    commit: str | None
    environment: Mapping[str, Any]


def print_table(finishes: Sequence[Finish], console: Console) -> None:
    """Both, and the sentence below them."""
    console.print(rich_table(_setting(finishes[0]), HEADINGS, _lines(finishes)))
    console.print(_sentence(finishes), highlight=False, soft_wrap=True)


def markdown(path: Path) -> str:
    """Sentence and table for a page."""
    finishes = _read(path)
    machine = finishes[0].environment
    facts = f"{machine['cpu']}, {machine['cores']} cores; commit {finishes[0].commit}"
    table = pipe_table(HEADINGS, _lines(finishes))
    return f"{_sentence(finishes)}\n\n{table}\n\n{_setting(finishes[0])}. {facts}"


def sentence(path: Path) -> str:
    """What the rows come to."""
    return _sentence(_read(path))


def _read(path: Path) -> list[Finish]:
    return [Finish(**values) for values in json.loads(path.read_text(encoding="utf-8"))]


def _sentence(finishes: Sequence[Finish]) -> str:
    by_name = {finish.name: finish for finish in finishes}
    reference, ours = by_name[REFERENCE], by_name[OURS]
    ratio = reference.seconds / ours.seconds
    times = f"{reference.seconds:.0f} s become {ours.seconds:.0f} s"
    return (
        f"**The same training, {ratio:.1f} times sooner**: {times}, from the start of the process "
        f"to the evaluated network ({_setting(ours)})."
    )


def _setting(finish: Finish) -> str:
    return (
        f"{finish.backbone}, {finish.epochs} epochs of {finish.images} photographs of "
        f"{finish.dataset}, {finish.held_out} held out, {finish.backend} on {finish.device}"
    )


def _lines(finishes: Sequence[Finish]) -> list[tuple[str, ...]]:
    return [
        (
            finish.name,
            f"{finish.seconds:.1f}",
            f"{finish.spread:.0%}",
            str(finish.runs),
            f"{finish.accuracy:.3f}",
        )
        for finish in finishes
    ]
