"""What a set of any size costs, by the committed rows."""

from pathlib import Path

import pytest

from sentiflow.bench import cost, docs
from sentiflow.bench.harness.cost import Storage, read_model

ROWS = Path(docs.__file__).parents[1] / "docs"


def test_the_formulas():
    storage = Storage(
        "raw256", 400_000, build_seconds=0.009, view_seconds=5e-4, window_seconds=6e-5
    )
    assert storage.disk(1_000_000) == 4e11
    assert storage.core_hours(1_000_000) == pytest.approx(2.5)
    assert storage.staging_seconds(1_000_000, gbit=10) == pytest.approx(320)
    assert storage.bandwidth(6_000) == 2.4e9


def test_the_constants_are_those_of_the_rows():
    model = read_model(ROWS)
    assert [storage.name for storage in model.storages] == ["original", "raw256", "jpeg256"]
    original, raw, jpeg = model.storages
    assert jpeg.bytes < original.bytes < raw.bytes
    assert 0 < raw.window_seconds < raw.view_seconds < jpeg.view_seconds < original.view_seconds
    assert model.largest(2**30) == int(2**30 / model.name_bytes)


def test_the_command_shows_what_is_asked_for(invoke):
    arguments = ("--images", "2000000", "--gbit", "100", "--cores", "8", "--rows", ROWS)
    shown = invoke(cost.main, *arguments).output
    assert "2,000,000" in shown
    assert "raw256" in shown


def test_missing_rows_are_named(invoke, tmp_path):
    result = invoke(cost.main, "--rows", tmp_path)
    assert result.exit_code == 2
    assert "build.json is missing; bench/measure.sh makes it" in " ".join(result.output.split())
