"""The benchmark of the builders, on their own example data."""

from pathlib import Path

from click.testing import CliRunner

from sentiflow.bench import build, growth
from sentiflow.bench.harness import builds, rows
from sentiflow.bench.ours import build_once
from sentiflow.bench.show import growth as show_growth

DUMMY = Path(__file__).parents[2] / "builders" / "photo_folder" / "dummy_data"


def test_one_build_counts_images_and_bytes(tmp_path):
    result = build_once.build_once("photo_folder", "raw256", str(DUMMY), str(tmp_path), limit=0)
    assert result["images"] == 8
    pixels = sum(path.stat().st_size for path in tmp_path.rglob("*.tfrecord*"))
    assert 8 * 292 * 292 * 3 < pixels < result["bytes"] < pixels + 20_000
    assert result["cpu_seconds"] > 0


def test_rows_hold_rates_seconds_and_bytes(tmp_path, monkeypatch, invoke):
    answers = {1: iter([2.0, 4.0, 2.5]), 0: iter([1.0, 1.25, 1.0])}
    peaks = {"peak_anonymous_mib": 500.0, "peak_total_mib": 900.0}
    usual = {"images": 10, "cpu_seconds": 3.0, "bytes": 7_000_000, **peaks}

    def answer(dataset, storage, manual_dir, limit):
        return {**usual, "seconds": next(answers[limit])}

    monkeypatch.setattr(builds, "build", answer)
    path = tmp_path / "build.json"
    options = ("--storages", "raw256", "--pairs", 3, "--json", path)
    result = invoke(build.main, "--manual_dir", DUMMY, *options)
    assert result.exit_code == 0, result.output
    one, every = rows.read_json(path)
    assert one.contestant == "build-1-core"
    assert (one.windows, one.images_per_second) == ((5.0, 2.5, 4.0), 4.0)
    assert (one.spread, one.cpu_seconds_per_image, one.bytes_on_disk) == (0.625, 0.3, 7_000_000)
    assert every.contestant == "build-all-cores"
    assert (every.images_per_second, every.build_seconds) == (10.0, 1.0)
    assert "2.50" in result.output


def test_sets_of_any_number_are_drawn_built_and_opened(tmp_path, in_this_process):
    path = tmp_path / "growth.json"
    arguments = ["--images", "100", "--linked", "300", "--names", "5000", "--json", str(path)]
    printed = CliRunner().invoke(growth.main, arguments, catch_exceptions=False).output
    built, linked, named = rows.read_json(path)
    assert (built.images, linked.images, named.images) == (100, 300, 5000)
    assert named.build_seconds > 0
    assert named.peak_anonymous_mib > 100
    assert 100 < built.peak_anonymous_mib < built.peak_total_mib
    for row in (built, linked):
        # A name such as class0/000099.jpg, 40 bytes of columns, and a file header for each of them.
        assert 57 * row.images < row.index_bytes < 57 * row.images + 4_000
        assert row.open_seconds > 0
        assert row.open_anonymous_mib > 100
    assert built.scan_seconds is None
    assert linked.scan_seconds > 0
    assert linked.build_seconds is None
    table = show_growth.markdown([built, linked])
    assert "| 100 | " in table
    assert "| 300 | - | - | - | - | - | " in table
    assert "300" in printed


def test_rows_of_before_there_was_an_index_have_a_dash():
    row = rows.Row(
        contestant="build-all-cores",
        work="build",
        tier="-",
        storage="jpeg64",
        batch_size=1,
        status="ok",
        images_per_second=100.0,
        dataset="photo_folder",
        images=100,
        seconds=1.0,
        commit=None,
        environment={"cpu": "x", "cores": 2},
    )
    assert "| 100 | - | - | - | 100 | - | - | - | - | - |" in show_growth.markdown([row])
