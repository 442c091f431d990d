"""`bench.throughput`, and the user errors of all commands that take its settings."""

import dataclasses
import json

import pytest

from sentiflow.bench import limits, memory, throughput
from sentiflow.bench.harness import rows
from sentiflow.bench.harness.comparison import compare
from sentiflow.bench.harness.grown import grow
from sentiflow.bench.harness.settings import Settings


def test_throughput_end_to_end(data_dir, tmp_path, invoke):
    path = tmp_path / "rows.json"
    plot = tmp_path / "bars.png"
    files = ("--json", path, "--csv", tmp_path / "rows.csv", "--plot", plot)
    loaders = ("--contestants", "original-1,sentiflow-none-jpeg256", "--work", "crop")
    options = ("--data_dir", data_dir, "--seconds", 0.2, "--batch-size", 8)
    result = invoke(throughput.main, *options, *loaders, *files)
    assert result.exit_code == 0, result.output
    first, second = json.loads(path.read_text())
    assert (first["contestant"], first["storage"]) == ("original-1", "files")
    assert first["ratio_to_original"] == 1.0
    assert (second["contestant"], second["status"]) == ("sentiflow-none-jpeg256", "ok")
    ratio = second["images_per_second"] / first["images_per_second"]
    assert second["ratio_to_original"] == pytest.approx(ratio)
    assert second["images"] == 30
    measured = ("cpu_seconds_per_image", "first_batch_seconds", "peak_total_mib")
    assert all(second[name] > 0 for name in measured)
    assert {field.name for field in dataclasses.fields(rows.Row)} == set(second)
    assert plot.stat().st_size > 10_000


@pytest.mark.parametrize(
    ("command", "arguments", "phrase"),
    [
        (throughput.main, ["--contestants", "nobody"], "contestants must be among original-1"),
        (
            throughput.main,
            ["--contestants", "limit-copy-memory"],
            "crop; this one does memory alone. Received: 'limit",
        ),
        (throughput.main, ["--contestants", "sentiflow-device"], "this one does training alone"),
        (throughput.main, ["--windows", "3"], "windows must be at least 5"),
        (throughput.main, ["--work", "resize"], "'resize' is not one of 'augmented', 'crop'"),
        (throughput.main, ["--data_dir", "missing"], "emotionroi/original is not in"),
        (
            throughput.main,
            ["--data_dir", "missing", "--manual_dir", "missing", "--dataset", "mnist"],
            "has a builder",
        ),
        (limits.main, ["--data_dir", "missing"], "emotionroi/jpeg256 is not in"),
        (memory.main, ["--plot", "a.png"], "No such option"),
    ],
)
def test_user_errors_are_one_line(command, arguments, phrase, invoke):
    result = invoke(command, *arguments)
    assert result.exit_code == 2
    assert phrase in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_storage_that_is_not_built_is_absent(data_dir, tmp_path):
    for storage in ("original", "jpeg256"):
        grow(f"emotionroi/{storage}", data_dir=data_dir, times=1, target=tmp_path)
    settings = Settings(
        data_dir=str(tmp_path), work=("crop",), contestants="sentiflow-memory", batch_size=8
    )
    (absent,) = compare(settings)
    assert absent.status.startswith("absent: emotionroi/raw256 is not in")
