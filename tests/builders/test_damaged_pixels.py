"""Pictures that Pillow decodes though pixels of theirs are lost."""

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from sentiflow import intact, photo

FORMS = [{}, {"progressive": True}, {"restart_marker_blocks": 8}]


def jpeg(**options):
    pixels = np.random.default_rng(7).integers(0, 255, (12, 16, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels).resize((320, 240), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


def reason(data, path):
    path.write_bytes(data)
    try:
        with photo.opened(path, lambda width, height: (width, height)):
            return ""
    except photo.BadImage as error:
        return str(error)


@pytest.mark.parametrize("options", FORMS, ids=["baseline", "progressive", "restart"])
@pytest.mark.parametrize("lost", ["cut", "zeroed"])
def test_a_jpeg_that_lost_most_of_its_picture_is_bad(options, lost, tmp_path):
    sound = jpeg(**options)
    assert reason(sound, tmp_path / "a.jpg") == ""
    middle = len(sound) * 2 // 5
    damaged = sound[:middle] + (b"" if lost == "cut" else bytes(len(sound) - 2 - middle))
    assert reason(damaged + b"\xff\xd9", tmp_path / "a.jpg").startswith("damaged: ")


def test_a_few_bytes_before_the_end_of_a_jpeg_are_no_damage(tmp_path):
    sound = jpeg()
    assert reason(sound[:-2] + bytes(20) + sound[-2:], tmp_path / "a.jpg") == ""


def png(rows, *, interlace=0, end_crc=b"\xae\x42\x60\x82"):
    """A grey PNG of 5 x 5 pixels, of so many bytes of rows."""

    def chunk(name, data, crc=None):
        crc = crc or zlib.crc32(name + data).to_bytes(4, "big")
        return len(data).to_bytes(4, "big") + name + data + crc

    header = b"\0\0\0\5\0\0\0\5\x08\0\0\0" + bytes([interlace])
    pixels = chunk(b"IDAT", zlib.compress(bytes(rows)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b"", end_crc)


# Of an interlaced one, by the passes: 2 + 2 + 3 + 4 + 4 + 9 + 12 bytes, filters included.
@pytest.mark.parametrize(("rows", "interlace"), [(30, 0), (36, 1)])
def test_a_png_without_its_last_row_is_bad(rows, interlace, tmp_path):
    assert reason(png(rows, interlace=interlace), tmp_path / "a.png") == ""
    few = png(rows - 6, interlace=interlace)
    assert reason(few, tmp_path / "a.png").startswith(("damaged: rows", "truncated"))
    assert not intact.png_is_complete(few)


def test_a_png_whose_end_has_a_wrong_checksum_is_bad(tmp_path):
    damaged = png(30, end_crc=b"\xae\x42\x60\x83")
    assert reason(damaged, tmp_path / "a.png").startswith("damaged: ")


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_png_of_any_mode_is_complete(mode, tmp_path):
    pixels = np.random.default_rng(1).integers(0, 255, (33, 29), dtype=np.uint8)
    picture = (
        Image.fromarray(pixels.astype(np.uint16))
        if mode == "I;16"
        else Image.fromarray(pixels).convert(mode)
    )
    picture.save(tmp_path / "a.png")
    assert intact.png_is_complete((tmp_path / "a.png").read_bytes())
