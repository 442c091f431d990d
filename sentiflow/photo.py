"""A picture file: how it is read and checked, at every door, and when it is bad.

The checks and the pixels are Pillow's, as in the reference system. Every mode is converted as it
did, with `Image.convert("RGB")`: greyscale, palette and CMYK become RGB, an alpha channel is
dropped, an animation gives its first frame, EXIF orientation is ignored, and what has more than 8
bits a value is cut off at 0 and 255 (`Photo.clipped` tells).
"""

from __future__ import annotations

import contextlib
import errno
import functools
import io
import os
import stat
import threading
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from . import extras, faults, intact

MAX_BYTES = 2**28  # of a file
MAX_PIXELS = 2**26  # of an image, as it is and as it is scaled: 256 MiB in Pillow
# Images above are handled one at a time, so that memory does not grow with the number of cores.
_LARGE_PIXELS = 2**24
# As Pillow names them, each with the suffixes of its files; JPEG stands for MPO as well.
_FORMATS: dict[str, tuple[str, ...]] = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png",),
    "GIF": (".gif",),
    "BMP": (".bmp",),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
}
_AVIF = (".avif",)
_HEIF = (".heic", ".heif")
# Formats by the brand in bytes 8 to 11 of files that have `ftyp` before it (ISO 14496-12).
_BRANDS = {b"avif": "AVIF", b"avis": "AVIF"} | dict.fromkeys(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), "HEIC"
)
_REMEDIES = {
    "AVIF": "install a Pillow that does, or convert it to PNG",
    "HEIC": f"{extras.install_command('heif')}, or convert it to PNG",
}
# 16-bit and 32-bit integers, and floats.
_DEEP_MODES = ("I", "F")
_large = threading.Lock()

Size = tuple[int, int]  # width and height, in pixels


class BadImage(ValueError):  # noqa: N818  # it is a finding about a file rather than a failure
    """A file that is no usable picture; the message is the reason, in words."""


class Photo(NamedTuple):
    """A picture that has been decoded in full."""

    data: bytes  # the file
    image: Image.Image  # as Pillow opened it
    picture: Image.Image  # RGB
    format: str  # of the file, as Pillow names it, e.g. JPEG

    @property
    def mode(self) -> str:
        """Pillow's name of the file's kind of pixels, e.g. RGB."""
        return self.image.mode

    @property
    def clipped(self) -> bool:
        """Whether its values had more than 8 bits, and were cut off at 0 and 255."""
        return self.mode.startswith(_DEEP_MODES)


