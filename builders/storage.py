"""How one image is stored: the configuration, the check of a file, and the reference system's resize.

The checks and the pixels are Pillow's, as in the reference system. Every mode is converted as it
did, with `Image.convert("RGB")`: greyscale, palette and CMYK become RGB, an alpha channel is
dropped, an animation gives its first frame, EXIF orientation is ignored, and 16-bit greyscale is
cut off at 255 (`Stored.clipped` tells).
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import io
import stat
import sys
import tempfile
import threading
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, NamedTuple, NoReturn

import click
import numpy as np
import tensorflow_datasets.public_api as tfds
from PIL import Image, UnidentifiedImageError

from . import jpeg

# The reference system's image loader ("lanczos:random" and "lanczos:center" of its Keras
# `load_img`).
IMAGE_SIZE = 256  # pixels, side of the square that the network sees
CROP_FRACTION = 0.875  # of the short side of the resized image
INTERPOLATION = "lanczos"

MAX_BYTES = 2**28  # of a file
MAX_JPEG_SIDE = 65_500  # pixels, libjpeg's own limit
MAX_PIXELS = 2**26  # of an image, as it is and as it is resized: 256 MiB in Pillow
_LARGE_PIXELS = (
    2**24
)  # images above are handled one at a time, so that memory does not grow with the number of cores
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
# Modes that TensorFlow's decoder and Pillow turn into the same RGB values, by format.
_SAME_IN_TENSORFLOW = {
    "JPEG": ("RGB", "L"),
    "PNG": ("RGB", "RGBA", "L", "LA", "P", "1"),
    "GIF": ("RGB", "L", "P"),
}
_large = threading.Lock()


class DatasetError(ValueError):
    """The data or the settings do not allow a dataset to be built; the message says what to do."""


class BadImage(ValueError):  # noqa: N818  # it is a finding about a file rather than a failure
    """A file that cannot be stored; the message is the reason, in words."""


class Stored(NamedTuple):
    """One image as a record keeps it."""

    value: bytes | np.ndarray  # a file for `original` and `jpeg`; uint8 [h, w, 3] of `raw`
    clipped: bool  # 16 bits a value, cut off at 255
    size: tuple[int, int]  # width and height of the file's image, pixels
    format: str  # of the file and of its pixels, as Pillow names them, e.g. JPEG and RGB
    mode: str


@dataclasses.dataclass(eq=False)
class StorageConfig(tfds.core.BuilderConfig):
    """What a dataset stores, and what a bad image leads to. The name follows from the rest, e.g. `raw448_skip`."""

    name: str = ""
    description: str | None = None
    storage: str = "original"  # original: the files untouched; raw: resized pixels; jpeg: the same pixels as JPEG
    image_size: int = IMAGE_SIZE  # pixels, side of the window that will be cut from raw and jpeg
    on_bad_image: str = (
        "raise"  # raise: stop and name all of them; skip: leave them out and list them
    )

    def __post_init__(self) -> None:
        self.require("storage", ("original", "raw", "jpeg"))
        self.require("on_bad_image", ("raise", "skip"))
        if type(self.image_size) is not int or not 1 <= self.image_size <= 4096:
            _refuse(
                f"image_size must be a whole number of 1 to 4096 pixels. Received: {self.image_size!r}"
            )
        self.name = self.name or "_".join([self.stem(), *self.suffixes()])
        self.description = self.description or self.describe()

    def require(self, field: str, allowed: tuple[str, ...]) -> None:
        """Raises DatasetError unless the field's value is among those allowed."""
        if getattr(self, field) not in allowed:
            _refuse(
                f"{field} must be one of {', '.join(allowed)}. Received: {getattr(self, field)!r}"
            )

    def settings(self) -> dict[str, Any]:
        """The settings that differ from their defaults, as `tfds build --config` takes them."""
        inherited = {field.name for field in dataclasses.fields(tfds.core.BuilderConfig)}
        own = [field for field in dataclasses.fields(self) if field.name not in inherited]
        return {
            field.name: getattr(self, field.name)
            for field in own
            if getattr(self, field.name) != field.default
        }

    def stem(self) -> str:
        """First part of the name, e.g. `raw256`."""
        return self.storage if self.storage == "original" else f"{self.storage}{self.image_size}"

    def suffixes(self) -> list[str]:
        """Further parts of the name: one for every setting that differs from its default."""
        return [] if self.on_bad_image == "raise" else [self.on_bad_image]

    def describe(self) -> str:
        """One line for the catalogue."""
        if self.storage == "original":
            return "The files untouched (rare formats as PNG): any image size can be served."
        form = (
            "uncompressed pixels"
            if self.storage == "raw"
            else "JPEG of quality 95 without chroma subsampling"
        )
        return f"Resized to a short side of {int(self.image_size / CROP_FRACTION)} pixels, {form}."

    def feature(self) -> tfds.features.FeatureConnector:
        """The feature that holds the image."""
        if self.storage == "raw":
            return tfds.features.Tensor(shape=(None, None, 3), dtype=np.uint8, encoding="bytes")
        return tfds.features.Image(
            shape=(None, None, 3), encoding_format="jpeg" if self.storage == "jpeg" else None
        )

    def metadata(self) -> dict[str, Any]:
        """What readers of the dataset need to know: how its pixels were made."""
        resized = self.storage != "original"
        return {
            "storage": self.storage,
            "image_size": self.image_size if resized else None,
            "crop_fraction": CROP_FRACTION if resized else None,
            "interpolation": INTERPOLATION if resized else None,
            "on_bad_image": self.on_bad_image,
        }


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


