"""What a file becomes."""

import io
import struct

import numpy as np
import pytest
import tensorflow as tf
from archive_files import photo, saved
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sentiflow.builders.writing import storage
from sentiflow.builders.writing.config import StorageConfig
from sentiflow.photo import formats, quiet_pillow, suffixes

RAW, JPEG, ORIGINAL = StorageConfig(storage="raw"), StorageConfig(storage="jpeg"), StorageConfig()


def reference_pixels(path):
    """Steps 1 and 2 of the reference system's loader, written from its description."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    if image.size == (256, 256):
        return np.asarray(image)
    width, height = image.size
    before_crop = 256 / 0.875
    ratio = max(before_crop / width, before_crop / height)
    return np.asarray(image.resize((int(width * ratio), int(height * ratio)), Image.LANCZOS))


@pytest.mark.parametrize(
    "size",
    [
        (1, 1),
        (1, 9),
        (37, 1),
        (100, 1200),
        (256, 256),
        (256, 300),
        (292, 293),
        (599, 453),
        (640, 480),
    ],
)
def test_raw_pixels_are_the_reference_systems(tmp_path, size):
    path = saved(tmp_path / "a.png", photo(*size))
    pixels = storage.store(path, RAW).value
    np.testing.assert_array_equal(pixels, reference_pixels(path))
    assert pixels.dtype == np.uint8
    assert min(pixels.shape[:2]) == (256 if size == (256, 256) else 292)


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 600))
@settings(max_examples=300, deadline=None)
def test_cover_size_covers_and_keeps_the_aspect(width, height, image_size):
    w, h = storage.cover_size(width, height, image_size)
    cover = image_size / 0.875
    if (width, height) == (image_size, image_size):
        assert (w, h) == (width, height)
    else:
        assert int(cover) - 1 <= min(w, h) <= cover
        assert abs(max(w, h) - cover * max(width, height) / min(width, height)) < 1.001
    assert min(w, h) >= image_size


def test_jpeg_is_close_to_the_pixels_and_keeps_full_chroma(tmp_path):
    path = saved(tmp_path / "a.png", photo(500, 400))
    data = storage.store(path, JPEG).value
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "JPEG"
        assert [layer[1:3] for layer in image.layer] == [(1, 1)] * 3
        error = np.asarray(image).astype(int) - reference_pixels(path)
    assert np.abs(error).max() <= 8
    assert np.abs(error).mean() < 1


def test_original_keeps_the_bytes(tmp_path):
    path = saved(tmp_path / "a.jpg", photo(50, 40), "JPEG", exif=b"Exif\0\0trailing")
    assert storage.store(path, ORIGINAL).value == path.read_bytes()


@pytest.mark.parametrize(
    ("form", "mode", "kept"),
    [("JPEG", mode, True) for mode in ("RGB", "L", "CMYK")]
    + [("PNG", mode, mode != "I;16") for mode in ("RGB", "RGBA", "L", "LA", "P", "1", "I;16")]
    + [("GIF", mode, True) for mode in ("L", "P")]
    + [(form, "RGB", False) for form in ("BMP", "WEBP", "TIFF", "PPM")],
)
def test_tensorflow_decodes_what_is_stored_as_pillow_decodes_the_file(tmp_path, form, mode, kept):
    deep = Image.fromarray(np.arange(6000, dtype=np.uint16).reshape(60, 100))
    path = saved(tmp_path / "a", deep if mode == "I;16" else photo(100, 60).convert(mode), form)
    stored = storage.store(path, ORIGINAL).value
    assert (stored == path.read_bytes()) == kept
    decoded = tf.io.decode_jpeg(stored, channels=3, dct_method="INTEGER_ACCURATE")
    with Image.open(path) as image:
        np.testing.assert_array_equal(decoded, image.convert("RGB"))


def clear_colour(path):
    """A GIF whose clear colour is used, and whose first frame does not fill the canvas."""
    picture = photo(90, 60).convert("P", palette=Image.Palette.ADAPTIVE)
    saved(path, picture, "GIF", transparency=3, background=1)
    data = bytearray(path.read_bytes())
    data[6:10] = struct.pack("<HH", 120, 70)  # the canvas
    path.write_bytes(data)


def two_ends(path):
    """A GIF with a comment of one block, and an empty block too many."""
    saved(path, photo(90, 60).convert("L"), "GIF", comment=b"hello")
    data = path.read_bytes()
    at = data.index(b"\x05hello\0") + 7
    path.write_bytes(data[:at] + b"\0" + data[at:])


def wrong_end(path):
    """A JPEG that ends in text in place of its marker."""
    saved(path, photo(90, 60), "JPEG")
    path.write_bytes(path.read_bytes()[:-2] + b"<!-- end -->")


def clear_deep(path):
    """A 16-bit grey PNG with a clear value that no 8-bit pixel can have."""
    deep = Image.fromarray(np.arange(6000, dtype=np.uint16).reshape(60, 100))
    saved(path, deep, "PNG", transparency=5000)


def two_pictures(path):
    """An MPO of two pictures, as cameras write."""
    saved(path, photo(90, 60), "MPO", save_all=True, append_images=[photo(90, 60, seed=1)])


@pytest.mark.parametrize("make", [clear_colour, two_ends, wrong_end, clear_deep, two_pictures])
def test_of_odd_files_original_holds_what_tensorflow_decodes_to_pillows_pixels(tmp_path, make):
    path = tmp_path / "odd"
    make(path)
    stored = storage.store(path, ORIGINAL)
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    decoded = tf.io.decode_jpeg(stored.value, channels=3, dct_method="INTEGER_ACCURATE")
    np.testing.assert_array_equal(decoded, expected)
    np.testing.assert_array_equal(storage.store(path, RAW).value, reference_pixels(path))
    if make in (two_pictures, wrong_end):
        assert len(stored.value) <= path.stat().st_size * (0.7 if make is two_pictures else 1.1)
        assert stored.value[:2] == b"\xff\xd8"


def test_an_animation_is_stored_as_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (20, 10), colour) for colour in ("red", "blue")]
    path = saved(tmp_path / "a.gif", frames[0], "GIF", save_all=True, append_images=frames[1:])
    decoded = tf.io.decode_jpeg(storage.store(path, ORIGINAL).value, channels=3)
    np.testing.assert_array_equal(decoded, np.full((10, 20, 3), (255, 0, 0)))


@pytest.mark.parametrize("form", ["AVIF", "HEIF"])
def test_formats_of_phones_are_stored_as_png(tmp_path, form):
    if form not in formats():
        pytest.skip(f"{form} is not read here")
    path = saved(tmp_path / "a", photo(96, 64), form)
    stored = storage.store(path, ORIGINAL)
    assert stored.format == form
    with Image.open(path) as image:
        expected = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(tf.io.decode_png(stored.value), expected)
    assert {".avif", ".heic"} & suffixes()


@pytest.mark.parametrize(
    ("form", "pixels", "flat"),
    [
        ("PPM", np.arange(6000, dtype=np.uint16).reshape(60, 100), False),
        ("TIFF", np.arange(6000, dtype=np.int32).reshape(60, 100), False),
        ("TIFF", np.linspace(0, 1000, 6000, dtype=np.float32).reshape(60, 100), False),
        ("TIFF", np.linspace(0, 0.4, 6000, dtype=np.float32).reshape(60, 100), True),
        ("PNG", np.arange(300, 6300, dtype=np.uint16).reshape(60, 100), True),
    ],
)
def test_what_has_more_than_8_bits_is_told(tmp_path, form, pixels, flat):
    path = saved(tmp_path / "deep", Image.fromarray(pixels), form)
    stored = storage.store(path, RAW)
    assert stored.clipped
    assert stored.flat == flat
    np.testing.assert_array_equal(stored.value, reference_pixels(path))


@pytest.mark.parametrize("mode", ["L", "LA", "P", "RGBA", "CMYK", "1", "I;16"])
def test_modes_become_rgb_as_pillow_converts_them(tmp_path, mode):
    image = (
        Image.fromarray(np.arange(6000, dtype=np.uint16).reshape(60, 100))
        if mode == "I;16"
        else photo(100, 60)
    )
    image = image if mode == "I;16" else image.convert(mode)
    path = saved(tmp_path / "a", image, "JPEG" if mode == "CMYK" else "PNG")
    stored = storage.store(path, RAW)
    np.testing.assert_array_equal(stored.value, reference_pixels(path))
    assert stored.clipped == (mode == "I;16")


def test_palette_with_transparency_is_no_warning(tmp_path):
    image = photo(30, 30).convert("P")
    path = saved(tmp_path / "a.png", image, transparency=bytes(range(256)))
    with quiet_pillow():
        np.testing.assert_array_equal(storage.store(path, RAW).value, reference_pixels(path))


def test_animation_gives_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (256, 256), colour) for colour in ("red", "blue")]
    path = saved(tmp_path / "a.gif", frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert storage.store(path, RAW).value[0, 0].tolist() == [255, 0, 0]


def test_orientation_is_ignored_and_the_extension_does_not_matter(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate by 90 degrees to show
    path = saved(tmp_path / "a.jpg", photo(400, 200), "PNG", exif=exif)
    assert storage.store(path, RAW).value.shape == (292, 585, 3)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({}, "original"),
        ({"storage": "raw"}, "raw256"),
        ({"storage": "jpeg", "image_size": 448}, "jpeg448"),
        ({"storage": "raw", "image_size": 64, "on_bad_image": "skip"}, "raw64_skip"),
        ({"storage": "jpeg", "quality": 90, "subsampling": "4:2:0"}, "jpeg256_q90_420"),
    ],
)
def test_names_of_configurations(fields, name):
    config = StorageConfig(**fields)
    assert config.name == name
    assert config.settings() == fields


@pytest.mark.parametrize(
    "fields",
    [
        {"storage": "png"},
        {"image_size": 0},
        {"image_size": "256"},
        {"image_size": True},
        {"on_bad_image": ""},
        {"quality": 96, "storage": "jpeg"},
        {"quality": 90.0, "storage": "jpeg"},
        {"subsampling": "4:2:2", "storage": "jpeg"},
    ],
)
def test_wrong_settings_are_named(fields):
    (name, value) = next(iter(fields.items()))
    with pytest.raises(storage.DatasetError, match=f"{name}.*Received: {value!r}"):
        StorageConfig(**fields)


@pytest.mark.parametrize("fields", [{"quality": 90}, {"storage": "raw", "subsampling": "4:2:0"}])
def test_how_jpeg_files_are_coded_is_of_storage_jpeg(fields):
    with pytest.raises(storage.DatasetError, match=r"are of storage jpeg\. Received: storage"):
        StorageConfig(**fields)


def test_a_coding_of_ones_own_is_stored(tmp_path):
    path = saved(tmp_path / "a.png", photo(400, 300), "PNG")
    usual = storage.store(path, JPEG).value
    smaller = storage.store(path, StorageConfig(storage="jpeg", quality=90, subsampling="4:2:0"))
    assert len(smaller.value) < 0.7 * len(usual)
    with Image.open(io.BytesIO(smaller.value)) as image:
        assert [component[1:3] for component in image.layer] == [(2, 2), (1, 1), (1, 1)]
