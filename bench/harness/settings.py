"""What the benchmarks' command lines take: frozen dataclasses, from which options are made."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal, get_args

from sentiflow.options import InputError, check, option, require

Work = Literal["augmented", "crop"]
WORKS: tuple[Work, ...] = get_args(Work)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of the benchmarks.

    Raises:
        InputError: a value is outside its range.
    """

    dataset: str = option("emotionroi", "Name of the dataset.")
    data_dir: str | None = option(
        None, "Folder given to `tfds build`. Default: sample photographs, drawn into ./demo."
    )
    manual_dir: str | None = option(
        None, "Folder of the downloaded archive, to build the storages that data_dir lacks."
    )
    split: str = option("train", "Images to read.")
    agreement: Literal[5, 4, 3] = option(
        5, "Twitter I: images on whose label at least so many annotators agree."
    )
    fold: Literal[0, 1, 2, 3, 4] | None = option(
        None, "Twitter I: leave out this cross-validation fold."
    )
    images: int = option(600, "Sample photographs to draw where there is no data_dir.", at_least=60)
    work: tuple[Work, ...] = option(WORKS, "augmented or crop; give it twice for both.")
    contestants: str = option("", "Names, separated by commas. Default: all.")
    batch_size: int = option(32, "Images in a batch.", at_least=1)
    seconds: float = option(10.0, "Time each contestant for so long.", above=0)
    windows: int = option(5, "Windows that these seconds are divided into.", at_least=5)
    seed: int = option(0, "Seed of order and augmentation.", at_least=0)
    json: Path | None = option(None, "File for the rows.")
    csv: Path | None = option(None, "File for the rows, as a table.")
    plot: Path | None = option(None, "PNG file for a bar chart.")

    def __post_init__(self) -> None:
        check(self)
        require(bool(self.work), "work must be given", self.work)
        for name in ("json", "csv", "plot"):
            path = getattr(self, name)
            require(
                path is None or not path.is_dir(), f"{name} must be a file, not a folder", str(path)
            )
        require(
            self.plot is None or self.plot.suffix == ".png", "plot must end in .png", str(self.plot)
        )

    @property
    def choice(self) -> dict[str, Any]:
        """What chooses images beside the split, as `pipeline.Settings` takes it."""
        return {"agreement": self.agreement, "fold": self.fold}


@dataclasses.dataclass(frozen=True, kw_only=True)
class TrainingSettings(Settings):
    """Settings of `bench.training`.

    Raises:
        InputError: a value is outside its range.
    """

    emulate: str = option(
        "", "Emulated accelerators, images/s, separated by commas. Default: the real step."
    )
    profile: Path | None = option(
        None, "Folder for traces of the real step and what they come to. Needs the JAX backend."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        require(
            all(rate > 0 for rate in self.rates), "emulate must be above 0 images/s", self.emulate
        )
        require(
            not (self.profile and self.rates),
            "profile is of the real step, which emulate replaces",
            self.emulate,
        )

    @property
    def rates(self) -> tuple[float, ...]:
        """The emulated accelerators, images/s, slowest first."""
        try:
            return tuple(sorted({float(rate) for rate in self.emulate.split(",") if rate.strip()}))
        except ValueError:
            raise InputError(
                f"emulate must be numbers, separated by commas. Received: {self.emulate!r}"
            ) from None