def cover_size(width: int, height: int, image_size: int = IMAGE_SIZE) -> tuple[int, int]:
    """Width and height, in pixels, of an image scaled so that its short side is `image_size / CROP_FRACTION`.

    As in the reference system, an image that already is the square of `image_size` pixels is left
    as it is.
    """
    if (width, height) == (image_size, image_size):
        return width, height
    cover = image_size / CROP_FRACTION
    ratio = max(cover / width, cover / height)
    return int(width * ratio), int(height * ratio)


def cover_resize(image: Image.Image, image_size: int = IMAGE_SIZE) -> Image.Image:
    """Scales an RGB image with its aspect kept, bit for bit as the reference system does before it crops."""
    size = cover_size(image.width, image.height, image_size)
    return image if size == image.size else image.resize(size, Image.Resampling.LANCZOS)


def store(path: Path, config: StorageConfig) -> Stored:
    """Reads, checks and converts one file; it is read once and decoded once.

    Raises:
        BadImage: the file cannot be read or decoded in full, or is too large; see `MAX_BYTES` and
            `MAX_PIXELS`.
        DatasetError: a JPEG cannot be made, because no temporary file can be written.
    """
    data = read_bytes(path)
    try:
        with (
            Image.open(io.BytesIO(data), formats=_FORMATS) as image,
            _room(image, config.image_size),
        ):
            size, form, mode = image.size, image.format or "", image.mode
            picture = _to_rgb(image)
            value = (
                _original(data, image, picture)
                if config.storage == "original"
                else _encode(picture, config)
            )
            return Stored(value, mode.startswith("I;16"), size, form, mode)
    except (BadImage, DatasetError):
        raise
    except UnidentifiedImageError:
        raise BadImage("not an image, or its header is damaged") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadImage(f"too many pixels (limit {MAX_PIXELS:,})") from None
    except (
        Exception
    ) as error:  # Pillow's decoders raise errors of many types when the bytes are damaged.
        raise BadImage(_decoding_reason(error)) from None


def _original(data: bytes, image: Image.Image, picture: Image.Image) -> bytes:
    """The file itself, or, where TensorFlow would not decode it to Pillow's pixels, these pixels as PNG."""
    frames = getattr(image, "n_frames", 1)
    if image.mode in _SAME_IN_TENSORFLOW.get(image.format or "", ()) and frames == 1:
        return data
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return buffer.getvalue()


def _to_rgb(image: Image.Image) -> Image.Image:
    image.load()
    return image if image.mode == "RGB" else image.convert("RGB")


def _encode(picture: Image.Image, config: StorageConfig) -> bytes | np.ndarray:
    pixels = np.asarray(cover_resize(picture, config.image_size))
    if config.storage == "raw":
        return pixels
    height, width, _ = pixels.shape
    if max(height, width) > MAX_JPEG_SIDE:
        raise BadImage(
            f"too long ({width}x{height} when resized; a JPEG has at most {MAX_JPEG_SIDE:,} pixels a side)"
        )
    try:
        return jpeg.encode(pixels)
    except OSError as error:
        reason = error.strerror or error
        raise DatasetError(
            f"{tempfile.gettempdir()}: no temporary file can be written there ({reason}). Make room, or set TMPDIR."
        ) from None


def read_bytes(path: Path) -> bytes:
    """The file's bytes.

    Raises:
        BadImage: there is no such file, or it cannot be read.
    """
    try:
        check_file(path)
        return path.read_bytes()
    except OSError as error:
        raise BadImage(_reading_reason(error)) from None
    except BadImage:
        raise
    except ValueError:
        raise BadImage("not a possible file name") from None


def check_file(path: Path) -> int:
    """Size in bytes of a regular file that is neither empty nor too large; else raises BadImage or OSError."""
    status = path.stat()
    if stat.S_ISDIR(status.st_mode):
        raise BadImage("a folder, not a file")
    if not stat.S_ISREG(status.st_mode):
        raise BadImage("not a regular file")  # reading a pipe would block
    if status.st_size == 0:
        raise BadImage("zero bytes")
    if status.st_size > MAX_BYTES:
        raise BadImage(f"{status.st_size:,} bytes are too many (limit {MAX_BYTES:,})")
    return status.st_size


def _reading_reason(error: OSError) -> str:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return "missing"
    if error.errno == errno.ELOOP:
        return "symbolic-link loop"
    return f"unreadable ({error.strerror})"


def _decoding_reason(error: Exception) -> str:
    text = " ".join(str(error).split())
    return (
        "truncated"
        if "truncated" in text.lower()
        else f"cannot be decoded ({text or type(error).__name__})"
    )


@contextlib.contextmanager
def _room(image: Image.Image, image_size: int) -> Iterator[None]:
    """Refuses an image by its header, before it is decoded, and lets only one large image be decoded at a time."""
    width, height = cover_size(image.width, image.height, image_size)
    pixels = max(image.width * image.height, width * height)
    if pixels > MAX_PIXELS:
        resized = (
            "" if image.width * image.height > MAX_PIXELS else f", {width}x{height} when resized"
        )
        raise BadImage(
            f"too many pixels ({image.width}x{image.height}{resized}; limit {MAX_PIXELS:,})"
        )
    with _large if pixels > _LARGE_PIXELS else contextlib.nullcontext():
        yield


def _refuse(message: str) -> NoReturn:
    report_errors_in_one_line()  # `tfds build --config` makes configurations before it makes a builder
    raise DatasetError(message)


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keeps Pillow's warnings about damaged metadata and large images off the terminal: bad images are reported."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield


@functools.cache
def report_errors_in_one_line() -> None:
    """Makes a DatasetError that nobody catches end the process with its message and exit status 2.

    `tfds build` belongs to TFDS and would print a traceback. Every other exception goes the usual
    way.
    """
    usual = sys.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, DatasetError):
            return usual(kind, error, trace)
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(2)

    sys.excepthook = hook
