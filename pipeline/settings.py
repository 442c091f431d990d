"""What an input stream is made of: one frozen dataclass, whose defaults are experiment 1 of the reference system."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Literal

# Steps 1-3 of the reference system: the image covers a square of 256 / 0.875 pixels, of which a window of 256 is kept.
IMAGE_SIZE = 256
CROP_FRACTION = 0.875


class InputError(ValueError):
    """Input that the user can mend. The message is one line that names the culprit, the rule and the remedy."""


def _option(default: Any, text: str) -> Any:
    return dataclasses.field(default=default, metadata={"help": text})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of `pipeline.load`. Rotation, flip, zoom, brightness and contrast act on training streams only.

    Raises:
        InputError: a value is outside its range.
    """

    batch_size: int = _option(32, "Images in a batch.")
    image_size: int = _option(IMAGE_SIZE, "Side of the square that the model sees, in pixels.")
    crop_fraction: float = _option(CROP_FRACTION, "Side of that square / short side of the resized image.")
    interpolation: Literal["lanczos", "bicubic", "bilinear"] = _option("lanczos", "Resampling filter.")
    crop: Literal["auto", "random", "center"] = _option("auto", "auto: random when training, else center.")
    rotation: float = _option(20.0, "Degrees; the angle is drawn from U(-rotation, rotation).")
    flip: bool = _option(True, "Mirror horizontally with probability 1/2.")
    zoom: float = _option(0.0, "Fraction; height and width are scaled by U(1 - zoom, 1 + zoom) each.")
    brightness: float = _option(0.0, "Fraction; pixels are multiplied by U(1 - brightness, 1 + brightness).")
    contrast: float = _option(0.0, "Fraction; distances to the mean are multiplied by U(1 - contrast, 1 + contrast).")
    preprocess: Literal["caffe", "tf", "torch", "none"] | None = _option("caffe", "Value range of keras.applications.")
    cache: Literal["none", "memory", "device"] = _option(
        "memory", "none: stream records; memory: resized pixels in RAM; device: in the accelerator's memory."
    )
    last_batch: Literal["auto", "drop", "keep", "pad"] = _option("auto", "auto: drop when training, else keep.")
    seed: int = _option(0, "Seed of the order and of every augmentation.")
    agreement: Literal[5, 4, 3] = _option(5, "Twitter I: images on whose label at least so many annotators agree.")
    fold: int | None = _option(None, "Twitter I: validate on this cross-validation fold, 0 to 4.")

    def __post_init__(self) -> None:
        choices = {
            "interpolation": ("lanczos", "bicubic", "bilinear"),
            "crop": ("auto", "random", "center"),
            "preprocess": ("caffe", "tf", "torch", "none", None),
            "cache": ("none", "memory", "device"),
            "last_batch": ("auto", "drop", "keep", "pad"),
            "agreement": (5, 4, 3),
            "fold": (None, 0, 1, 2, 3, 4),
        }
        for name, allowed in choices.items():
            _require(getattr(self, name) in allowed, f"{name} must be one of {list(allowed)}", getattr(self, name))
        _require(self.batch_size >= 1, "batch_size must be at least 1", self.batch_size)
        _require(self.image_size >= 1, "image_size must be at least 1 pixel", self.image_size)
        _require(0 < self.crop_fraction <= 1, "crop_fraction must be in (0, 1]", self.crop_fraction)
        _require(0 <= self.rotation <= 180, "rotation must be in [0, 180] degrees", self.rotation)
        for name in ("zoom", "brightness", "contrast"):
            _require(0 <= getattr(self, name) < 1, f"{name} must be in [0, 1)", getattr(self, name))
        _require(0 <= self.seed < 2**63, "seed must be in [0, 2**63)", self.seed)

    @property
    def cover(self) -> float:
        """Short side of the resized image before rounding down, in pixels."""
        return self.image_size / self.crop_fraction

    def resolve(self, *, training: bool) -> Settings:
        """Settles every `auto`, and switches the augmentations off for streams that do not train."""
        crop = {"auto": "random" if training else "center"}.get(self.crop, self.crop)
        last_batch = {"auto": "drop" if training else "keep"}.get(self.last_batch, self.last_batch)
        off = {} if training else {"rotation": 0.0, "flip": False, "zoom": 0.0, "brightness": 0.0, "contrast": 0.0}
        return dataclasses.replace(self, crop=crop, last_batch=last_batch, **off)  # type: ignore[arg-type]


def steps(images: int, *, batch_size: int, last_batch: str = "drop", hosts: int = 1) -> int:
    """Number of batches that one host draws from an epoch.

    With several hosts, `drop` and `pad` give every host the same number, so that collective operations match; under
    `keep` it is the number of host 0, which may exceed that of the others by one.
    """
    if last_batch == "drop":
        return images // hosts // batch_size
    return math.ceil(math.ceil(images / hosts) / batch_size)


def _require(holds: bool, rule: str, received: object) -> None:
    if not holds:
        raise InputError(f"{rule}. Received: {received!r}")
