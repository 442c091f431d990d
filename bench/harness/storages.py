"""Names of storages, such as "raw448": the form of the images, the side of their windows."""

from __future__ import annotations

import re
from typing import NamedTuple

STORAGES = ("original", "raw256", "jpeg256")
SMALLER = "jpeg256_q90_420"  # of lower quality, with chroma at half the resolution
_NAME = re.compile(r"([a-z]+?)(\d*)(?:_q(\d+))?(?:_(420))?")


class Storage(NamedTuple):
    """A storage of a dataset.

    Attributes:
        form: "original" for source files, "raw" for pixels, "jpeg" for prepared JPEG files; "files"
            are source files in class folders.
        image_size: side of the windows that it is prepared for, pixels; None without preparation.
        quality: of JPEG files, where it is not the usual one.
        subsampling: of their chroma, where it is not the usual one.
    """

    form: str
    image_size: int | None = None
    quality: int | None = None
    subsampling: str | None = None

    @property
    def name(self) -> str:
        """As datasets and tables call it."""
        size = "" if self.image_size is None else str(self.image_size)
        quality = "" if self.quality is None else f"_q{self.quality}"
        subsampling = "" if self.subsampling is None else f"_{self.subsampling.replace(':', '')}"
        return f"{self.form}{size}{quality}{subsampling}"

    @property
    def options(self) -> dict[str, str | int]:
        """The fields by which a builder's configuration names it."""
        _, *choices = self._asdict().items()
        return {"storage": self.form, **{name: value for name, value in choices if value}}


def parse(name: str) -> Storage:
    """The storage of that name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return Storage(name)
    form, image_size, quality, subsampling = match.groups()
    return Storage(
        form,
        int(image_size) if image_size else None,
        int(quality) if quality else None,
        ":".join(subsampling) if subsampling else None,
    )


def resized(name: str, image_size: int) -> str:
    """The storage of the same form for windows of another size; the name itself without a size."""
    storage = parse(name)
    return name if storage.image_size is None else storage._replace(image_size=image_size).name


def plain_source(name: str) -> str:
    """The storage from which plain files are made of a storage: of prepared JPEGs, their pixels."""
    storage = parse(name)
    return Storage("raw", storage.image_size).name if storage.form == "jpeg" else name
