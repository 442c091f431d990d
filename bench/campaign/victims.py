"""The commands that a campaign strikes or starts twice, and what they make when left alone."""

from __future__ import annotations

import dataclasses
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from sentiflow.pipeline import InputError

from .inputs import BACKBONE, RAW, RAW_NAME
from .process import Ended, run
from .snapshot import snapshot

MOST = 300.0  # seconds that a command may take
LOADED = ("-m", "sentiflow")
SMALL = ("-m", "sentiflow.bench.campaign.command")
NETWORK = ("--backbone", BACKBONE, "--weights", "none", "--precision", "float32")


@dataclasses.dataclass(frozen=True)
class Victim:
    """A command; started again, it does what is left.

    Attributes:
        name: of it.
        arguments: of Python, from the campaign's folder and the folder that is written.
        copied: what is in the folder that is written before, below the campaign's.
    """

    name: str
    arguments: Callable[[Path, Path], Sequence[object]]
    copied: str = ""

    def command(self, work: Path, out: Path) -> list[str]:
        """The whole command line."""
        return [sys.executable, *map(str, self.arguments(work, out))]

    def prepare(self, work: Path, out: Path) -> None:
        """Makes the folder's parent, and what is in the folder before."""
        shutil.rmtree(out.parent, ignore_errors=True)
        (out.parent / "tmp").mkdir(parents=True)
        if self.copied:
            shutil.copytree(work / self.copied, out)


def _build(work: Path, out: Path) -> Sequence[object]:
    options = ("--num_shards", 2, "--manual_dir", work / "photos", "--data_dir", out)
    return (*LOADED, "build", "photo_folder", "--config", RAW, *options)


def _train(work: Path, out: Path) -> Sequence[object]:
    data = ("--dataset", f"photo_folder/{RAW_NAME}", "--data_dir", work / "data")
    return (*SMALL, "model.train", "--out", out, "--resume", *data, *NETWORK, "--epochs", 12)


def _experiments(work: Path, out: Path) -> Sequence[object]:
    data = ("--config", RAW_NAME, "--data_dir", work / "data", "--only", "1,3")
    return (*SMALL, "model.experiments", "--out", out, *data, *NETWORK)


def _predict(work: Path, out: Path) -> Sequence[object]:
    photos = sorted((work / "photos").glob("000*"))
    return (*SMALL, "model.predict", "--run", work / "run", "--json", "--explain", out, *photos)


def _report(work: Path, out: Path) -> Sequence[object]:
    return (*SMALL, "model.report", "--run", out)


VICTIMS = (
    Victim("build", _build),
    Victim("train", _train),
    Victim("experiments", _experiments),
    Victim("predict", _predict),
    Victim("report", _report, copied="run"),
)


@dataclasses.dataclass(frozen=True)
class Sound:
    """What a command makes when it is left alone.

    Attributes:
        files: digests by name.
        output: what it wrote to standard output.
        begin: seconds from its start in which it loads libraries.
        seconds: that it takes.
    """

    files: dict[str, str]
    output: str
    begin: float
    seconds: float


def undisturbed(victim: Victim, work: Path, out: Path) -> Sound:
    """Runs a command to its end.

    Raises:
        InputError: it failed.
    """
    victim.prepare(work, out)
    begin, _ = _timed([*victim.command(work, out), "--help"])
    seconds, ended = _timed(victim.command(work, out))
    return Sound(snapshot(out), ended.output, begin, seconds)


def _timed(command: list[str]) -> tuple[float, Ended]:
    began = time.monotonic()
    ended = run(command, seconds=MOST)
    if ended.failure:
        raise InputError(f"{' '.join(command)} failed, undisturbed: {ended.failure}")
    return time.monotonic() - began, ended
