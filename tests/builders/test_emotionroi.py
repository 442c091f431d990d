"""EmotionROI's layouts and splits."""

import re
from collections import Counter

import pytest
from archive_files import touch
from hypothesis import given
from hypothesis import strategies as st

from sentiflow.builders.emotionroi import layouts
from sentiflow.builders.reading import sources
from sentiflow.builders.writing.errors import DatasetError

LABELS = ("anger", "disgust", "fear", "joy", "sadness", "surprise")


def lists(root, training, testing):
    touch(root / "training_testing_split" / "training.txt", training)
    touch(root / "training_testing_split" / "testing.txt", testing)


def official(root):
    for label in LABELS:
        for n in (1, 2, 232):
            touch(root / "images" / label / f"{n}.jpg")
    lists(
        root,
        "".join(f"{label}/{n}.jpg\n" for label in LABELS for n in (1, 2)),
        "".join(f"{label}/232.jpg\n" for label in LABELS),
    )
    return root


def folders(root, splits=("train", "val", "test")):
    for split in splits:
        for label in LABELS:
            touch(root / split / label / f"{split}.jpg")
    return root


def read(manual_dir, split="auto", maps=False):
    return layouts.read(manual_dir, split, maps=maps, homepage="https://example.org")


def names(source):
    return {
        split: [entry.filename for entry in entries] for split, entries in source.splits.items()
    }


@pytest.mark.parametrize("at", ["", "EmotionROI", "EmotionROI/EmotionROI"])
def test_official_split_is_found_at_every_depth(tmp_path, at):
    official(tmp_path / at)
    source = read(tmp_path)
    assert source.facts["layout"] == "official"
    assert source.bad == []
    assert names(source) == {
        "train": [f"{label}/{n}.jpg" for label in LABELS for n in (1, 2)],
        "test": [f"{label}/232.jpg" for label in LABELS],
    }
    assert [entry.label for entry in source.splits["test"]] == list(LABELS)
    assert source.splits["train"][0].path == tmp_path / at / "images" / "anger" / "1.jpg"


def test_folders_become_splits_and_clutter_is_counted(tmp_path):
    folders(tmp_path)
    for clutter in (
        "train/joy/.DS_Store",
        "val/joy/Thumbs.db",
        "test/joy/notes.txt",
        "train/.hidden/a.jpg",
    ):
        touch(tmp_path / clutter)
    source = read(tmp_path)
    assert names(source) == {
        split: [f"{folder}/{label}/{folder}.jpg" for label in LABELS]
        for split, folder in (("train", "train"), ("validation", "val"), ("test", "test"))
    }
    assert source.bad == []
    assert source.facts["ignored_files"] == 3


def test_folders_without_val_have_two_splits(tmp_path):
    assert list(read(folders(tmp_path, ("train", "test"))).splits) == ["train", "test"]


def test_wrong_class_folders_are_bad(tmp_path):
    folders(tmp_path)
    touch(tmp_path / "train" / "Happy" / "1.jpg")
    (tmp_path / "test" / "joy" / "test.jpg").unlink()
    (tmp_path / "val" / "joy" / "more").mkdir()
    (tmp_path / "train" / "fear" / "train.jpg").rename(tmp_path / "gone")
    (tmp_path / "train" / "fear").rmdir()
    assert {(bad.filename, bad.reason) for bad in read(tmp_path).bad} == {
        ("train/Happy/", "unknown class folder"),
        ("test/joy/", "no image in the class folder"),
        ("val/joy/more/", "a folder inside a class folder"),
        ("train/fear/", "no image in the class folder"),
    }


def test_a_class_folder_that_links_to_itself_is_named(tmp_path):
    folders(tmp_path)
    (tmp_path / "train" / "joy" / "train.jpg").unlink()
    (tmp_path / "train" / "joy").rmdir()
    (tmp_path / "train" / "joy").symlink_to("joy")
    assert [bad.filename for bad in read(tmp_path).bad] == ["train/joy/"]


def test_a_link_to_the_parent_folder_is_not_followed(tmp_path):
    folders(tmp_path)
    (tmp_path / "train" / "joy" / "up").symlink_to("..")
    assert [bad.filename for bad in read(tmp_path).bad] == ["train/joy/up/"]


def test_copies_across_folders_are_bad_and_the_evaluation_copy_stays(tmp_path):
    folders(tmp_path)
    for path in (
        "train/joy/a.jpg",
        "val/fear/b.jpg",
        "test/joy/c.jpg",
        "test/joy/d.jpg",
        "train/anger/e.jpg",
    ):
        touch(tmp_path / path, "same")
    source = read(tmp_path)
    assert {bad.filename for bad in source.bad} == {
        "train/joy/a.jpg",
        "train/anger/e.jpg",
        "val/fear/b.jpg",
    }
    assert all("same bytes as test/joy/d.jpg" in bad.reason for bad in source.bad)
    assert {"test/joy/c.jpg", "test/joy/d.jpg"} <= set(names(source)["test"])
    assert "train/joy/a.jpg" not in names(source)["train"]
    assert source.facts["duplicate_groups"] == source.facts["duplicate_groups_across_splits"] == 1


def test_copies_in_the_official_split_are_reported_only(tmp_path):
    official(tmp_path)
    for name in ("anger/1", "joy/2", "joy/232"):
        touch(tmp_path / "images" / f"{name}.jpg", "same")
    source = read(tmp_path)
    assert source.bad == []
    assert source.facts["duplicate_groups_across_splits"] == 1
    files = "anger/1.jpg (train), joy/2.jpg (train), joy/232.jpg (test)"
    assert f"Same bytes, CONFLICTING labels: {files}." in source.notes


