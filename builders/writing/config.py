"""What a dataset stores, and what a bad image leads to: the configurations of a builder."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any, ClassVar, NoReturn

import numpy as np
import tensorflow_datasets.public_api as tfds

from . import jpeg
from .errors import DatasetError, report_errors_in_one_line

# The reference system's image loader ("lanczos:random" and "lanczos:center" of its Keras
# `load_img`).
IMAGE_SIZE = 256  # pixels, side of the square that the network sees
CROP_FRACTION = 0.875  # of the short side of the resized image
INTERPOLATION = "lanczos"


@dataclasses.dataclass(eq=False)
class StorageConfig(tfds.core.BuilderConfig):
    """What a dataset stores, and what a bad image leads to.

    The name follows from the rest, e.g. `raw448_skip`.
    """

    name: str = ""
    description: str | None = None
    # original: the files untouched; raw: resized pixels; jpeg: the same pixels as JPEG
    storage: str = "original"
    image_size: int = IMAGE_SIZE  # pixels, side of the window that will be cut from raw and jpeg
    quality: int = jpeg.QUALITY  # of storage jpeg
    subsampling: str = jpeg.SUBSAMPLING  # of its chroma
    # raise: stop and name all of them; skip: leave them out and list them
    on_bad_image: str = "raise"

    def __post_init__(self) -> None:
        self.require("storage", ("original", "raw", "jpeg"))
        self.require("on_bad_image", ("raise", "skip"))
        self.require("subsampling", tuple(jpeg.UNITS))
        self._require_image_size()
        self._require_quality()
        self.name = self.name or "_".join([self.stem(), *self.suffixes()])
        self.description = self.description or self.describe()

    def require(self, field: str, allowed: tuple[str, ...]) -> None:
        """Raises DatasetError unless the field's value is among those allowed."""
        if getattr(self, field) not in allowed:
            _refuse(
                f"{field} must be one of {', '.join(allowed)}. Received: {getattr(self, field)!r}"
            )

    def _require_image_size(self) -> None:
        if type(self.image_size) is not int or not 1 <= self.image_size <= 4096:
            _refuse(
                "image_size must be a whole number of 1 to 4096 pixels."
                f" Received: {self.image_size!r}"
            )
        if self.storage == "original" and self.image_size != IMAGE_SIZE:
            _refuse(
                "image_size is of storage raw and jpeg; original serves images of any size."
                f" Received: {self.image_size}"
            )

    def _require_quality(self) -> None:
        if type(self.quality) is not int or not 1 <= self.quality <= jpeg.QUALITY:
            rule = f"quality must be a whole number of 1 to {jpeg.QUALITY}"
            _refuse(f"{rule}. Received: {self.quality!r}")
        if self.storage != "jpeg" and self._coding():
            rule = "quality and subsampling are of storage jpeg"
            _refuse(f"{rule}. Received: storage {self.storage}")

    def _coding(self) -> list[str]:
        """Parts of the name that tell how JPEG files are coded, where it is not the default."""
        quality = [] if self.quality == jpeg.QUALITY else [f"q{self.quality}"]
        halved = [] if self.subsampling == jpeg.SUBSAMPLING else [self.subsampling.replace(":", "")]
        return quality + halved

    def settings(self) -> dict[str, Any]:
        """The settings that differ from their defaults, as `tfds build --config` takes them."""
        inherited = {field.name for field in dataclasses.fields(tfds.core.BuilderConfig)}
        fields = [field for field in dataclasses.fields(self) if field.name not in inherited]
        values = {field.name: getattr(self, field.name) for field in fields}
        return {f.name: values[f.name] for f in fields if values[f.name] != f.default}

    def plain(self) -> StorageConfig:
        """The same storage, as any process can load it, whatever module the builder came from."""
        names = ("storage", "image_size", "quality", "subsampling")
        return StorageConfig(**{name: getattr(self, name) for name in names})

    def stem(self) -> str:
        """First part of the name, e.g. `raw256`."""
        return self.storage if self.storage == "original" else f"{self.storage}{self.image_size}"

    def suffixes(self) -> list[str]:
        """Further parts of the name: one for every setting that differs from its default."""
        return self._coding() + ([] if self.on_bad_image == "raise" else [self.on_bad_image])

    def describe(self) -> str:
        """One line for the catalogue."""
        if self.storage == "original":
            return "The files untouched (rare formats as PNG): any image size can be served."
        form = f"JPEG of quality {self.quality}, chroma {self.subsampling}"
        if self.storage == "raw":
            form = "uncompressed pixels"
        return f"Resized to a short side of {int(self.image_size / CROP_FRACTION)} pixels, {form}."

    def feature(self) -> tfds.features.FeatureConnector:
        """The feature that holds the image."""
        if self.storage == "raw":
            return tfds.features.Tensor(shape=(None, None, 3), dtype=np.uint8, encoding="bytes")
        encoding = "jpeg" if self.storage == "jpeg" else None
        return tfds.features.Image(shape=(None, None, 3), encoding_format=encoding)

    def metadata(self) -> dict[str, Any]:
        """What readers of the dataset need to know: how its pixels were made."""
        resized = self.storage != "original"
        return {
            "storage": self.storage,
            "image_size": self.image_size if resized else None,
            "crop_fraction": CROP_FRACTION if resized else None,
            "interpolation": INTERPOLATION if resized else None,
            "on_bad_image": self.on_bad_image,
            **self._jpeg_metadata(),
        }

    def _jpeg_metadata(self) -> dict[str, Any]:
        if self.storage != "jpeg":
            return {}
        return {"quality": self.quality, "subsampling": self.subsampling}


@dataclasses.dataclass(eq=False)
class DividedConfig(StorageConfig):
    """Storage, and where the splits come from."""

    split: str = "auto"
    divisions: ClassVar[Collection[str]] = ()  # what else `split` may be

    def __post_init__(self) -> None:
        self.require("split", ("auto", *self.divisions))
        super().__post_init__()

    def suffixes(self) -> list[str]:
        """See the base class."""
        return ([] if self.split == "auto" else [self.split]) + super().suffixes()


def _refuse(message: str) -> NoReturn:
    # `tfds build --config` makes configurations before it makes a builder.
    report_errors_in_one_line()
    raise DatasetError(message)
