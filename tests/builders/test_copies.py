"""Files of the same content."""

import numpy as np

from sentiflow.builders.reading import sources
from sentiflow.builders.reading.entries import Entry


def test_same_content_compares_bytes(tmp_path):
    middle = "m" * 10_000
    contents = ["aa", "bb", "aa", "cccc", "", "", "aa", f"a{middle}a", f"b{middle}b", f"a{middle}a"]
    paths = [tmp_path / f"{i}" for i in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content)
    entries = [Entry(path.name, path, "") for path in [*paths, tmp_path / "missing", tmp_path]]
    groups = sources.same_content(entries)
    assert groups.tolist() == [0, 1, 0, 3, 4, 5, 0, 7, 8, 7, 10, 11]
    assert sources.repeats(groups) == [[0, 2, 6], [7, 9]]


def test_nothing_has_no_repeats():
    assert sources.repeats(np.array([0, 1, 2])) == []
    assert sources.same_content([]).tolist() == []
