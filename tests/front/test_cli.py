"""Command lines made from dataclasses, and the contact sheet, which is the smallest of them."""

import dataclasses

import click
import pytest
from click.testing import CliRunner

from sentiflow import cli, pipeline


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
