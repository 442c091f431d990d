"""Which picture files `predict` is given."""

import unicodedata

from sentiflow.model.scores import files

NAME = unicodedata.normalize("NFC", "caf\u00e9.jpg")
DECOMPOSED = unicodedata.normalize("NFD", NAME)


def test_a_name_that_is_composed_in_another_way_is_found(tmp_path):
    for there, asked in ((NAME, DECOMPOSED), (DECOMPOSED, NAME)):
        (tmp_path / there).touch()
        assert list(files.find_images([tmp_path / asked])) == [tmp_path / there]
        (tmp_path / there).unlink()


def test_what_is_not_there_stays_as_it_was_named(tmp_path):
    (tmp_path / "other.jpg").touch()
    for path in (tmp_path / NAME, tmp_path / "no" / "folder.jpg"):
        assert list(files.find_images([path])) == [path]
