"""Files by the names that lists give them."""

import os
import unicodedata

import pytest
from archive_files import touch

from sentiflow.builders.emotionroi import layouts
from sentiflow.builders.reading import listed
from sentiflow.builders.reading.listed import ListedFiles

COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "Gefühl/Café.jpg") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("on_disk", "name"),
    [
        ("a/b.jpg", "a/b.jpg"),
        ("a/b.jpg", "./a//b.jpg"),
        ("a/b.jpg", "a\\b.jpg"),
        ("a\\b.jpg", "a\\b.jpg"),
        (COMPOSED, DECOMPOSED),
        (DECOMPOSED, COMPOSED),
        (DECOMPOSED, COMPOSED.replace("/", "\\")),
        ("a/b.jpg", "a/b"),
        ("a/b.PNG", "a\\b"),
        ("a/b.c.jpeg", "a/b.c"),
        (DECOMPOSED, COMPOSED.removesuffix(".jpg")),
    ],
)
def test_files_are_found_in_every_form_of_their_name(tmp_path, on_disk, name):
    path = touch(tmp_path / on_disk)
    assert tmp_path / ListedFiles(tmp_path).find(name) == path


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "a",
        "a/",
        "a/c.jpg",
        "a/b",
        "../in/a/b.jpg",
        "a\\..\\a\\b.jpg",
        "/a/b.jpg",
        "\\x",
        "\0",
    ],
)
def test_folders_ambiguous_and_leading_names_are_not_found(tmp_path, name):
    touch(tmp_path / "in/a/b.jpg")
    touch(tmp_path / "in/a/b.gif")
    touch(tmp_path / "x")
    assert ListedFiles(tmp_path / "in").find(name) is None


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("Holidays/Beach.JPG", "holidays/beach.jpg"),
        ("holidays/beech.jpg", "holidays/beach.jpg"),
        ("holiday/beach.jpg", "holidays/beach.jpg"),
        ("holiday/mountain.gif", "holidays"),
        ("/home/me/photos/holidays/beach.jpg", "holidays/beach.jpg"),
        ("photos/holidays/beach", "holidays/beach.jpg"),
        ("holidays/p12.jpg", ""),
        ("unlike.anything", ""),
    ],
)
def test_near_names(tmp_path, name, near):
    touch(tmp_path / "holidays/beach.jpg")
    touch(tmp_path / "holidays/p1.jpg")
    files = ListedFiles(tmp_path)
    assert files.find(name) is None
    assert files.near(name) == near


def test_only_the_first_missing_names_are_compared_and_each_folder_is_listed_once(
    tmp_path, monkeypatch
):
    for i in range(200):
        touch(tmp_path / f"picture-of-a-thing-{i}-kept.jpg")
    listings, searches = [], []
    list_folder, search = os.listdir, listed.difflib.get_close_matches
    monkeypatch.setattr(os, "listdir", lambda path: listings.append(path) or list_folder(path))
    monkeypatch.setattr(
        listed.difflib,
        "get_close_matches",
        lambda *values, **options: searches.append(values) or search(*values, **options),
    )
    files = ListedFiles(tmp_path)
    entries = [files.entry(f"picture-of-a-thing-{i}-lost.jpg", "joy") for i in range(200)]
    assert [bool(entry.near) for entry in entries] == [True] * 3 + [False] * 197
    assert len(searches) == 3
    assert listings == [os.path.join(tmp_path, "")]


def test_lists_of_emotionroi_find_names_in_other_forms(tmp_path):
    for label in layouts.LABELS:
        touch(tmp_path / "images" / label / f"{unicodedata.normalize('NFD', 'Ä')}.jpg")
        touch(tmp_path / "images" / label / "1.jpg")
    lists = tmp_path / "training_testing_split"
    touch(lists / "training.txt", "".join(f"{label}\\1.jpg\n" for label in layouts.LABELS))
    touch(lists / "testing.txt", "joy/Ä.jpg\njoy/Ö.JPG\n")
    source = layouts.read(tmp_path, "auto", maps=False, homepage="https://example.org")
    assert source.bad == []
    assert [entry.filename for entry in source.splits["train"]] == [
        f"{label}/1.jpg" for label in layouts.LABELS
    ]
    found, missing = source.splits["test"]
    assert found.path.exists()
    assert not missing.path.exists()
    assert missing.near.startswith("joy/")
