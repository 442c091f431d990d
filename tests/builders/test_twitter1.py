"""Twitter I's lists, agreement levels, reference validation part and folds."""

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sentiflow.builders.twitter1 import lists
from sentiflow.builders.twitter1.folds import grouped_folds
from sentiflow.builders.writing.errors import DatasetError

SIZES = {"five": (50, 30), "four": (65, 45), "three": (73, 53)}  # positive, negative


def labelled(sizes):
    positive, negative = sizes
    return [(f"p{i}.jpg", 1) for i in range(positive)] + [(f"n{i}.jpg", 0) for i in range(negative)]


def write(root, lines, name="twitter_{}_agrees.txt", images="images", at="ground_truth"):
    """Writes lists of (name, label) lines, and a file of its own content for every name."""
    (root / images).mkdir(parents=True, exist_ok=True)
    (root / at).mkdir(exist_ok=True)
    for level, pairs in lines.items():
        (root / at / name.format(level)).write_text(
            "".join(f"{file} {label}\n" for file, label in pairs)
        )
        for file, _ in pairs:
            (root / images / file).write_text(file)
    return root


@pytest.fixture
def shuffled():
    """Three lists, each in an order of its own."""
    rng = np.random.default_rng(5)
    lines = {level: labelled(sizes) for level, sizes in SIZES.items()}
    return {
        level: [pairs[i] for i in rng.permutation(len(pairs))] for level, pairs in lines.items()
    }


def read(manual_dir):
    return lists.read(manual_dir, homepage="https://example.org")


def by_name(source):
    return {entry.filename: entry for entries in source.splits.values() for entry in entries}


LAYOUTS = {
    "beside": ("", {"images": "Agg_AMT_Candidates", "at": ""}),
    "ground_truth": ("", {}),
    "repack": ("twitter_dataset", {}),
    "short names": ("twitter_dataset", {"name": "{}_agree.txt"}),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(tmp_path, shuffled, layout):
    at, options = LAYOUTS[layout]
    root = write(tmp_path / at, shuffled, **options)
    source = read(tmp_path)
    assert source.bad == []
    assert {split: len(entries) for split, entries in source.splits.items()} == {
        "agree5": 80,
        "agree4": 30,
        "agree3": 16,
    }
    folder = root / options.get("images", "images")
    assert all(entry.path == folder / entry.filename for entry in by_name(source).values())
    assert {e.filename for e in read(folder).splits["agree5"]} == {
        e.filename for e in source.splits["agree5"]
    }


def test_counts_and_labels(tmp_path, shuffled):
    source = read(write(tmp_path, shuffled))
    assert source.facts["lists"] == {
        "five": {"positive": 50, "negative": 30},
        "four": {"positive": 65, "negative": 45},
        "three": {"positive": 73, "negative": 53},
    }
    assert "Twitter I: five-agree list: 80 images (50 positive, 30 negative)." in source.notes
    assert any("882" in note and "1,269" in note for note in source.notes)
    for name, entry in by_name(source).items():
        assert entry.label == ("positive" if name[0] == "p" else "negative")


def test_validation_is_the_first_fifth_of_every_lists_lines(tmp_path, shuffled):
    entries = by_name(read(write(tmp_path, shuffled)))
    for column, level in enumerate(("five", "four", "three")):
        in_order = [name for name, _ in shuffled[level]]
        expected = set(in_order[: int(0.2 * len(in_order))])
        assert {
            name for name, entry in entries.items() if entry.features["validation"][column]
        } == expected


def test_images_are_never_searched(tmp_path, shuffled):
    root = write(tmp_path, shuffled)
    (root / "images" / "unlisted.jpg").write_text("x")
    assert "unlisted.jpg" not in by_name(read(root))


def test_folds_are_balanced_and_seeded_and_keep_copies_together(tmp_path, shuffled):
    root = write(tmp_path, shuffled)
    copies = [
        ("p0.jpg", "p60.jpg"),
        ("n0.jpg", "n1.jpg"),
        ("p70.jpg", "n50.jpg"),
        ("p5.jpg", "p6.jpg"),
    ]
    for pair in copies:
        for name in pair:
            (root / "images" / name).write_text("copy of " + pair[0])
    entries = by_name(read(root))
    folds = {name: entry.features["fold"] for name, entry in entries.items()}
    assert all(folds[first] == folds[second] for first, second in copies)
    counts = Counter(
        (entry.label, entry.features["agreement"], folds[name]) for name, entry in entries.items()
    )
    assert {fold for *_, fold in counts} == set(range(5))
    for label, agreement in {
        (entry.label, entry.features["agreement"]) for entry in entries.values()
    }:
        sizes = [counts[label, agreement, fold] for fold in range(5)]
        assert max(sizes) - min(sizes) <= 2
    assert {name: entry.features["fold"] for name, entry in by_name(read(root)).items()} == folds


def test_copies_and_conflicts_are_counted_by_list(tmp_path, shuffled):
    root = write(tmp_path, shuffled)
    for names in (("p0.jpg", "p60.jpg"), ("n0.jpg", "n1.jpg"), ("p70.jpg", "n50.jpg")):
        for name in names:
            (root / "images" / name).write_text("copy of " + names[0])
    source = read(root)
    assert source.facts["duplicates"] == {"five": 1, "four": 2, "three": 3}
    assert [set(names) for names in source.facts["conflicting_duplicates"]] == [
        {"p70.jpg", "n50.jpg"}
    ]
    assert sum("CONFLICTING" in note for note in source.notes) == 1
    assert source.bad == []


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.sampled_from([5, 4])), min_size=5, max_size=40
    ),
    st.data(),
)
def test_folds_of_any_images_keep_groups_whole(strata, data):
    groups = data.draw(
        st.lists(st.integers(0, len(strata)), min_size=len(strata), max_size=len(strata))
    )
    if len(set(groups)) < 5:
        with pytest.raises(DatasetError, match="At least 5 different images"):
            grouped_folds(strata, groups)
        return
    folds = grouped_folds(strata, groups)
    assert set(folds) <= set(range(5))
    assert len(set(zip(groups, folds, strict=True))) == len(set(groups))


