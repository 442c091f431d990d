"""What an input stream is made of; the defaults are experiment 1 of the reference system."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

from sentiflow.options import InputError, check, option

__all__ = ["InputError", "Settings", "StreamSettings", "steps"]

# Steps 1-3 of the reference system: the image covers a square of 256 / 0.875 pixels, of which a
# window of 256 is kept.
IMAGE_SIZE = 256
CROP_FRACTION = 0.875


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Common:
    """What has the same meaning before and after it is settled whether a stream trains."""

    batch_size: int = option(32, "Images in a batch.", at_least=1, group="data")
    crop_fraction: float = option(
        CROP_FRACTION,
        "Side of that square / short side of the resized image.",
        above=0,
        at_most=1,
        group="data",
    )
    interpolation: Literal["lanczos", "bicubic", "bilinear"] = option(
        "lanczos", "Resampling filter.", group="data"
    )
    rotation: float = option(
        20.0,
        "Degrees; the angle is drawn from U(-rotation, rotation).",
        at_least=0,
        at_most=180,
        unit="degrees",
        group="augmentation",
    )
    flip: bool = option(True, "Mirror horizontally with probability 1/2.", group="augmentation")
    zoom: float = option(
        0.0,
        "Fraction; height and width are scaled by U(1 - zoom, 1 + zoom) each.",
        at_least=0,
        below=1,
        group="augmentation",
    )
    brightness: float = option(
        0.0,
        "Fraction; pixels are multiplied by U(1 - brightness, 1 + brightness).",
        at_least=0,
        below=1,
        group="augmentation",
    )
    contrast: float = option(
        0.0,
        "Fraction; distances to the mean are multiplied by U(1 - contrast, 1 + contrast).",
        at_least=0,
        below=1,
        group="augmentation",
    )
    preprocess: Literal["caffe", "tf", "torch", "none"] | None = option(
        "caffe", "Value range of keras.applications.", group="data"
    )
    cache: Literal["none", "memory", "device"] = option(
        "memory",
        "none: stream records; memory: resized pixels in RAM; device: in the accelerator's memory.",
        group="data",
    )
    seed: int = option(
        0,
        "Seed of the order and of every augmentation.",
        at_least=0,
        at_most=2**63 - 1,
        group="data",
    )
    agreement: Literal[5, 4, 3] = option(
        5, "Twitter I: images on whose label at least so many annotators agree.", group="data"
    )
    fold: Literal[0, 1, 2, 3, 4] | None = option(
        None, "Twitter I: validate on this cross-validation fold, 0 to 4.", group="data"
    )

    def __post_init__(self) -> None:
        check(self)


def _without_augmentation() -> dict[str, Any]:
    """What training streams alone do, and its value in streams that do not train: 0 or False."""
    fields = dataclasses.fields(_Common)
    augmentations = [field for field in fields if field.metadata["group"] == "augmentation"]
    return {
        field.name: False if isinstance(field.default, bool) else 0.0 for field in augmentations
    }


@dataclasses.dataclass(frozen=True, kw_only=True)
class StreamSettings(_Common):
    """The settings of one stream: it is settled whether it trains, and nothing is `auto`.

    `Settings.training` and `Settings.evaluation` make them.
    """

    image_size: int
    crop: Literal["random", "center"]
    last_batch: Literal["drop", "keep", "pad"]

    @property
    def cover(self) -> float:
        """Short side of the resized image before rounding down, in pixels."""
        return self.image_size / self.crop_fraction


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings(_Common):
    """Settings of `pipeline.load`.

    Rotation, flip, zoom, brightness and contrast act on training streams only.

    Raises:
        InputError: a value is none of the choices, or outside its range.
    """

    image_size: int | None = option(
        None,
        "Side of the square that the model sees, in pixels; by default what the storage holds, of "
        f"source files {IMAGE_SIZE}.",
        at_least=1,
        unit="pixel",
        group="data",
    )
    crop: Literal["auto", "random", "center"] = option(
        "auto", "auto: random when training, else center.", group="augmentation"
    )
    last_batch: Literal["auto", "drop", "keep", "pad"] = option(
        "auto", "auto: drop when training, else keep.", group="data"
    )

    def training(self) -> StreamSettings:
        """The settings of a stream that trains."""
        return self._settled("random", "drop")

    def evaluation(self) -> StreamSettings:
        """The settings of a stream that does not train: without augmentation."""
        return self._settled("center", "keep", **_without_augmentation())

    def sized(self, stored: int | None) -> Settings:
        """The same with an `image_size`: its own, or that of the stored pixels, if any."""
        return dataclasses.replace(self, image_size=self.image_size or stored or IMAGE_SIZE)

    def stream(self, *, training: bool) -> StreamSettings:
        """`training()` or `evaluation()`."""
        return self.training() if training else self.evaluation()

    def _settled(
        self, crop: Literal["random", "center"], last_batch: Literal["drop", "keep"], **changes: Any
    ) -> StreamSettings:
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(_Common)}
        return StreamSettings(
            **(values | changes),
            image_size=self.image_size or IMAGE_SIZE,
            crop=crop if self.crop == "auto" else self.crop,
            last_batch=last_batch if self.last_batch == "auto" else self.last_batch,
        )


def steps(images: int, *, batch_size: int, last_batch: str = "drop", hosts: int = 1) -> int:
    """Number of batches that one host draws from an epoch.

    With several hosts, `drop` and `pad` give every host the same number, so that collective
    operations match; under `keep` it is the number of host 0, which may exceed that of the others
    by one.
    """
    if last_batch == "drop":
        return images // hosts // batch_size
    return math.ceil(math.ceil(images / hosts) / batch_size)