def test_lists_with_every_known_oddity(tmp_path):
    official(tmp_path)
    lists(
        tmp_path,
        "\ufeffanger/1.jpg\r\n\r\n  joy/1.jpg \t\r\n./joy//2.jpg\rfear/a b\tc.jpg\n",
        "joy/232.jpg",
    )
    source = read(tmp_path)
    assert names(source) == {
        "train": ["anger/1.jpg", "joy/1.jpg", "joy/2.jpg", "fear/a b\tc.jpg"],
        "test": ["joy/232.jpg"],
    }
    assert source.bad == []


def test_lines_that_cannot_be_used_are_bad(tmp_path):
    official(tmp_path)
    training = "joy/1.jpg\njoy/1.jpg\nhappy/1.jpg\n../../etc/passwd\n/etc/passwd\nfear/1.jpg\n"
    lists(tmp_path, training, "fear/1.jpg\njoy/2.jpg\n")
    source = read(tmp_path)
    assert names(source) == {"train": ["joy/1.jpg"], "test": ["fear/1.jpg", "joy/2.jpg"]}
    assert [(bad.filename, bad.reason.split(" (")[0], bad.location) for bad in source.bad] == [
        ("joy/1.jpg", "listed twice", "training.txt line 2"),
        ("happy/1.jpg", "unknown class 'happy'", "training.txt line 3"),
        ("../../etc/passwd", "leads out of the image folder", "training.txt line 4"),
        ("/etc/passwd", "leads out of the image folder", "training.txt line 5"),
        ("fear/1.jpg", "in both training.txt and testing.txt", ""),
    ]


@given(
    st.lists(
        st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1)
        .map(lambda text: text.strip(" \t"))
        .filter(lambda text: text and not text.startswith("\ufeff"))
    ),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.booleans(),
    st.sampled_from(["", " ", "\t ", "\n"]),
)
def test_read_lines_returns_the_lines(tmp_path_factory, lines, end, mark, blank):
    path = tmp_path_factory.mktemp("list") / "list.txt"
    text = "".join(blank + line + blank + end for line in lines)
    path.write_bytes((b"\xef\xbb\xbf" if mark else b"") + text.encode())
    assert [line.text for line in sources.read_lines(path)] == lines


@pytest.mark.parametrize("content", [b"\xff\xfea\0", b"caf\xe9.jpg 1"])
def test_lists_in_other_encodings_are_named(tmp_path, content):
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(DatasetError, match=r"list\.txt: the list is not UTF-8"):
        sources.read_lines(tmp_path / "list.txt")


def test_a_missing_list_is_named(tmp_path):
    (official(tmp_path) / "training_testing_split" / "testing.txt").unlink()
    with pytest.raises(DatasetError, match=r"testing.txt: the list cannot be read \(No such file"):
        read(tmp_path)


def stratified(root, count):
    for label in LABELS:
        for n in range(count):
            touch(root / "images" / label / f"{n:03}.jpg")
    return root


def test_stratified_split_is_80_15_5_and_the_same_every_time(tmp_path):
    source = read(stratified(tmp_path / "EmotionROI", 40))
    assert source.facts["layout"] == "stratified"
    for split, count in (("train", 32), ("validation", 6), ("test", 2)):
        assert Counter(entry.label for entry in source.splits[split]) == dict.fromkeys(
            LABELS, count
        )
    everything = [name for split in names(source).values() for name in split]
    assert len(set(everything)) == len(everything) == 240
    assert names(read(stratified(tmp_path / "elsewhere", 40))) == names(source)


def test_stratified_split_keeps_copies_together(tmp_path):
    stratified(tmp_path, 40)
    for n in range(0, 20, 2):
        for name in (f"{n:03}", f"{n + 1:03}"):
            touch(tmp_path / "images" / "joy" / f"{name}.jpg", f"same {n}")
    split_of = {name: split for split, found in names(read(tmp_path)).items() for name in found}
    assert len(split_of) == 240
    for n in range(0, 20, 2):
        assert split_of[f"joy/{n:03}.jpg"] == split_of[f"joy/{n + 1:03}.jpg"]


def test_stratified_split_of_too_few_images_is_refused(tmp_path):
    with pytest.raises(
        DatasetError, match=r"needs 20 different images of every class\. Received: 19 of anger"
    ):
        read(stratified(tmp_path, 19))


def test_split_setting_chooses_among_layouts(tmp_path):
    official(tmp_path)
    folders(tmp_path)
    assert read(tmp_path).facts["layout"] == "official"
    assert read(tmp_path, "folders").facts["layout"] == "folders"
    with pytest.raises(DatasetError, match="needs 20"):
        read(tmp_path, "stratified")


def test_maps_are_found_by_name(tmp_path):
    official(tmp_path)
    touch(tmp_path / "ground_truth" / "joy" / "2.jpg")
    source = read(tmp_path, maps=True)
    with_map = {
        entry.filename: entry.maps["stimuli_map"]
        for split in source.splits.values()
        for entry in split
        if entry.maps["stimuli_map"]
    }
    assert with_map == {"joy/2.jpg": (tmp_path / "ground_truth" / "joy" / "2.jpg",)}
    assert source.facts["stimuli_maps"] == 1


def test_nothing_found_says_what_was_looked_for_and_where(tmp_path):
    (tmp_path / "train" / "cats").mkdir(parents=True)
    expected = [
        str(tmp_path / "EmotionROI" / "EmotionROI"),
        "{training,testing}.txt",
        "{train,val,test}",
        "https://example.org",
    ]
    with pytest.raises(DatasetError, match=".*".join(re.escape(part) for part in expected)):
        read(tmp_path)
