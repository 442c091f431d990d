"""What is read of split and class folders, and what is said of the rest."""

import os
import unicodedata

import pytest
from archive_files import build, photo, touch

from sentiflow import pipeline
from sentiflow.builders import photo_folder
from sentiflow.builders.emotionroi import layouts as emotionroi_layouts
from sentiflow.builders.photo_folder import layouts
from sentiflow.builders.writing.errors import DatasetError

CAFE = os.fsdecode(b"caf\xe9")  # as Windows writes it into an archive


def names(source):
    return {
        split: [(entry.filename, entry.label) for entry in entries]
        for split, entries in source.splits.items()
    }


def filled(root, *paths):
    for path in paths:
        touch(root / path)
    return root


def test_split_folders_are_known_in_every_case(tmp_path):
    filled(tmp_path, "Train/joy/a.jpg", "Train/fear/b.jpg", "TEST/joy/c.jpg", "Valid/fear/d.jpg")
    source, labels = layouts.read(tmp_path, "auto")
    assert labels == ["fear", "joy"]
    assert names(source) == {
        "train": [("Train/fear/b.jpg", "fear"), ("Train/joy/a.jpg", "joy")],
        "validation": [("Valid/fear/d.jpg", "fear")],
        "test": [("TEST/joy/c.jpg", "joy")],
    }


def test_split_folders_of_emotionroi_are_known_in_every_case(tmp_path):
    labels = emotionroi_layouts.LABELS
    filled(
        tmp_path,
        *(f"{split}/{label}/{split}.jpg" for split in ("TRAIN", "Test") for label in labels),
    )
    source = emotionroi_layouts.read(tmp_path, "auto", maps=False, homepage="")
    assert {split: len(entries) for split, entries in source.splits.items()} == {
        "train": 6,
        "test": 6,
    }


def test_what_is_left_out_is_said(tmp_path):
    filled(tmp_path, "train/joy/a.jpg", "train/fear/b.jpg", "test/joy/c.jpg", "dev/joy/d.jpg")
    filled(tmp_path, "more/e.jpg", "f.png", "test/g.png", "test/h.png", "train.csv")
    clutter = ["1.psd", "2.PSD", "3.xcf", ".hidden", "README"]
    filled(tmp_path, *(f"train/joy/{name}" for name in clutter))
    source, _ = layouts.read(tmp_path, "auto")
    assert source.facts["ignored_files"] == 5
    assert source.notes[1:] == [
        f"Left out: 2 images in {tmp_path}/test itself; images belong into class folders.",
        f"Left out: 1 images in {tmp_path} itself; images belong into class folders.",
        "Left out: dev/, more/: no split; known are train, val and test.",
        "5 files ignored: 2 .psd, 1 hidden, 1 .xcf, 1 without a suffix; convert pictures among"
        " them to JPEG or PNG, or give them the suffix of their format.",
        "Note: train.csv not read: a list of images is called list.csv.",
    ]


def test_classes_are_the_same_in_every_unicode_form(tmp_path):
    composed, decomposed = (unicodedata.normalize(form, "Ärger") for form in ("NFC", "NFD"))
    filled(tmp_path, f"train/{decomposed}/a.jpg", "train/joy/b.jpg", f"test/{composed}/c.jpg")
    source, labels = layouts.read(tmp_path, "auto")
    assert source.bad == []
    assert labels == ["joy", composed]
    assert [entry.label for entry in source.splits["test"]] == [composed]
    filled(tmp_path, f"train/{composed}/d.jpg")
    with pytest.raises(DatasetError, match=r"train: the folders '.*' and '.*' name one class\. Re"):
        layouts.read(tmp_path, "auto")


