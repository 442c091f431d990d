"""Names of storages, such as "raw448": the form of the images, and the side of their windows."""

from __future__ import annotations

from typing import NamedTuple

STORAGES = ("original", "raw256", "jpeg256")
DIGITS = "0123456789"


class Storage(NamedTuple):
    """A storage of a dataset.

    Attributes:
        form: "original" for source files, "raw" for pixels, "jpeg" for prepared JPEG files; "files"
            are source files in class folders.
        image_size: side of the windows that it is prepared for, pixels; None without preparation.
    """

    form: str
    image_size: int | None = None

    @property
    def name(self) -> str:
        """As datasets and tables call it."""
        return self.form if self.image_size is None else f"{self.form}{self.image_size}"

    @property
    def options(self) -> dict[str, str | int]:
        """The fields by which a builder's configuration names it."""
        size = {} if self.image_size is None else {"image_size": self.image_size}
        return {"storage": self.form, **size}


def parse(name: str) -> Storage:
    """The storage of that name."""
    form = name.rstrip(DIGITS)
    digits = name.removeprefix(form)
    return Storage(form, int(digits) if digits else None)


def resized(name: str, image_size: int) -> str:
    """The storage of the same form for windows of another size; the name itself without a size."""
    storage = parse(name)
    return name if storage.image_size is None else storage._replace(image_size=image_size).name


def plain_source(name: str) -> str:
    """The storage from which plain files are made of a storage: of prepared JPEGs, their pixels."""
    storage = parse(name)
    return storage._replace(form="raw").name if storage.form == "jpeg" else name
