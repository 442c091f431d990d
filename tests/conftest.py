"""Small photographs of awkward sizes in EmotionROI's layout, and the datasets built of them."""

import gc
import os
import signal

from sentiflow import startup

startup.load_quietly()
# A shell's background jobs ignore it, and so would the processes that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)
import keras
import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image, ImageFilter

from sentiflow.builders import emotionroi, twitter1
from sentiflow.model.reports import plots, run_page

CLASSES = ("anger", "disgust", "fear", "joy", "sadness", "surprise")
# Width and height, in pixels.
SIZES = ((400, 300), (300, 401), (256, 256), (257, 300), (120, 90), (640, 360), (90, 500))


def pytest_collection_modifyitems(items):
    """Begins with what takes longest, so that no process is left alone with it at the end."""
    items.sort(key=lambda item: item.path.name not in ("test_jax.py", "test_gpu.py"))


@pytest.fixture(autouse=True)
def seeded():
    """Fresh weights are the same in every run of the tests."""
    keras.utils.set_random_seed(0)


@pytest.fixture(autouse=True)
def collected():
    """Garbage is collected again after a test that prepared the process as commands do."""
    yield
    gc.unfreeze()


@pytest.fixture(scope="module")
def without_pictures():
    """Runs draw nothing and write no report, which other tests look at."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("draw_charts", "draw_confusion"):
            patch.setattr(plots, name, lambda *_, **__: None)
        patch.setattr(run_page, "write_run", lambda *_, **__: None)
        yield


def picture(seed: int, size: tuple[int, int]) -> Image.Image:
    """Blurred noise with some grain: smooth and sharp parts in every colour."""
    rng = np.random.default_rng(seed)
    width, height = size
    coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).resize(
        size, Image.Resampling.BICUBIC
    )
    grain = Image.fromarray(rng.integers(0, 256, (height, width, 3), np.uint8)).filter(
        ImageFilter.GaussianBlur(1)
    )
    return Image.blend(coarse, grain, 0.3)


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    """EmotionROI's folder: 6 classes of 7 images, one of them grey.

    The last two of every class are for testing.
    """
    root = tmp_path_factory.mktemp("photos") / "EmotionROI"
    lists = {"training": [], "testing": []}
    for label, name in enumerate(CLASSES):
        (root / "images" / name).mkdir(parents=True)
        for number, size in enumerate(SIZES, 1):
            image = picture(100 * label + number, size)
            image = image.convert("L") if (label, number) == (0, 1) else image
            image.save(root / "images" / name / f"{number}.jpg", quality=92)
            lists["testing" if number > 5 else "training"].append(f"{name}/{number}.jpg")
    (root / "training_testing_split").mkdir()
    for name, lines in lists.items():
        (root / "training_testing_split" / f"{name}.txt").write_text("\n".join(lines))
    return root


@pytest.fixture(scope="session")
def data_dir(photos, tmp_path_factory):
    """EmotionROI in all three storages, two shards a split, and Twitter I's own example data."""
    path = str(tmp_path_factory.mktemp("data"))
    options = tfds.download.DownloadConfig(manual_dir=str(photos), num_shards=2)
    for config in ("original", "raw256", "jpeg256"):
        emotionroi.Builder(data_dir=path, config=config).download_and_prepare(
            download_config=options
        )
    example = os.path.join(os.path.dirname(twitter1.__file__), "dummy_data")
    options = tfds.download.DownloadConfig(manual_dir=example)
    twitter1.Builder(data_dir=path, config="raw256").download_and_prepare(download_config=options)
    return path
