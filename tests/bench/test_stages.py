"""`bench.stages`: where a stream loses its time."""

import json

import click.testing

from sentiflow.bench import stages
from sentiflow.bench.harness.storages import STORAGES
from sentiflow.bench.show import stages as show_stages


def test_stages_name_where_the_time_goes(data_dir, tmp_path):
    options = ["--data_dir", data_dir, "--work", "crop", "--batch_size", "8", "--seconds", "0.25"]
    outcome = click.testing.CliRunner().invoke(
        stages.main, [*options, "--json", str(tmp_path / "stages.json")]
    )
    assert outcome.exit_code == 0, outcome.output
    found = json.loads((tmp_path / "stages.json").read_text())
    streams = {
        storage: {
            row["stage"]: row for row in found if (row["tier"], row["storage"]) == ("none", storage)
        }
        for storage in STORAGES
    }
    assert list(streams["raw256"]) == ["plan", "windows", "view"]
    assert streams["raw256"]["view"]["bytes_per_image"] == 256 * 256 * 3 + 4  # pixels and a label
    *_, handed = (row for row in found if row["tier"] == "device")
    assert handed["stage"] == "windows"
    assert 8 < handed["bytes_per_image"] < 100
    assert "| device, raw256 | crop | " in show_stages.markdown(found)
    for storage in ("original", "jpeg256"):
        costs = {name: row["cpu_milliseconds_per_image"] for name, row in streams[storage].items()}
        assert list(costs) == ["plan", "windows", "view"]
        assert costs["windows"] == max(costs.values()) > 3 * costs["plan"]
        assert (
            streams[storage]["plan"]["images_per_second"]
            > streams[storage]["windows"]["images_per_second"]
        )
