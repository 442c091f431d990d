"""Pixels against the reference system, written down independently."""

import io

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from streams import images, load, reference_pixels

from sentiflow import photo, pipeline
from sentiflow.pipeline import resampling
from sentiflow.pipeline.pixels import NUMPY, corner, cover_shape, read_whole, read_window


@given(height=st.integers(1, 20_000), width=st.integers(1, 20_000), size=st.integers(1, 600))
@settings(max_examples=200, deadline=None)
def test_cover_shape_covers_and_keeps_the_aspect(height, width, size):
    geometry = pipeline.Settings(image_size=size).evaluation()
    got = cover_shape(np.array([height, width]), geometry)
    if (height, width) == (size, size):
        assert got.tolist() == [size, size]
        return
    assert min(got) >= size
    ratio = max(geometry.cover / width, geometry.cover / height)
    expected = [max(int(height * ratio), size), max(int(width * ratio), size)]
    assert got.tolist() == expected


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 700), (700, 1), (2, 3), (255, 256), (256, 257), (1200, 100)]
)
def test_any_picture_file_can_be_read(tmp_path, shape):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8))
    image.save(tmp_path / "x.png")
    got = pipeline.read_image(tmp_path / "x.png", pipeline.Settings(preprocess="none"))
    np.testing.assert_array_equal(got, reference_pixels(tmp_path / "x.png"))


def test_unreadable_picture_is_named(tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    for name in ("text.jpg", "missing.jpg"):
        with pytest.raises(pipeline.InputError, match=name):
            pipeline.read_image(tmp_path / name, pipeline.Settings())


@pytest.mark.parametrize("crop", ["auto", "random", "center"])
def test_a_picture_file_is_cut_at_its_centre_whatever_training_does(photos, crop):
    path = photos / "images" / "fear" / "2.jpg"
    found = pipeline.read_image(path, pipeline.Settings(crop=crop, preprocess=None))
    np.testing.assert_array_equal(found, reference_pixels(path))


@pytest.mark.parametrize("cache", ["none", "memory"])
def test_center_crop_of_originals_is_within_two_levels(photos, data_dir, cache):
    names = pipeline.open("emotionroi/original", data_dir=data_dir).files("all")
    expected = np.stack([reference_pixels(photos / "images" / name) for name in names])
    found = images(load("original", data_dir, split="all", cache=cache))
    difference = np.abs(found.astype(int) - expected)
    assert difference.max() <= 2
    assert (difference > 1).mean() <= 1e-4


def line_art(rng, width, height):
    """Lines of pure colours on white, where filters overshoot most."""
    image = Image.new("RGB", (width, height), "white")
    draw = ImageDraw.Draw(image)
    for ends, colour in zip(
        rng.integers(0, (width, height), (12, 2, 2)), rng.integers(0, 2, (12, 3)), strict=True
    ):
        draw.line([tuple(end) for end in ends.tolist()], fill=tuple((255 * colour).tolist()))
    return np.asarray(image)


def noise(rng, width, height):
    return rng.integers(0, 256, (height, width, 3), np.uint8)


FORMS = {
    "PNG": ("RGB", {"format": "PNG"}),
    "grey PNG": ("L", {"format": "PNG"}),
    "grey JPEG": ("L", {"format": "JPEG"}),
    "turned JPEG": (
        "RGB",
        {
            "format": "JPEG",
            "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0",
        },
    ),
    "CMYK JPEG": ("CMYK", {"format": "JPEG"}),
}


@pytest.mark.parametrize("wheel", [True, False], ids=["vectors", "Pillow"])
@given(
    make=st.sampled_from([line_art, noise]),
    form=st.sampled_from(sorted(FORMS)),
    width=st.integers(1, 700),
    height=st.integers(1, 700),
    interpolation=st.sampled_from(["lanczos", "bicubic", "bilinear"]),
    seed=st.integers(0, 99),
    draws=st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True)),
)
@example(
    make=line_art,
    form="PNG",
    width=2,
    height=2,
    interpolation="bicubic",
    seed=1,
    draws=(0.0, 0.0),
)
@settings(max_examples=30, deadline=None)
def test_originals_of_any_size_are_resized_as_pillow_does(
    wheel, make, form, width, height, interpolation, seed, draws
):
    """The kinds of pictures of which resized values differ most: whole, and a window of them."""
    assume(max(width / height, height / width) < 20)
    mode, options = FORMS[form]
    encoded = io.BytesIO()
    picture = Image.fromarray(make(np.random.default_rng(seed), width, height)).convert(mode)
    picture.save(encoded, **options)
    file, uniforms = encoded.getvalue(), np.array(draws)
    stream = pipeline.Settings(image_size=256, interpolation=interpolation, crop="random").stream(
        training=True
    )
    with pytest.MonkeyPatch.context() as patch:
        if not wheel:
            patch.setattr(resampling, "simd", None)
        found = read_whole(file, stream)
        window = read_window(file, uniforms, stream)
    method = Image.Resampling[interpolation.upper()]
    decoded = photo.decode_with_tensorflow(file).numpy()
    expected = Image.fromarray(decoded).resize(found.shape[1::-1], method)
    top, left = map(int, corner(np.array(found.shape[:2]), uniforms, stream, NUMPY))
    for got, wanted in (
        (found, expected),
        (window, expected.crop((left, top, left + 256, top + 256))),
    ):
        difference = np.abs(got.astype(int) - np.asarray(wanted))
        assert difference.max() <= 2
        assert (difference > 1).mean() <= 1e-4


@pytest.mark.parametrize("cache", ["none", "memory"])
def test_center_crop_of_raw_is_the_reference_bit_for_bit(photos, data_dir, cache):
    for split in ("train", "test"):
        names = pipeline.open("emotionroi/raw256", data_dir=data_dir).files(split)
        expected = np.stack([reference_pixels(photos / "images" / name) for name in names])
        np.testing.assert_array_equal(
            images(load("raw256", data_dir, split=split, cache=cache)), expected
        )


@pytest.mark.parametrize("size", [64, 224])
def test_other_sizes_from_originals(photos, data_dir, size):
    got = images(load("original", data_dir, image_size=size, crop_fraction=0.8, cache="none"))
    names = pipeline.open("emotionroi/original", data_dir=data_dir).files("train")
    expected = np.stack([reference_pixels(photos / "images" / name, size, 0.8) for name in names])
    assert (np.abs(got.astype(int) - expected) <= 1).mean() >= 0.999
