"""What the benchmarks' command lines take: one frozen dataclass, from which the options are made."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from pipeline import InputError

WORKS = ("augmented", "crop")


def _option(default: Any, text: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": text})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the benchmarks.

    Raises:
        InputError: a value is outside its range.
    """

    dataset: str = _option("emotionroi", "Name of the dataset.")
    data_dir: str | None = _option(
        None, "Folder given to `tfds build`. Default: sample photographs, drawn into ./demo."
    )
    manual_dir: str | None = _option(
        None, "Folder of the downloaded archive, to build the storages that data_dir lacks."
    )
    split: str = _option("train", "Images to read.")
    images: int = _option(600, "Sample photographs to draw where there is no data_dir.")
    work: tuple[str, ...] = _option(WORKS, "augmented or crop; give it twice for both.")
    contestants: str = _option("", "Names, separated by commas. Default: all.")
    batch_size: int = _option(32, "Images in a batch.")
    seconds: float = _option(10.0, "Time each contestant for so long.")
    windows: int = _option(5, "Windows that these seconds are divided into, at least 5.")
    seed: int = _option(0, "Seed of order and augmentation.")
    json: Path | None = dataclasses.field(default=None, metadata={"help": "File for the rows."})
    csv: Path | None = dataclasses.field(default=None, metadata={"help": "File for the rows, as a table."})
    plot: Path | None = dataclasses.field(default=None, metadata={"help": "PNG file for a bar chart."})

    def __post_init__(self) -> None:
        for work in self.work:
            _require(work in WORKS, f"work must be one of {', '.join(WORKS)}", work)
        _require(bool(self.work), "work must be given", self.work)
        _require(self.batch_size >= 1, "batch_size must be at least 1", self.batch_size)
        _require(self.seconds > 0, "seconds must be positive", self.seconds)
        _require(self.windows >= 5, "windows must be at least 5", self.windows)
        _require(self.images >= 60, "images must be at least 60", self.images)
        for name in ("json", "csv", "plot"):
            path = getattr(self, name)
            _require(path is None or not path.is_dir(), f"{name} must be a file, not a folder", str(path))
        _require(self.plot is None or self.plot.suffix == ".png", "plot must end in .png", str(self.plot))


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSettings(Settings):
    """Settings of `bench.training`.

    Raises:
        InputError: a value is outside its range.
    """

    emulate: str = _option("", "Emulated accelerators, images/s, separated by commas. Default: the real step.")
    profile: Path | None = dataclasses.field(
        default=None,
        metadata={"help": "Folder for traces of the real step and what they come to. Needs the JAX backend."},
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(all(rate > 0 for rate in self.rates), "emulate must be above 0 images/s", self.emulate)
        _require(not (self.profile and self.rates), "profile is of the real step, which emulate replaces", self.emulate)

    @property
    def rates(self) -> tuple[float, ...]:
        """The emulated accelerators, images/s, slowest first."""
        try:
            return tuple(sorted({float(rate) for rate in self.emulate.split(",") if rate.strip()}))
        except ValueError:
            raise InputError(f"emulate must be numbers, separated by commas. Received: {self.emulate!r}") from None


def _require(holds: bool, rule: str, received: object) -> None:
    if not holds:
        raise InputError(f"{rule}. Received: {received!r}")
