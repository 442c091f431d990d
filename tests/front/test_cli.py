"""Command lines made from dataclasses, and the contact sheet, which is the smallest of them."""

import dataclasses

import click
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from sentiflow import cli, pipeline
from sentiflow.pipeline import preview


@dataclasses.dataclass(frozen=True, kw_only=True)
class Example:
    """Fields of every kind that the settings have."""

    batch_size: int = dataclasses.field(default=32, metadata={"help": "Images in a batch."})
    flip: bool = True
    fold: int | None = None
    names: tuple[str, ...] = ()

    def __post_init__(self):
        if self.batch_size < 1:
            raise pipeline.InputError("batch_size must be\nat least 1")


@click.command(cls=cli.Command)
@cli.options(Example)
def command(**values):
    click.echo(repr(cli.build(Example, values)))


def run(*arguments, of=command):
    return CliRunner().invoke(of, arguments)


def test_defaults_are_those_of_the_fields():
    assert run().output.strip() == repr(Example())


@pytest.mark.parametrize("spelling", ["--batch_size", "--batch-size"])
def test_underscores_and_dashes(spelling):
    assert run(spelling, "8").output.strip() == repr(Example(batch_size=8))


def test_every_kind_of_field():
    got = run("--no-flip", "--fold", "3", "--names", "a", "--names", "b").output.strip()
    assert got == repr(Example(flip=False, fold=3, names=("a", "b")))
    assert "Images in a batch." in run("--help").output


@pytest.mark.parametrize(
    "arguments", [("--batch_size", "0"), ("--batch_size", "x"), ("--unknown",), ("stray",)]
)
def test_errors_are_one_line_and_status_2(arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    assert not result.stdout


def test_preview_draws_a_row_for_every_image(data_dir, tmp_path):
    out = tmp_path / "sheet.png"
    arguments = ("--data_dir", data_dir, "--out", str(out), "--images", "3", "--views", "2")
    for dataset in ("emotionroi/original", "emotionroi/raw256", "twitter1/raw256"):
        result = run("--dataset", dataset, *arguments, of=preview.main)
        assert result.exit_code == 0, result.stderr
        with Image.open(out) as sheet:
            pixels = np.asarray(sheet.convert("RGB")).astype(int)
        assert pixels.shape[0] > 3 * 150
        assert (
            np.ptp(pixels, axis=2) > 30
        ).mean() > 0.2  # colourful pictures rather than blank paper
    assert list(tmp_path.iterdir()) == [out]


def test_preview_errors(data_dir, tmp_path):
    missing = run("--data_dir", str(tmp_path), "--out", str(tmp_path / "x.png"), of=preview.main)
    assert (missing.exit_code, missing.stderr.count("\n")) == (2, 1)
    nowhere = run("--data_dir", data_dir, "--out", str(tmp_path / "no" / "x.png"), of=preview.main)
    assert (nowhere.exit_code, nowhere.stderr.count("\n")) == (2, 1)
    assert "x.png" in nowhere.stderr
