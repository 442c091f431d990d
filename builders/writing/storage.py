"""How one image is stored.

The configuration, the check of a file, and the reference system's resize.

The checks and the pixels are Pillow's, as in the reference system. Every mode is converted as it
did, with `Image.convert("RGB")`: greyscale, palette and CMYK become RGB, an alpha channel is
dropped, an animation gives its first frame, EXIF orientation is ignored, and 16-bit greyscale is
cut off at 255 (`Stored.clipped` tells).
"""

from __future__ import annotations

import contextlib
import errno
import io
import stat
import tempfile
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError

from sentiflow import faults

from . import jpeg
from .config import CROP_FRACTION, IMAGE_SIZE, StorageConfig
from .errors import DatasetError

MAX_BYTES = 2**28  # of a file
MAX_JPEG_SIDE = 65_500  # pixels, libjpeg's own limit
MAX_PIXELS = 2**26  # of an image, as it is and as it is resized: 256 MiB in Pillow
# Images above are handled one at a time, so that memory does not grow with the number of cores.
_LARGE_PIXELS = 2**24
_FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "PPM")
# Modes that TensorFlow's decoder and Pillow turn into the same RGB values, by format.
_SAME_IN_TENSORFLOW = {
    "JPEG": ("RGB", "L"),
    "PNG": ("RGB", "RGBA", "L", "LA", "P", "1"),
    "GIF": ("RGB", "L", "P"),
}
_large = threading.Lock()


class BadImage(ValueError):  # noqa: N818  # it is a finding about a file rather than a failure
    """A file that cannot be stored; the message is the reason, in words."""


class Stored(NamedTuple):
    """One image as a record keeps it."""

    value: bytes | np.ndarray  # a file for `original` and `jpeg`; uint8 [h, w, 3] of `raw`
    clipped: bool  # 16 bits a value, cut off at 255
    size: tuple[int, int]  # width and height of the file's image, pixels
    format: str  # of the file and of its pixels, as Pillow names them, e.g. JPEG and RGB
    mode: str


def cover_size(width: int, height: int, image_size: int = IMAGE_SIZE) -> tuple[int, int]:
    """Width and height, in pixels, of an image scaled to be cropped.

    Its short side becomes `image_size / CROP_FRACTION`. As in the reference system, an image
    that already is the square of `image_size` pixels is left as it is.
    """
    if (width, height) == (image_size, image_size):
        return width, height
    cover = image_size / CROP_FRACTION
    ratio = max(cover / width, cover / height)
    return int(width * ratio), int(height * ratio)


def cover_resize(image: Image.Image, image_size: int = IMAGE_SIZE) -> Image.Image:
    """Scales an RGB image with its aspect kept.

    The pixels are bit for bit what the reference system has before it crops.
    """
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
        return _convert(data, config)
    except (BadImage, DatasetError):
        raise
    except UnidentifiedImageError:
        raise BadImage("not an image, or its header is damaged") from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadImage(f"too many pixels (limit {MAX_PIXELS:,})") from None
    except Exception as error:
        # Pillow's decoders raise errors of many types when the bytes are damaged.
        raise BadImage(_decoding_reason(error)) from None


def _convert(data: bytes, config: StorageConfig) -> Stored:
    file = io.BytesIO(data)
    with Image.open(file, formats=_FORMATS) as image, _room(image, config.image_size):
        size = image.size
        form = image.format or ""
        mode = image.mode
        picture = _to_rgb(image)
        if config.storage == "original":
            value: bytes | np.ndarray = _original(data, image, picture)
        else:
            value = _encode(picture, config)
        return Stored(value, mode.startswith("I;16"), size, form, mode)


def _original(data: bytes, image: Image.Image, picture: Image.Image) -> bytes:
    """The file itself, or its pixels as PNG where TensorFlow would decode it to others."""
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
    return pixels if config.storage == "raw" else _encode_jpeg(pixels)


def _encode_jpeg(pixels: np.ndarray) -> bytes:
    height, width, _ = pixels.shape
    if max(height, width) > MAX_JPEG_SIDE:
        raise BadImage(
            f"too long ({width}x{height} when resized;"
            f" a JPEG has at most {MAX_JPEG_SIDE:,} pixels a side)"
        )
    try:
        return jpeg.encode(pixels)
    except OSError as error:
        reason = error.strerror or error
        raise DatasetError(
            f"{tempfile.gettempdir()}: no temporary file can be written there ({reason})."
            " Make room, or set TMPDIR."
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
    """Size in bytes of a regular file that is neither empty nor too large.

    Else raises BadImage or OSError.
    """
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
    text = faults.without_addresses(" ".join(str(error).split()))
    if "truncated" in text.lower():
        return "truncated"
    return f"cannot be decoded ({text or type(error).__name__})"


@contextlib.contextmanager
def _room(image: Image.Image, image_size: int) -> Iterator[None]:
    """Refuses an image by its header, before it is decoded.

    Only one large image is decoded at a time.
    """
    width, height = cover_size(image.width, image.height, image_size)
    source_pixels = image.width * image.height
    pixels = max(source_pixels, width * height)
    if pixels > MAX_PIXELS:
        resized = "" if source_pixels > MAX_PIXELS else f", {width}x{height} when resized"
        raise BadImage(
            f"too many pixels ({image.width}x{image.height}{resized}; limit {MAX_PIXELS:,})"
        )
    with _large if pixels > _LARGE_PIXELS else contextlib.nullcontext():
        yield


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Keeps Pillow's warnings about damaged metadata and large images off the terminal.

    Bad images are reported.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield
