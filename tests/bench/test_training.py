"""`bench.training`: the real step and emulated accelerators, end to end."""

import json

import pytest
from sample_rows import make_fed_row

from sentiflow.bench import throughput, training
from sentiflow.bench.harness.real_step import with_utilisation
from sentiflow.bench.ours import step


def test_utilisation_of_the_real_step_is_against_a_constant_batch():
    ceiling = make_fed_row("constant", 1000.0)
    fed = make_fed_row("a", 250.0, utilisation=None)
    absent = make_fed_row("b", 1.0, images_per_second=None, utilisation=None)
    assert with_utilisation(fed, ceiling).utilisation == 0.25
    assert with_utilisation(absent, ceiling).utilisation is None


def test_emulation_end_to_end(data_dir, tmp_path, invoke):
    out = tmp_path / "rows.json"
    loader = ("--contestants", "sentiflow-none-jpeg256", "--work", "crop", "--batch_size", 8)
    options = ("--data_dir", data_dir, *loader, "--seconds", 0.3, "--json", out)
    result = invoke(training.main, *options, "--emulate", "1000000,50")
    assert result.exit_code == 0, result.output
    slow, fast = json.loads(out.read_text())
    assert (slow["emulate"], fast["emulate"]) == (50, 1_000_000)
    assert (slow["tier"], slow["storage"]) == ("none", "jpeg256")
    assert slow["status"] == fast["status"] == "ok"
    assert fast["utilisation"] == pytest.approx(fast["images_per_second"] / 1_000_000)
    assert fast["utilisation"] < slow["utilisation"]
    assert 0 <= slow["waiting_share"] < fast["waiting_share"] <= 1
    assert len(slow["windows"]) == 5
    assert "crop: sentiflow-none-jpeg256 keeps" in result.output


@pytest.mark.parametrize("work", ["augmented", "crop"])
def test_a_view_that_is_left_to_the_accelerator_is_checked_and_emulated(
    work, data_dir, tmp_path, invoke
):
    out = tmp_path / "rows.json"
    name = "sentiflow-none-raw256-windows"
    chosen = ("--contestants", name, "--work", work, "--batch_size", 8, "--data_dir", data_dir)
    options = (*chosen, "--seconds", 0.3, "--emulate", "100", "--json", out)
    result = invoke(training.main, *options)
    assert result.exit_code == 0, result.output
    (row,) = json.loads(out.read_text())
    assert (row["contestant"], row["status"]) == (name, "ok")
    refused = invoke(throughput.main, *chosen)
    assert refused.exit_code == 2
    assert "contestants must do the view; this one leaves it to accel" in refused.stderr


def test_the_real_step_end_to_end(data_dir, tmp_path, invoke):
    out = tmp_path / "rows.json"
    loader = ("--contestants", "original-1,sentiflow-none-original", "--batch_size", 4)
    network = ("--backbone_options", "alpha=0.25", "--precision", "float32")
    options = ("--data_dir", data_dir, *loader, *network, "--seconds", 0.3, "--json", out)
    result = invoke(training.main, *options)
    assert result.exit_code == 0, result.output
    ceiling, original, fed = json.loads(out.read_text())
    assert original["status"] == "ok"
    assert ceiling["contestant"] == "constant"
    assert (ceiling["utilisation"], ceiling["waiting_share"]) == (1.0, 0.0)
    assert fed["contestant"] == "sentiflow-none-original"
    assert (fed["work"], fed["emulate"]) == ("training", None)
    ratio = fed["images_per_second"] / ceiling["images_per_second"]
    assert fed["utilisation"] == pytest.approx(ratio)
    assert (fed["backbone"], fed["precision"]) == ("mobilenet", "float32")
    assert fed["device"] == step.precision.device()
    assert 0 <= fed["waiting_share"] <= 1


@pytest.mark.parametrize(
    ("arguments", "phrase"),
    [
        (["--emulate", "fast"], "emulate must be numbers, separated by commas. Received: 'fast'"),
        (["--emulate", "250,-1"], "emulate must be above 0 images/s"),
        (["--emulate", "250", "--profile", "p"], "profile is of the real step"),
        (["--contestants", "nobody"], "contestants must be among original-1"),
        # The ceiling is no loader that could be chosen.
        (["--contestants", "constant"], "contestants must be among original-1"),
        (["--backbone", "nobody"], "backbone must be one of"),
        (["--data_dir", "missing"], "is not in"),
        (["--rotation", "200"], "rotation must be in [0, 180] degrees"),
    ],
)
def test_user_errors_are_one_line(arguments, phrase, invoke):
    result = invoke(training.main, *arguments)
    assert (result.exit_code, len(result.stderr.splitlines())) == (2, 1)
    assert phrase in result.stderr


def test_too_large_a_batch_is_one_line(data_dir, invoke):
    result = invoke(training.main, "--data_dir", data_dir, "--batch_size", 64)
    rule = "batch_size must be at most 30, the images of split 'train'"
    assert result.stderr == f"Error: {rule}. Received: 64\n"


def test_a_step_that_fails_is_one_line(data_dir, invoke):
    options = ("--data_dir", data_dir, "--batch_size", 4, "--weights", "none.txt")
    result = invoke(training.main, *options)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: The training step cannot be timed: failed: ")
    assert "weights must be imagenet, none, or" in result.stderr
