"""Entries in columns are the entries that were collected."""

import tracemalloc
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sentiflow.builders.reading.entries import Entries, Entry, chain

NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1)
ENTRIES = st.builds(
    lambda **values: Entry(**values),
    filename=st.builds("{}/{}".format, NAMES, NAMES),
    path=st.builds("{}/{}".format, NAMES, NAMES).map(lambda name: Path(name)),
    label=st.sampled_from(["joy", "fear", "anger"]),
    features=st.just({}) | st.just({"fold": 3}),
    near=st.just("") | NAMES,
)
USUAL = st.builds(
    lambda folder, name, label: Entry(name, Path(folder) / name, label),
    st.sampled_from(["/photos", "photos/images", "/", ""]),
    st.from_regex(r"[a-z]{1,9}/[0-9]{1,4}\.jpg", fullmatch=True),
    st.sampled_from(["joy", "fear"]),
)


@given(st.lists(ENTRIES | USUAL))
def test_they_come_back_as_they_were(entries):
    columns = Entries.collect(entries)
    assert list(columns) == entries
    assert [columns[i] for i in range(len(columns))] == entries
    assert list(columns[::-2]) == entries[::-2]
    assert list(columns.filenames) == [entry.filename for entry in entries]
    numbers, names = columns.labels
    assert [names[number] for number in numbers] == [entry.label for entry in entries]
    assert names == sorted({entry.label for entry in entries})
    assert list(chain([columns, entries])) == entries * 2


def test_positions_and_masks_choose():
    entries = [Entry(f"{i}.jpg", Path(f"{i}.jpg"), str(i % 2)) for i in range(6)]
    columns = Entries.collect(entries)
    assert list(columns[np.array([4, 1])]) == [entries[4], entries[1]]
    assert list(columns[np.arange(6) % 2 == 1][1:]) == [entries[3], entries[5]]


def test_an_entry_takes_its_name_and_some_bytes():
    count = 20_000
    tracemalloc.start()
    try:
        columns = Entries.collect(
            Entry(f"joy/{i:08d}.jpg", Path(f"/photos/joy/{i:08d}.jpg"), "joy") for i in range(count)
        )
        size, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(columns) == count
    assert size / count < len("joy/00000000.jpg") + 48
