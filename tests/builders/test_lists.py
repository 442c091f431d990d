"""Lists of images in the forms that people write them in, and why lines of them cannot be used."""

import json

import pytest
from archive_files import touch
from hypothesis import given
from hypothesis import strategies as st

from sentiflow.builders.photo_folder import layouts, tables
from sentiflow.builders.writing.errors import DatasetError

ROWS = [
    (f"img/p{i}.jpg", ("joy", "fear")[i % 2], "test" if i % 3 == 2 else "train") for i in range(8)
]
TRAIN = [name for name, _, split in ROWS if split == "train"]


def table(rows=ROWS, delimiter=",", quote="", header="path,label,split"):
    lines = [header.replace(",", delimiter)] if header else []
    lines += [delimiter.join(f"{quote}{cell}{quote}" for cell in row) for row in rows]
    return "\n".join(lines) + "\n"


def read(root, text, name="list.csv"):
    for path, *_ in ROWS:
        touch(root / path)
    (root / name).write_bytes(text.encode())
    return layouts.read(root, "auto")


def changed(column, value):
    """The rows with a cell replaced by what `value` makes of it."""
    return [
        tuple(value(cell) if i == column else cell for i, cell in enumerate(row)) for row in ROWS
    ]


UNDERSTOOD = {
    "plain": table(),
    "no header": table(header=""),
    "semicolons": table(delimiter=";"),
    "tabs": table(delimiter="\t"),
    "bars": table(delimiter="|", header=""),
    "commas in labels": table(changed(1, lambda label: f"{label}, or so"), ";"),
    "filename, label": table(header="filename,label,split"),
    "image, class": table(header="Image,Class,Set"),
    "image id": table(changed(0, lambda name: name[:-4]), header="image_id,breed,split"),
    "a label of any name": table(header="image,kind,split"),
    "byte order mark and returns": "\ufeff" + table().replace("\n", "\r\n"),
    "carriage returns": table().replace("\n", "\r"),
    "comments": "# my photos, all of them\n" + table() + "# the end\n",
    "commented header": table(header="# path,label,split"),
    "single quotes": table(quote="'"),
    "double quotes": table(quote='"').replace(",", ", "),
    "backslashes": table(changed(0, lambda name: name.replace("/", "\\"))),
    "an index": table([(str(i), *row) for i, row in enumerate(ROWS)], header=",path,label,split"),
    "no suffix": table(changed(0, lambda name: name[:-4])),
}


@pytest.mark.parametrize("form", UNDERSTOOD)
def test_forms_that_are_understood(tmp_path, form):
    source, labels = read(tmp_path, UNDERSTOOD[form])
    assert source.bad == []
    more = ", or so" if form == "commas in labels" else ""
    assert labels == [f"fear{more}", f"joy{more}"]
    assert [entry.filename for entry in source.splits["train"]] == TRAIN
    assert [entry.label for entry in source.splits["train"][:2]] == [f"joy{more}", f"fear{more}"]
    assert source.splits["train"][0].path == tmp_path / "img" / "p0.jpg"
    assert f"Read {tmp_path}/list.csv: 8 lines" in source.notes[1]


def test_the_note_names_separator_and_columns(tmp_path):
    text = table([(*row, "0.7") for row in ROWS], ";", header="filename,class,split,confidence")
    note = read(tmp_path, text)[0].notes[1]
    assert note.endswith(
        "list.csv: 8 lines, cells between semicolons, path in 'filename', label in 'class',"
        " split in 'split'; columns left out: confidence."
    )


def test_ids_in_the_only_folder_beside_the_list_that_has_them(tmp_path):
    for i in range(40):
        touch(tmp_path / "photos" / f"{i:03}abc.JPG")
        touch(tmp_path / "others" / f"{i:03}xyz.jpg")
    rows = [(f"{i:03}abc", ("beagle", "collie")[i % 2]) for i in range(40)]
    (tmp_path / "labels.csv").write_text(table(rows, header="id,breed"))
    source, labels = layouts.read(tmp_path, "auto")
    assert labels == ["beagle", "collie"]
    assert source.bad == []
    assert {entry.filename for entries in source.splits.values() for entry in entries} == {
        f"photos/{i:03}abc.JPG" for i in range(40)
    }
    assert f"Its paths are relative to {tmp_path}/photos." in source.notes


