"""Every contestant runs on every dataset of ours, whatever TFDS knows of its splits."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from sentiflow.bench.contestants import CONTESTANTS
from sentiflow.bench.contestants.task import find_loader
from sentiflow.bench.harness import check, inputs, runner
from sentiflow.bench.harness.settings import Settings
from sentiflow.bench.worker.evidence import gather_evidence
from sentiflow.builders import photo_folder, twitter1
from sentiflow.options import InputError

IMAGES = 40
TWITTER = Settings(dataset="twitter1", batch_size=8, work=("crop",))
FOLD = Settings(dataset="twitter1", batch_size=8, agreement=4, fold=1)
PHOTOS = Settings(dataset="photo_folder", batch_size=8)
TRIED = (
    ("tfds-load", TWITTER),
    ("tfds-load", FOLD),
    ("tfds-load", PHOTOS),
    ("original-1", FOLD),
    ("keras-directory", FOLD),
    ("sentiflow-none-original", FOLD),
)


def picture(seed, size):
    coarse = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def draw_twitter(root):
    """Lists of which each holds four images more than the one before."""
    (root / "images").mkdir(parents=True)
    (root / "ground_truth").mkdir()
    lines = []
    for level, count in (("five", IMAGES), ("four", IMAGES + 4), ("three", IMAGES + 8)):
        for number in range(len(lines), count):
            picture(number, (300 + number, 320)).save(root / "images" / f"{number}.jpg")
            lines.append(f"{number}.jpg {number % 2}\n")
        (root / "ground_truth" / f"twitter_{level}_agrees.txt").write_text("".join(lines))


def draw_photos(root):
    """Classes of a list, one of which could be the path of a folder."""
    root.mkdir(parents=True)
    lines = ["path,label,split\n"]
    for number in range(IMAGES):
        picture(100 + number, (320, 300 + number)).save(root / f"{number}.jpg")
        split = "train" if number < IMAGES - 8 else "test"
        lines.append(f"{number}.jpg,{('calm/quiet', 'loud')[number % 2]},{split}\n")
    (root / "list.csv").write_text("".join(lines))


@pytest.fixture(scope="module")
def prepared_dir(tmp_path_factory):
    root = tmp_path_factory.mktemp("datasets")
    for dataset, draw in ((twitter1, draw_twitter), (photo_folder, draw_photos)):
        manual_dir = root / dataset.__name__
        draw(manual_dir)
        options = tfds.download.DownloadConfig(manual_dir=str(manual_dir))
        builder = dataset.Builder(data_dir=str(root / "data"), config="original")
        builder.download_and_prepare(download_config=options)
    return str(root / "data")


@pytest.mark.parametrize(
    ("name", "settings"), TRIED, ids=[f"{name} {s.dataset} {s.fold}" for name, s in TRIED]
)
def test_a_contestant_delivers_the_images_that_are_chosen(prepared_dir, tmp_path, name, settings):
    origin = {"split": "train", "data_dir": prepared_dir, **settings.choice}
    photos = inputs.export_photos(settings.dataset, folder=tmp_path / "photos", **origin)
    images = inputs.count_images(settings, "original", prepared_dir)
    assert len(list(photos.glob("*/*"))) == images
    source = {"data_dir": prepared_dir, "photos": str(photos), "images": images}
    task = runner.make_task(CONTESTANTS[name], settings, work="crop", **source)
    batches = find_loader(CONTESTANTS[name].function)(task)
    evidence = gather_evidence(next(batches), batches, steps=images // settings.batch_size)
    batches.close()
    sources = check.read_sources(photos, task.image_size, task.crop_fraction)
    assert check.find_fault(evidence, task, sources) is None


def test_what_is_chosen_stands_in_the_row():
    entry = CONTESTANTS["tfds-load"]
    titles = []
    for settings in (TWITTER, FOLD):
        task = runner.make_task(entry, settings, work="crop", data_dir="", photos="", images=1)
        titles.append(runner.make_row(entry, task, settings, {"status": "ok"}).dataset)
    assert titles == ["twitter1", "twitter1, agreement 4, without fold 1"]


def test_the_sample_stands_in_for_a_folder_of_photographs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    commands = []
    monkeypatch.setattr(inputs, "run_module", lambda *command: commands.append(command))
    with pytest.raises(InputError, match="photo_folder/raw256 is not in"):
        inputs.prepare(Settings(dataset="photo_folder", images=150), ("raw256",))
    drawing, building = commands
    photos = Path("demo", "sample-150", "photos")
    assert drawing[1:4] == (str(photos), "--dataset", "emotionroi")
    manual_dir = tmp_path / photos / "EmotionROI" / "images"
    assert building[building.index("--manual_dir") + 1] == str(manual_dir)
