"""How one image is stored: the reference system's resize, and the form in a record."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from sentiflow import photo
from sentiflow.photo import BadImage, Photo, Size

from . import jpeg
from .config import CROP_FRACTION, IMAGE_SIZE, StorageConfig
from .errors import DatasetError

MAX_JPEG_SIDE = 65_500  # pixels, libjpeg's own limit
# What TensorFlow decodes to Pillow's pixels, but for odd files.
_DECODED_ALIKE = ("JPEG", "MPO", "PNG", "GIF")
_JPEG_END = b"\xff\xd9"
_MP_ENTRIES = 0xB002  # of an MPO's index of pictures (CIPA DC-007, 5.2.3)


class Stored(NamedTuple):
    """One image as a record keeps it."""

    value: bytes | np.ndarray  # a file for `original` and `jpeg`; uint8 [h, w, 3] of `raw`
    clipped: bool  # more than 8 bits a value, cut off at 0 and 255
    flat: bool  # of one colour since then
    size: Size  # of the file's image
    format: str  # of the file and of its pixels, as Pillow names them, e.g. JPEG and RGB
    mode: str


def cover_size(width: int, height: int, image_size: int = IMAGE_SIZE) -> Size:
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
    """Reads, checks and converts one file; it is read once, and decoded once by Pillow.

    Raises:
        BadImage: the file cannot be read or decoded in full, or is too large; see `photo.opened`.
        DatasetError: a JPEG cannot be made, because no temporary file can be written.
    """

    def scaled(width: int, height: int) -> Size:
        return cover_size(width, height, config.image_size)

    with photo.opened(path, scaled) as image:
        if config.storage == "original":
            value: bytes | np.ndarray = _original(image)
        else:
            value = _encode(image.picture, config)
        flat = image.clipped and _is_flat(image.picture)
        return Stored(value, image.clipped, flat, image.picture.size, image.format, image.mode)


def _original(image: Photo) -> bytes:
    """The file itself, or its pixels as PNG where TensorFlow would decode it to others."""
    pixels = np.asarray(image.picture)
    for data in _candidates(image):
        if photo.decodes_to(data, pixels):
            return data
    buffer = io.BytesIO()
    # A picture of its own: that of the file may have facts that do not fit its pixels any more.
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def _candidates(image: Photo) -> Iterator[bytes]:
    """What may be stored of a file as it is.

    Of several pictures the first alone; of a JPEG whose end is damaged the same with one.
    """
    entries = getattr(image.image, "mpinfo", {}).get(_MP_ENTRIES, ())
    if entries:
        yield image.data[: entries[0]["Size"]]
    if image.format in _DECODED_ALIKE:
        yield image.data
    if image.format == "JPEG":
        yield image.data + _JPEG_END


def _is_flat(picture: Image.Image) -> bool:
    pixels = np.asarray(picture)
    return bool((pixels == pixels[0, 0]).all())


def _encode(picture: Image.Image, config: StorageConfig) -> bytes | np.ndarray:
    pixels = np.asarray(cover_resize(picture, config.image_size))
    return pixels if config.storage == "raw" else _encode_jpeg(pixels, config)


def _encode_jpeg(pixels: np.ndarray, config: StorageConfig) -> bytes:
    height, width, _ = pixels.shape
    if max(height, width) > MAX_JPEG_SIDE:
        raise BadImage(
            f"too long ({width}x{height} when resized;"
            f" a JPEG has at most {MAX_JPEG_SIDE:,} pixels a side)"
        )
    try:
        return jpeg.encode(pixels, config.quality, config.subsampling)
    except OSError as error:
        reason = error.strerror or error
        raise DatasetError(
            f"{tempfile.gettempdir()}: no temporary file can be written there ({reason})."
            " Make room, or set TMPDIR."
        ) from None
