"""The grid of settings, what is made for its points, and the tables and panels of its axes."""

import dataclasses
import json
import os

import pytest
from PIL import Image
from sample_rows import make_row

from sentiflow.bench import scaling
from sentiflow.bench.contestants import CONTESTANTS
from sentiflow.bench.harness import grid, points, rows
from sentiflow.bench.harness.grid import DEVICE, JPEG, MEMORY, RAW, Point
from sentiflow.bench.harness.settings import Settings
from sentiflow.bench.show import curves

USUAL = {"batch_size": 32, "image_size": 256, "images": 420, "cores": 2, "pages": "warm"}


def row(contestant, rate, work="crop", *, cores=2, **values):
    environment = {"cpu": "x", "cores": cores}
    usual = {"work": work, "seconds": 1.0, "peak_anonymous_mib": rate / 10}
    return make_row(contestant, rate, environment=environment, **{**usual, **values})


def values(points, axis, **differing):
    """The values of an axis at which a contestant is measured, everything else as usual."""
    fixed = USUAL | differing
    del fixed[axis]
    return {
        getattr(point, axis)
        for point in points
        if all(getattr(point, name) == value for name, value in fixed.items())
    }


def test_every_axis_has_its_values_and_no_point_comes_twice():
    whole = grid.grid(420, 2)
    assert len(set(whole)) == len(whole)
    for name in (MEMORY, RAW, JPEG):
        for work in ("augmented", "crop"):
            usual = {"contestant": name, "work": work}
            assert values(whole, "batch_size", **usual) == {16, 32, 64, 256}
            assert values(whole, "image_size", **usual) == {224, 256, 448}
            assert values(whole, "cores", **usual) == {1, 2}
    for name in (RAW, JPEG):
        usual = {"contestant": name, "work": "crop"}
        assert values(whole, "images", **usual) == {420, 840, 10_080, 99_960}
        assert values(whole, "pages", images=10_080, **usual) == {"warm", "cold"}
    host = {"contestant": DEVICE, "work": "augmented"}
    assert values(whole, "images", **host) == {420, 840, 10_080}
    assert {point.contestant for point in whole} <= set(CONTESTANTS)


def test_on_one_core_there_is_nothing_to_compare():
    assert {point.cores for point in grid.grid(2000, 1)} == {1}
    assert {point.images for point in grid.grid(2000, 1)} == {2000, 10_000, 100_000}


def test_a_row_tells_its_point():
    for point in grid.grid(420, 2):
        assert grid.point_of(row(rate=1.0, **dataclasses.asdict(point))) == point


@pytest.mark.parametrize(
    ("name", "storage"),
    [(RAW, "raw448"), (JPEG, "jpeg448"), (MEMORY, "raw448"), ("original-1", "files")],
)
def test_another_size_is_read_from_its_own_storage(name, storage):
    assert points.variant(CONTESTANTS[name], 448).storage == storage


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="this system does not confine processes to cores"
)
def test_a_confined_point_leaves_the_other_cores_to_those_after_it():
    before = os.sched_getaffinity(0)
    with points.confined(1):
        assert len(os.sched_getaffinity(0)) == 1
    assert os.sched_getaffinity(0) == before


def test_an_interrupted_run_keeps_what_the_same_commit_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(scaling, "commit", lambda: "abc")
    measured = [
        row(RAW, 1.0),
        row(RAW, 2.0, batch_size=64, commit="other"),
        row(RAW, 3.0, batch_size=16, seconds=9.0),
        row(JPEG, 4.0, status="failed: no such shard"),
    ]
    rows.write_json(measured, tmp_path / "rows.json")
    known = scaling.kept(Settings(json=tmp_path / "rows.json", seconds=1.0))
    assert known == {grid.point_of(measured[0]): measured[0]}
    assert scaling.kept(Settings(json=tmp_path / "none.json")) == {}


def test_a_series_differs_in_one_value():
    measured = [
        *(row(RAW, 100.0 + size, batch_size=size) for size in (64, 16, 32)),
        row(RAW, 50.0, cores=1),
        row(RAW, 90.0, images=10_080),
        row(RAW, 40.0, images=10_080, pages="cold"),
        row(JPEG, 10.0),
        row(JPEG, 9.0, batch_size=64, cores=1),
    ]
    series = {axis: curves.series(measured, axis) for axis in curves.AXES}
    assert all(list(lines) == [("crop", RAW)] for axis, lines in series.items() if lines)
    rates = {
        axis: [point.images_per_second for point in lines["crop", RAW]]
        for axis, lines in series.items()
        if lines
    }
    assert rates == {
        "batch_size": [116.0, 132.0, 164.0],
        "cores": [50.0, 132.0],
        "images": [132.0, 90.0],
        "pages": [40.0, 90.0],
    }
    page = curves.markdown(measured)
    assert "| crop | sentiflow-none-raw256 | 116 | 132 | 164 |" in page
    assert "| crop | sentiflow-none-raw256 | 13 | 9 |" in page  # memory
    assert "| work | contestant | cold | warm |" in page


def batches(*pairs, busy=0.95):
    """Rows of one loader in batches of 32 and 256, each with its rate, on two cores so busy."""
    return [
        row(RAW, rate, batch_size=size, cpu_seconds_per_image=2 * busy / rate)
        for size, rate in pairs
    ]


def test_rates_that_fall_with_larger_batches_are_remarked_on():
    (remark,) = curves.remarks(batches((32, 1000.0), (256, 400.0)))
    assert remark.startswith("* crop, sentiflow-none-raw256: 2.5 times slower in batches of 256")
    assert "1.90 ms of processor time an image become 4.75, and the cores stay 95% busy" in remark
    assert curves.remarks(batches((32, 1000.0), (256, 950.0))) == []
    noisy = [dataclasses.replace(row, spread=1.3) for row in batches((32, 1000.0), (256, 400.0))]
    assert curves.remarks(noisy) == []
    idle = curves.remarks([*batches((32, 1000.0)), *batches((256, 400.0), busy=0.5)])
    assert "the cores are 50% busy instead of 95%" in idle[0]


def test_the_hosts_part_of_tier_device_is_told_by_the_step():
    measured = [
        row(DEVICE, 1e5, "augmented", batch_size=size, cpu_seconds_per_image=1e-5)
        for size in (32, 64)
    ]
    assert "| augmented | sentiflow-device | 0.32 | 0.64 |" in curves.markdown(measured)


def test_points_are_measured_end_to_end(data_dir, tmp_path, monkeypatch, invoke):
    cold = Point(contestant=RAW, work="crop", batch_size=8, images=60, cores=1, pages="cold")
    host = Point(contestant=DEVICE, work="augmented", batch_size=8, images=30, cores=2)
    monkeypatch.setattr(scaling, "grid", lambda images, cores: [cold, host] * (images == 30))
    out = tmp_path / "rows.json"
    plot = tmp_path / "new" / "s.png"
    options = ("--data_dir", data_dir, "--seconds", 0.2, "--json", out, "--plot", plot)
    result = invoke(scaling.main, *options)
    assert result.exit_code == 0, result.output
    first, second = json.loads(out.read_text())
    assert (first["status"], first["images"], first["pages"]) == ("ok", 60, "cold")
    assert first["environment"]["cores"] == 1
    assert (second["status"], second["tier"]) == ("ok", "device")
    assert second["deviation"] == points.HOST_PART
    assert first["images_per_second"] > 0
    assert second["images_per_second"] > 0
    assert second["cpu_seconds_per_image"] > 0
    with Image.open(plot) as image:
        assert image.format == "PNG"