def test_unknown_class_folders_name_the_one_that_may_be_meant(tmp_path):
    filled(tmp_path, "train/joy/a.jpg", "train/fear/b.jpg", "test/Joy/c.jpg", "test/awe/d.jpg")
    source, _ = layouts.read(tmp_path, "auto")
    assert [(bad.filename, bad.explanation) for bad in source.bad] == [
        ("test/Joy/", "unknown class folder; near is joy"),
        ("test/awe/", "unknown class folder"),
    ]


@pytest.mark.parametrize(
    ("paths", "reason"),
    [
        (
            ["set/train/joy/a.jpg", "set/train/fear/b.jpg"],
            "the dataset lies one level deeper: give --manual_dir {root}/set; set/train/: a folder",
        ),
        (["set/list.csv", "set/a.jpg"], "one level deeper: give --manual_dir {root}/set"),
        (["train/joy/a.jpg", "train/joy/b.jpg"], "two classes or more are needed. Received: joy."),
        (["photos/a.jpg", "train.csv"], "train.csv not read: a list of images is called list.csv"),
        (["a.jpg", "b.jpg"], "2 images lie in no folder of a class. Looked for a list of images"),
    ],
)
def test_why_there_are_no_two_classes(tmp_path, paths, reason):
    filled(tmp_path, *paths)
    with pytest.raises(DatasetError) as error:
        layouts.read(tmp_path, "auto")
    assert reason.format(root=tmp_path) in str(error.value)


def test_classes_are_numbered_alike_whatever_numbers_they_are(tmp_path):
    numbers = ["01", "1", "001", "10", "9" * 5_000]
    for number in numbers[:4]:
        filled(tmp_path, f"train/{number}/a.jpg")
    assert layouts.read(tmp_path, "auto")[1] == ["001", "01", "1", "10"]
    (tmp_path / "list.csv").write_text("".join(f"train/1/a.jpg,{n},train\n" for n in numbers[4:]))
    with pytest.raises(DatasetError, match="two classes or more"):
        layouts.read(tmp_path, "auto")


@pytest.fixture
def odd_photos(tmp_path):
    """Class and file names with bytes that are not UTF-8, control characters and markup."""
    for number, label in enumerate((CAFE, "a\x1b[31m\nb", "[red]")):
        for split in ("train", "test"):
            folder = tmp_path / "photos" / split / label
            folder.mkdir(parents=True)
            for name in ("1.png", "\x1b[2J.png"):
                photo(20, 20, seed=10 * number + len(split) + len(name)).save(folder / name)
    return tmp_path / "photos"


CLASSES = [r"[red]", r"a\x1b[31m\x0ab", r"caf\xe9"]


def test_odd_class_folders_are_built_and_shown_escaped(tmp_path, odd_photos, capfd):
    config = photo_folder.PhotoFolderConfig(storage="raw", image_size=16)
    build(photo_folder, odd_photos, tmp_path / "data", config)
    assert "\x1b[31m" not in "".join(capfd.readouterr())
    dataset = pipeline.open("photo_folder/raw16", data_dir=str(tmp_path / "data"))
    assert dataset.class_names == CLASSES
    assert sorted(dataset.files("test"))[-1] == r"test/caf\xe9/\x1b[2J.png"


def test_odd_file_names_are_refused_in_one_line(tmp_path, odd_photos):
    photo(20, 20, seed=99).save(odd_photos / "train" / "[red]" / f"{CAFE}\x1b.png")
    source, labels = layouts.read(odd_photos, "auto")
    assert labels == CLASSES
    assert [(bad.filename, bad.reason) for bad in source.bad] == [
        (f"train/[red]/{CAFE}\x1b.png", "the file name is not UTF-8")
    ]


def test_folders_whose_escaped_names_are_equal_are_refused(tmp_path):
    filled(tmp_path, f"train/{CAFE}/a.jpg", r"train/caf\xe9/b.jpg", "train/joy/c.jpg")
    with pytest.raises(DatasetError, match=r"'caf\\\\xe9' and 'caf\\udce9' name one class"):
        layouts.read(tmp_path, "auto")
