"""JPEG files with an index, and the windows that are decoded from parts of them."""

import errno
import io
import tempfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sentiflow import pipeline
from sentiflow.builders.writing import jpeg, storage
from sentiflow.builders.writing.config import StorageConfig
from sentiflow.pipeline.records import Records
from sentiflow.pipeline.sources.intervals import Intervals

# Heights and widths in pixels: one block, several intervals a row, a prime number of blocks, parts
# of blocks.
SIZES = [(8, 8), (40, 96), (61, 104), (33, 233), (90, 41), (128, 128), (79, 130)]


def picture(height, width, seed=0):
    small = np.random.default_rng(seed).integers(
        0, 256, (height // 6 + 2, width // 6 + 2, 3), np.uint8
    )
    return np.asarray(Image.fromarray(small).resize((width, height)))


def decoded(file):
    return np.asarray(Image.open(io.BytesIO(file)))


def plain(pixels, quality=95, subsampling="4:4:4"):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality, subsampling=subsampling)
    return file.getvalue()


def stored(path, files):
    """The records of files that lie one behind the other, at odd places."""
    path.write_bytes(b"".join(b"odd" + file for file in files))
    length = np.array([len(file) for file in files])
    return Records(
        paths=(str(path),),
        number=np.arange(len(files)),
        shard=np.zeros(len(files), np.int32),
        offset=np.cumsum(3 + length) - length,
        length=length,
        shape=np.zeros((len(files), 2), np.int32),
        label=np.zeros(len(files), np.int32),
        filename=np.array([str(i) for i in range(len(files))], object),
        extra={},
        storage="jpeg",
    )


@pytest.fixture(scope="module", params=[(95, "4:4:4"), (90, "4:2:0")], ids="{0[0]} {0[1]}".format)
def files(request):
    return [jpeg.encode(picture(*size, seed), *request.param) for seed, size in enumerate(SIZES)]


@pytest.fixture(scope="module")
def records(files, tmp_path_factory):
    return stored(tmp_path_factory.mktemp("intervals") / "shard", files)


@settings(max_examples=60, deadline=None)
@given(size=st.sampled_from([1, 7, 8, 16, 33]), data=st.data())
def test_a_window_is_the_decoded_file_cropped(records, files, size, data):
    chosen = [i for i, shape in enumerate(SIZES) if min(shape) >= size]
    images = np.array(
        data.draw(st.lists(st.sampled_from(chosen), min_size=1, max_size=4)), np.int64
    )
    places = st.tuples(*[st.floats(0, 1, exclude_max=True)] * 2)
    u = np.array(
        data.draw(st.lists(places, min_size=len(images), max_size=len(images))), np.float64
    )
    options = pipeline.Settings(image_size=size).training()
    windows = Intervals(records, options).windows(images, np.pad(u, ((0, 0), (0, 6)))).numpy()
    for window, i, place in zip(windows, images, u, strict=True):
        y, x = (int(part * (side - size + 1)) for part, side in zip(place, SIZES[i], strict=True))
        np.testing.assert_array_equal(window, decoded(files[i])[y : y + size, x : x + size])


@pytest.mark.parametrize("coding", [(95, "4:4:4"), (90, "4:2:0"), (75, "4:4:4")])
@pytest.mark.parametrize("size", SIZES)
def test_the_file_is_an_ordinary_jpeg_of_the_same_pixels(size, coding):
    pixels = picture(*size)
    file, expected = jpeg.encode(pixels, *coding), plain(pixels, *coding)
    np.testing.assert_array_equal(decoded(file), decoded(expected))
    assert (
        Image.open(io.BytesIO(file)).quantization == Image.open(io.BytesIO(expected)).quantization
    )
    unit = jpeg.UNITS[coding[1]]
    assert len(file) % 8 == 0
    height, width, _, interval, count = np.frombuffer(file, "<i4", 5, 40).tolist()
    assert (height, width) == size
    begin = 8 * np.frombuffer(file, "<i4", count + 4, 60)
    assert (begin[0], begin[-1]) == (0, len(file))
    assert count == -(-height // unit) * -(-width // interval)
    ends = [file[end - 2 : end] for end in begin[4:]]
    assert ends == [bytes([0xFF, 0xD0 + i % 8]) for i in range(count - 1)] + [b"\xff\xd9"]


@given(st.integers(1, 8188), st.integers(1, 8188))
def test_intervals_divide_a_row_and_fit_into_the_index(across, down):
    units = jpeg.interval_units(across, down)
    assert across % units == 0
    assert units > 1 or across == 1
    assert down * across // units <= 16_000


def test_noise_that_does_not_fit_into_the_buffer_is_stored(monkeypatch):
    """Pillow needs the whole of a file with Huffman tables of its own in its buffer."""
    monkeypatch.setattr(jpeg, "BUFFER", 1000)
    noise = np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8)
    np.testing.assert_array_equal(decoded(jpeg.encode(noise)), decoded(plain(noise)))


def test_a_full_disk_is_no_bad_image(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.fromarray(picture(40, 40)).save(path)

    def full(*_args, **_options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(
        storage.DatasetError, match=r"no temporary file can be written there \(No space left"
    ):
        storage.store(path, StorageConfig(storage="jpeg"))


def test_files_without_an_index_are_refused(tmp_path):
    records = stored(tmp_path / "shard", [plain(picture(40, 40))])
    with pytest.raises(pipeline.InputError, match=r"have no index.*Build the dataset anew"):
        Intervals(records, pipeline.Settings(image_size=16).training())