REASONS = {
    "absolute": (
        table(changed(0, "/home/me/photos/{}".format)),
        "list.csv: /home/me/photos/img/p0.jpg: an absolute path; write it relative to the list;"
        " near is img/p0.jpg, in list.csv line 2, column 1, and 7 more like it;"
        " two classes or more are needed. Received: none.",
    ),
    "of Windows": (
        table(changed(0, lambda name: "C:\\me\\" + name.replace("/", "\\"))),
        "an absolute path; write it relative to the list; near is img/p0.jpg, in list.csv line 2",
    ),
    "dots": (
        table(changed(0, "img/../{}".format)),
        "img/../img/p0.jpg: a path with .. in it; write it from the list down;"
        " near is img/p0.jpg, in list.csv line 2, column 1, and 7 more like it",
    ),
    "folds": (
        table(changed(2, lambda split: str(len(split)))),
        "img/p0.jpg: no split; known are train, val and test, and a column of anything else needs"
        " another name in a header, in list.csv line 2, column 3 ('5'), and 7 more like it",
    ),
    "confidences": (
        table([(*row[:2], f"0.{i}") for i, row in enumerate(ROWS)], header=""),
        "in list.csv line 1, column 3 ('0.0'), and 7 more like it; two classes or more",
    ),
    "label first": (
        table([(label, name, split) for name, label, split in ROWS], header=""),
        "joy: no such file, but column 2 names one; write path,label, or name the columns in a"
        " header, in list.csv line 1, column 1, and 7 more like it",
    ),
    "no separator": (
        table([[name] for name, *_ in ROWS], header=""),
        "img/p0.jpg: no label, in list.csv line 1, column 2, and 7 more like it",
    ),
    "another folder": (
        table(changed(0, lambda name: name.replace("img", "imgs"))),
        "imgs/p0.jpg: missing; near is img/p0.jpg, in list.csv line 2, column 1, and 7 more",
    ),
    "empty": ("", "list.csv: the list is empty; write a line path,label for every image."),
    "only a header": ("path,label\n", "list.csv: the list is empty"),
    "only comments": ("# nothing\n" * 200, "list.csv: the list is empty"),
    "not UTF-8": ("path,label\n\udce9.jpg,joy\n", "list.csv: the list is not UTF-8 text (line 2)"),
    "open quotes": (
        table([*ROWS, ('"open', "joy", "train")]),
        "list.csv: the list is not a table of cells between commas (line 10: unexpected end",
    ),
}


@pytest.mark.parametrize("form", REASONS)
def test_true_reasons_come_first_in_one_line(tmp_path, form):
    text, reason = REASONS[form]
    for path, *_ in ROWS:
        touch(tmp_path / path)
    (tmp_path / "list.csv").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DatasetError) as error:
        layouts.read(tmp_path, "auto")
    assert reason in str(error.value)
    assert "\n" not in str(error.value)


def test_reasons_come_before_the_rule_about_small_classes(tmp_path):
    with pytest.raises(DatasetError, match=r"list\.csv: gone/gone\.gif: missing, in list\.csv l"):
        read(
            tmp_path,
            table([*(row[:2] for row in ROWS), ("gone/gone.gif", "joy")], header="path,label"),
        )


def test_a_class_that_is_only_tested_is_named(tmp_path):
    rows = [(name, "awe" if split == "test" else label, split) for name, label, split in ROWS]
    source, labels = read(tmp_path, table(rows))
    assert labels == ["awe", "fear", "joy"]
    assert "No training image of 1 of 3 classes: awe." in source.notes


def test_a_name_that_begins_like_a_comment_is_a_name(tmp_path):
    touch(tmp_path / "#1.jpg")
    source, _ = read(tmp_path, table([("#1.jpg", "joy", "train"), *ROWS], header=""))
    assert source.splits["train"][0].filename == "#1.jpg"


def test_a_name_with_the_separator_must_be_quoted(tmp_path):
    touch(tmp_path / "d, e.jpg")
    rows = [*ROWS, ("d, e.jpg", "joy", "train")]
    (bad,) = read(tmp_path, table(rows))[0].bad
    assert bad.explanation == (
        "a cell too many; quote what holds a separator, in list.csv line 10, column 4 ('train')"
    )


def test_a_list_wins_over_folders_and_says_so(tmp_path):
    for name in ("train/joy/a.jpg", "train/fear/b.jpg"):
        touch(tmp_path / name)
    source, _ = read(tmp_path, table(), "Labels.CSV")
    (note,) = (note for note in source.notes if "decides" in note)
    assert "img/, train/ are not searched" in note
    config = json.loads(note.partition("'")[2].partition("'")[0])
    assert layouts.read(tmp_path, config["split"])[0].facts["layout"] == "folders"


cells = (
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).map(str.strip).filter(bool)
)


@given(
    st.lists(st.tuples(cells.map(lambda name: f"{name}.jpg"), cells), min_size=1, max_size=20),
    st.sampled_from([",", ";", "\t", "|"]),
)
def test_a_table_with_quoted_cells_is_read_as_written(tmp_path_factory, rows, delimiter):
    quoted = [['"' + cell.replace('"', '""') + '"' for cell in row] for row in rows]
    path = tmp_path_factory.mktemp("list") / "list.csv"
    path.write_bytes(table(quoted, delimiter, header="path,label").encode())
    form = tables.find_form(path)
    read_rows = [cells for _, cells in tables.read_rows(path, form)]
    assert form.delimiter == delimiter
    assert read_rows == [list(row) for row in rows]
