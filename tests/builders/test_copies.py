"""Files of the same content."""

from sentiflow.builders.reading import sources


def test_same_content_compares_bytes(tmp_path):
    contents = ["aa", "bb", "aa", "cccc", "", "", "aa"]
    paths = [tmp_path / f"{i}" for i in range(len(contents))]
    for path, content in zip(paths, contents, strict=True):
        path.write_text(content)
    assert sources.same_content([*paths, tmp_path / "missing", tmp_path]) == [
        0,
        1,
        0,
        3,
        4,
        5,
        0,
        7,
        8,
    ]
    assert sources.repeats([0, 1, 0, 3, 0]) == [[0, 2, 4]]
