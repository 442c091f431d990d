"""Why a file is refused."""

import os
import struct
import zlib

import pytest
from archive_files import photo, saved
from PIL import Image

from sentiflow import photo as image_files
from sentiflow.builders.writing import storage
from sentiflow.builders.writing.config import StorageConfig
from sentiflow.photo import BadImage, quiet_pillow

RAW, JPEG, ORIGINAL = StorageConfig(storage="raw"), StorageConfig(storage="jpeg"), StorageConfig()


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width, height):
    """A PNG that promises more than it holds."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return (
        b"\x89PNG\r\n\x1a\n"
        + header
        + chunk(b"IDAT", zlib.compress(b"\0" * 50))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "size", [(2**13 + 1, 2**13), (9_500, 9_500), (2**16, 2**16), (2**31 - 1, 2**31 - 1)]
)
def test_bombs_are_refused_by_their_header(tmp_path, monkeypatch, size):
    monkeypatch.setattr(Image.Image, "load", lambda *_: pytest.fail("decoded"))
    path = tmp_path / "bomb.png"
    path.write_bytes(png(*size))
    with quiet_pillow(), pytest.raises(BadImage, match="too many pixels"):
        storage.store(path, ORIGINAL)


def test_an_image_that_is_too_long_for_a_jpeg_is_refused(tmp_path):
    path = saved(tmp_path / "thread.png", Image.new("L", (1, 225)))
    assert storage.store(path, RAW).value.shape == (65_828, 292, 3)
    with pytest.raises(
        BadImage,
        match=r"too long \(292x65828 when resized; a JPEG has at most 65,500 pixels a side\)",
    ):
        storage.store(path, JPEG)


def test_an_image_that_explodes_when_resized_is_refused(tmp_path):
    path = saved(tmp_path / "thread.png", Image.new("L", (1, 900)))
    with pytest.raises(BadImage, match=r"too many pixels \(1x900, 292x263314 when resized"):
        storage.store(path, ORIGINAL)


def test_a_large_image_within_the_limits_is_stored(tmp_path):
    path = saved(tmp_path / "large.png", Image.new("1", (5000, 3500)))
    assert storage.store(path, RAW).value.shape == (292, 417, 3)


def truncated(path):
    saved(path, photo(300, 300), "JPEG")
    path.write_bytes(path.read_bytes()[:-2000])


def truncated_png(path):
    saved(path, photo(300, 300))
    path.write_bytes(path.read_bytes()[:-3000])


def damaged_png(path):
    saved(path, photo(300, 300))
    data = bytearray(path.read_bytes())
    data[60:900] = bytes(840)
    path.write_bytes(data)


def zeroed_png(path):
    """Seven tenths of its pixel data are zeros, which decoders take for black."""
    saved(path, photo(300, 300), compress_level=0)
    data = bytearray(path.read_bytes())
    data[len(data) * 3 // 10 : -12] = bytes(len(data) - 12 - len(data) * 3 // 10)
    path.write_bytes(data)


def wrong_checksum(path):
    saved(path, photo(300, 300))
    data = bytearray(path.read_bytes())
    data[-14] ^= 1  # of the pixel data; before the last chunk of 12 bytes
    path.write_bytes(data)


def endless_png(path):
    saved(path, photo(300, 300))
    path.write_bytes(path.read_bytes()[:-8])


def heic(path):
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + bytes(50))


def loop(path):
    path.symlink_to(path.name)


BAD = {
    "truncated": (truncated, "truncated"),
    "truncated png": (truncated_png, "truncated"),
    "damaged": (damaged_png, "cannot be decoded"),
    "zeroed png": (zeroed_png, "cannot be decoded|damaged"),
    "wrong checksum": (wrong_checksum, "damaged: a checksum"),
    "png without end": (endless_png, "or its end is missing"),
    "damaged heic": (heic, "not an image, or its header is damaged"),
    "another format": (lambda path: saved(path, photo(9, 9), "PCX"), "of format PCX, which is not"),
    "empty": (lambda path: path.write_bytes(b""), "zero bytes"),
    "text": (lambda path: path.write_text("hello"), "not an image"),
    "header only": (lambda path: path.write_bytes(b"\xff\xd8\xff\xe0"), "not an image"),
    "postscript": (
        lambda path: saved(path, photo(9, 9), "EPS"),
        "of format EPS, which is not",
    ),
    "missing": (lambda path: None, "missing"),
    "dangling link": (lambda path: path.symlink_to("nowhere"), "missing"),
    "loop": (loop, "symbolic-link loop"),
    "folder": (lambda path: path.mkdir(), "a folder"),
    "pipe": (os.mkfifo, "not a regular file"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("config", [ORIGINAL, RAW], ids=["original", "raw"])
def test_bad_files_are_refused_in_words(tmp_path, case, config):
    make, reason = BAD[case]
    make(tmp_path / "a.jpg")
    with pytest.raises(BadImage, match=reason):
        storage.store(tmp_path / "a.jpg", config)


def test_a_format_that_is_not_read_is_named(tmp_path, monkeypatch):
    heic(tmp_path / "a.jpg")
    monkeypatch.setattr(image_files, "formats", lambda: {"JPEG": (".jpg",)})
    named = r"of format HEIC, which is not read here: pip install '.\[heif\]'"
    with pytest.raises(BadImage, match=named):
        storage.store(tmp_path / "a.jpg", RAW)


def test_unreadable_and_oversized_files_are_refused(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.png", photo(20, 20))
    monkeypatch.setattr(image_files, "MAX_BYTES", 10)
    with pytest.raises(BadImage, match="too many"):
        storage.store(path, RAW)
    monkeypatch.undo()
    monkeypatch.setattr(
        type(path),
        "read_bytes",
        lambda _: (_ for _ in ()).throw(PermissionError(13, "Permission denied")),
    )
    with pytest.raises(BadImage, match=r"unreadable \(Permission denied\)"):
        storage.store(path, RAW)


def test_names_that_no_file_can_have_are_refused(tmp_path):
    with pytest.raises(BadImage, match="not a possible file name"):
        storage.store(tmp_path / "a\0b", RAW)
