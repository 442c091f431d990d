"""The grid of settings, what is made for its points, and the tables and panels of its axes."""

import dataclasses
import json
import os

import click.testing
import pytest
from PIL import Image

from sentiflow.bench import scaling
from sentiflow.bench.contestants import CONTESTANTS
from sentiflow.bench.harness import grid, rows
from sentiflow.bench.harness.grid import DEVICE, JPEG, MEMORY, RAW, Point
from sentiflow.bench.harness.settings import Settings
from sentiflow.bench.show import curves

USUAL = {"batch_size": 32, "image_size": 256, "images": 420, "cores": 2, "pages": "warm"}


def row(contestant, rate, work="crop", **values):
    cores = values.pop("cores", 2)
    values = (
        USUAL
        | {"status": "ok", "commit": "abc", "seconds": 1.0, "peak_anonymous_mib": rate / 10}
        | values
    )
    del values["cores"]
    environment = {"cpu": "x", "cores": cores}
    fixed = {
        "tier": "none",
        "storage": "raw256",
        "dataset": "emotionroi",
        "environment": environment,
    }
    return rows.Row(
        contestant=contestant, work=work, images_per_second=rate, windows=(rate,), **fixed, **values
    )


def values(points, axis, **chosen):
    """The values of an axis at which a contestant is measured, everything else as usual."""
    others = USUAL | chosen
    del others[axis]
    return {
        getattr(point, axis)
        for point in points
        if all(getattr(point, name) == value for name, value in others.items())
    }


def test_every_axis_has_its_values_and_no_point_comes_twice():
    points = grid.grid(420, 2)
    assert len(set(points)) == len(points)
    for name in (MEMORY, RAW, JPEG):
        for work in ("augmented", "crop"):
            chosen = {"contestant": name, "work": work}
            assert values(points, "batch_size", **chosen) == {16, 32, 64, 256}
            assert values(points, "image_size", **chosen) == {224, 256, 448}
            assert values(points, "cores", **chosen) == {1, 2}
    for name in (RAW, JPEG):
        assert values(points, "images", contestant=name, work="crop") == {420, 840, 10_080, 99_960}
        assert values(points, "pages", contestant=name, work="crop", images=10_080) == {
            "warm",
            "cold",
        }
    assert values(points, "images", contestant=DEVICE, work="augmented") == {420, 840, 10_080}
    assert {point.contestant for point in points} <= set(CONTESTANTS)


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
    assert scaling.variant(CONTESTANTS[name], 448).storage == storage


@pytest.mark.skipif(
    not hasattr(os, "sched_setaffinity"), reason="this system does not confine processes to cores"
)
def test_a_confined_point_leaves_the_other_cores_to_those_after_it():
    before = os.sched_getaffinity(0)
    with scaling.confined(1):
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
    assert [each.batch_size for each in curves.series(measured, "batch_size")["crop", RAW]] == [
        16,
        32,
        64,
    ]
    assert [each.images_per_second for each in curves.series(measured, "cores")["crop", RAW]] == [
        50.0,
        132.0,
    ]
    assert [each.images for each in curves.series(measured, "images")["crop", RAW]] == [420, 10_080]
    assert [each.images_per_second for each in curves.series(measured, "pages")["crop", RAW]] == [
        40.0,
        90.0,
    ]
    assert all(name == RAW for axis in curves.AXES for _, name in curves.series(measured, axis))
    table = curves.markdown(measured)
    assert "| crop | sentiflow-none-raw256 | 116 | 132 | 164 |" in table
    assert "| crop | sentiflow-none-raw256 | 13 | 9 |" in table  # memory
    assert "| work | contestant | cold | warm |" in table


def test_the_hosts_part_of_tier_device_is_told_by_the_step():
    measured = [
        row(DEVICE, 1e5, "augmented", batch_size=size, cpu_seconds_per_image=1e-5)
        for size in (32, 64)
    ]
    assert "| augmented | sentiflow-device | 0.32 | 0.64 |" in curves.markdown(measured)


def test_points_are_measured_end_to_end(data_dir, tmp_path, monkeypatch):
    cold = Point(contestant=RAW, work="crop", batch_size=8, images=60, cores=1, pages="cold")
    host = Point(contestant=DEVICE, work="augmented", batch_size=8, images=30, cores=2)
    monkeypatch.setattr(scaling, "grid", lambda images, cores: [cold, host] * (images == 30))
    monkeypatch.setattr(scaling, "cores", lambda: 2)
    out = tmp_path / "rows.json"
    arguments = [
        "--data_dir",
        data_dir,
        "--seconds",
        "0.2",
        "--json",
        str(out),
        "--plot",
        str(tmp_path / "new" / "s.png"),
    ]
    result = click.testing.CliRunner().invoke(scaling.main, arguments)
    assert result.exit_code == 0, result.output
    first, second = json.loads(out.read_text())
    assert (first["status"], first["images"], first["pages"], first["environment"]["cores"]) == (
        "ok",
        60,
        "cold",
        1,
    )
    assert (second["status"], second["tier"], second["deviation"]) == (
        "ok",
        "device",
        scaling.PLACES,
    )
    assert (
        min(
            first["images_per_second"], second["images_per_second"], second["cpu_seconds_per_image"]
        )
        > 0
    )
    with Image.open(tmp_path / "new" / "s.png") as plot:
        assert plot.width >= 1000