@given(
    st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), min_size=1).filter(
        lambda name: name == name.strip(" \t")
    ),
    st.sampled_from([" ", "\t", "  ", " \t "]),
    st.sampled_from(["0", "1", "2", "positive"]),
)
def test_lines_are_split_from_the_right(name, blank, label):
    assert lists.parse_line(name + blank + label) == (name, label)


def test_lists_with_every_known_oddity(tmp_path, shuffled):
    root = write(tmp_path, {"five": shuffled["five"]})
    path = root / "ground_truth" / "twitter_five_agrees.txt"
    text = path.read_text() + "a b\tc.jpg\t1\n\n"
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    source = read(root)
    assert source.bad == []
    assert len(source.splits["agree5"]) == 81
    assert by_name(source)["a b\tc.jpg"].label == "positive"


def test_lines_that_cannot_be_used_are_bad_and_keep_their_place(tmp_path):
    five = [
        ("x0.jpg", 1),
        ("x1.jpg", 7),
        ("x0.jpg", 1),
        ("../x.jpg", 0),
        *((f"y{i}.jpg", 0) for i in range(10)),
    ]
    five += [("y0.jpg", 1), ("x2.jpg", "")]
    root = write(tmp_path, {"five": [line for line in five if not line[0].startswith("..")]})
    path = root / "ground_truth" / "twitter_five_agrees.txt"
    path.write_text("".join(f"{name} {label}\n" for name, label in five))
    source = read(root)
    assert [(bad.filename, bad.reason, bad.location) for bad in source.bad] == [
        ("x1.jpg", "unknown label '7'; known are 0 and 1", f"{path.name} line 2"),
        ("x0.jpg", "listed twice (skip keeps the first)", f"{path.name} line 3"),
        ("../x.jpg", "leads out of the image folder", f"{path.name} line 4"),
        ("y0.jpg", "listed twice with different labels", f"{path.name} line 15"),
        ("x2.jpg", "no label", f"{path.name} line 16"),
    ]
    entries = by_name(source)
    assert set(entries) == {"x0.jpg", *(f"y{i}.jpg" for i in range(1, 10))}
    assert [name for name, entry in entries.items() if entry.features["validation"][0]] == [
        "x0.jpg"
    ]  # int(0.2 * 16) = 3


def test_lists_that_contradict_one_another_are_bad(tmp_path, shuffled):
    shuffled["four"].remove(("p3.jpg", 1))
    shuffled["three"][shuffled["three"].index(("n4.jpg", 0))] = ("n4.jpg", 1)
    shuffled["four"][shuffled["four"].index(("n5.jpg", 0))] = ("n5.jpg", "?")
    location = f"twitter_four_agrees.txt line {shuffled['four'].index(('n5.jpg', '?')) + 1}"
    source = read(write(tmp_path, shuffled))
    assert {(bad.filename, bad.explanation) for bad in source.bad} == {
        ("p3.jpg", "in the five-agree list, but not in the four-agree list"),
        ("n4.jpg", "in the four-agree list, but labelled otherwise in the three-agree list"),
        ("n5.jpg", f"unknown label '?'; known are 0 and 1, in {location}"),
    }
    assert by_name(source).keys() & {"p3.jpg", "n4.jpg", "n5.jpg"} == set()


def test_missing_lists(tmp_path, shuffled):
    source = read(write(tmp_path / "a", {"five": shuffled["five"]}))
    assert list(source.splits) == ["agree5"]
    assert "No four-agree list: its images are not in the dataset." in source.notes
    source = read(write(tmp_path / "b", {level: shuffled[level] for level in ("five", "three")}))
    assert list(source.splits) == ["agree5"]
    assert any(note.startswith("Left out: twitter_three_agrees.txt") for note in source.notes)
    with pytest.raises(DatasetError, match="five-agree list is needed"):
        read(write(tmp_path / "c", {"three": shuffled["three"]}))


def test_two_lists_of_one_level_are_refused(tmp_path, shuffled):
    root = write(tmp_path, shuffled)
    write(tmp_path, shuffled, name="{}_agree.txt")
    with pytest.raises(DatasetError, match="Two lists for one level"):
        read(root)


def test_nothing_found_says_what_was_looked_for_and_where(tmp_path):
    expected = [
        str(tmp_path / "twitter_dataset"),
        "Agg_AMT_Candidates/",
        "twitter_five_agrees.txt",
        "https://example.org",
    ]
    with pytest.raises(DatasetError, match=".*".join(re.escape(part) for part in expected)):
        read(tmp_path)
