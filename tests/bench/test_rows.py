"""Rows: their ratios and kinds, the files that they are kept in, tables and plots."""

import csv
import errno
import json
import os

import pytest
from PIL import Image
from sample_rows import make_fed_row, make_row

from sentiflow.bench import stages
from sentiflow.bench.harness import rows
from sentiflow.bench.harness.settings import Settings
from sentiflow.bench.show import bars
from sentiflow.bench.show.publish import publish


def test_ratios_are_to_the_original_of_the_same_work():
    slow = make_row(rate=50.0)
    fast = make_row("a", 500.0)
    alone = make_row("b", 10.0, work="augmented")
    absent = make_row("c", None)
    compared = rows.with_ratios([slow, fast, alone, absent])
    assert [row.ratio_to_original for row in compared] == [1.0, 10.0, None, None]


def test_ratios_are_to_the_original_in_front_of_the_same_accelerator():
    measured = [
        make_fed_row("original-1", 50.0, emulate=250.0),
        make_fed_row("a", 250.0, emulate=250.0),
        make_fed_row("original-1", 100.0, emulate=1000.0),
        make_fed_row("a", 900.0, emulate=1000.0),
    ]
    ratios = [row.ratio_to_original for row in rows.with_ratios(measured)]
    assert ratios == [1.0, 5.0, 1.0, 9.0]


KINDS = {
    "original-all": "replaced",
    "sentiflow-memory": "ours",
    "limit-copy-memory": "bound",
    "dali-files": "peer",
    "constant": "bound",
    "build-1-core": "ours",
}


def test_a_row_without_a_kind_has_that_of_its_contestant(tmp_path):
    path = tmp_path / "rows.json"
    rows.write_json([make_row(name) for name in KINDS], path)
    stored = json.loads(path.read_text())
    assert [values.pop("kind") for values in stored] == list(KINDS.values())
    path.write_text(json.dumps(stored))
    assert [row.kind for row in rows.read_json(path)] == list(KINDS.values())
    assert make_row("sentiflow-memory", kind="peer").kind == "peer"


def test_rows_as_json_and_csv(tmp_path):
    absent = make_row("sentiflow-memory", None, status="absent: no data")
    measured = [make_row(), absent]
    rows.write_json(measured, tmp_path / "new" / "rows.json")
    assert rows.read_json(tmp_path / "new" / "rows.json") == measured
    rows.write_csv(measured, tmp_path / "rows.csv")
    with open(tmp_path / "rows.csv", newline="") as file:
        first, second = csv.DictReader(file)
    assert first["windows"] == "100.00 101.00"
    assert first["environment_cores"] == "2"
    assert (second["images_per_second"], second["status"]) == ("", "absent: no data")


def test_table_and_plot_show_what_is_absent(tmp_path, capsys, drawn_texts):
    reason = "absent: No module named 'peer'"
    measured = [make_row(), make_row("peer", None, status=reason)]
    path = tmp_path / "plots" / "bars.png"
    publish(measured, Settings(plot=path))
    assert reason in capsys.readouterr().out
    with Image.open(path) as plot:
        assert plot.format == "PNG"
    assert {"original-1", "peer", reason, " 100"} <= drawn_texts(bars.plot, measured)


def test_files_of_results_stay_where_the_disk_refuses_others(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    measured = [make_row()]
    writers = {
        "rows.json": lambda path: rows.write_json(measured, path),
        "rows.csv": lambda path: rows.write_csv(measured, path),
        "bars.png": lambda path: bars.plot(measured, path),
        "stages.json": lambda path: stages.write([], path),
    }
    for name, write in writers.items():
        (tmp_path / name).write_text("before")
        with pytest.raises(OSError, match=name):
            write(tmp_path / name)
    kept = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert kept == dict.fromkeys(writers, "before")