@functools.cache
def formats() -> dict[str, tuple[str, ...]]:
    """The formats that are read, each with the suffixes of its files, in lower case.

    AVIF is among them where Pillow was built with it, HEIF where pillow-heif is installed.
    """
    more: dict[str, tuple[str, ...]] = {"AVIF": _AVIF} if features.check("avif") else {}
    if not extras.missing("heif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
        more["HEIF"] = _HEIF
    return _FORMATS | more


@functools.cache
def suffixes() -> frozenset[str]:
    """The suffixes of all files that are read, in lower case."""
    return frozenset(suffix for listed in formats().values() for suffix in listed)


@contextlib.contextmanager
def opened(path: str | os.PathLike[str], scaled: Callable[[int, int], Size]) -> Iterator[Photo]:
    """Reads, checks and decodes a file, once.

    Of pictures that are large, no more than one is open at a time.

    Args:
        path: of the file.
        scaled: (width, height) -> the size that it will be scaled to; both are limited by
            `MAX_PIXELS` before anything is decoded.

    Raises:
        BadImage: it cannot be read or decoded in full, or is too large.
    """
    data = read_bytes(Path(path))
    with contextlib.ExitStack() as stack:
        with _reasons(data):
            photo = _decode(data, scaled, stack)
        yield photo


@contextlib.contextmanager
def opened_bytes(data: bytes) -> Iterator[Image.Image]:
    """A picture that was checked when it was stored; its header is read.

    Raises:
        BadImage: it is damaged now, or turns out to be when its pixels are read.
    """
    with _reasons(data), _open(data) as image:
        yield image


@contextlib.contextmanager
def _reasons(data: bytes) -> Iterator[None]:
    """Makes of any error about a file's bytes a BadImage that says why."""
    try:
        yield
    except BadImage:
        raise
    except UnidentifiedImageError:
        raise BadImage(_unknown(data)) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadImage(f"too many pixels (limit {MAX_PIXELS:,})") from None
    except Exception as error:
        # Pillow's decoders raise errors of many types when the bytes are damaged.
        raise BadImage(_decoding_reason(error)) from None


def _decode(data: bytes, scaled: Callable[[int, int], Size], stack: contextlib.ExitStack) -> Photo:
    image = stack.enter_context(_open(data))
    pixels = _check_size(image.size, scaled)
    if pixels > _LARGE_PIXELS:
        stack.enter_context(_large)
    form = image.format or ""
    image.load()
    if form == "PNG":
        _check_png(data)
    elif form in ("JPEG", "MPO") and (damage := intact.jpeg_damage(data)):
        raise BadImage(f"damaged: {damage}")
    picture = image if image.mode == "RGB" else image.convert("RGB")
    return Photo(data, image, picture, form)


def _open(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data), formats=tuple(formats()))


def _check_png(data: bytes) -> None:
    """Refuses a PNG of which the decoder does not notice that it is damaged."""
    try:
        with _open(data) as image:
            image.verify()
    except (OSError, SyntaxError):
        raise BadImage("damaged: a checksum of the PNG is wrong, or its end is missing") from None
    if not intact.png_is_complete(data):
        raise BadImage("damaged: rows of the PNG are missing, or its end")


def _check_size(size: Size, scaled: Callable[[int, int], Size]) -> int:
    """The pixels of an image, as it is or as it is scaled; refuses too many by its header."""
    width, height = scaled(*size)
    source_pixels = size[0] * size[1]
    pixels = max(source_pixels, width * height)
    if pixels > MAX_PIXELS:
        resized = "" if source_pixels > MAX_PIXELS else f", {width}x{height} when resized"
        raise BadImage(f"too many pixels ({size[0]}x{size[1]}{resized}; limit {MAX_PIXELS:,})")
    return pixels


def _unknown(data: bytes) -> str:
    """Why a file is none of the formats that are read."""
    brand = _BRANDS.get(data[8:12]) if data[4:8] == b"ftyp" else None
    if brand and not _is_read(brand):
        return f"a picture of format {brand}, which is not read here: {_REMEDIES[brand]}"
    with contextlib.suppress(Exception), Image.open(io.BytesIO(data)) as image:
        if image.format not in formats():
            return f"a picture of format {image.format}, which is not read: convert it to PNG"
    return "not an image, or its header is damaged"


def _is_read(brand: str) -> bool:
    return {"HEIC": "HEIF"}.get(brand, brand) in formats()


def decode_with_tensorflow(data: Any) -> Any:
    """A JPEG, PNG or GIF file as the input path decodes it: string scalar to uint8 [h, w, 3]."""
    import tensorflow as tf  # not above: a JAX backend must be loaded before it

    # The operation reads PNG and GIF too. Its default transform is several levels off.
    return tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")


def decodes_to(data: bytes, pixels: np.ndarray) -> bool:
    """Whether the input path decodes a file to just these pixels, uint8 [h, w, 3]."""
    import tensorflow as tf

    try:
        return np.array_equal(decode_with_tensorflow(data).numpy(), pixels)
    except tf.errors.InvalidArgumentError:
        return False


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
def quiet_pillow() -> Iterator[None]:
    """Keeps Pillow's warnings about damaged metadata and large images off the terminal.

    Bad images are reported.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"PIL\.")
        yield
