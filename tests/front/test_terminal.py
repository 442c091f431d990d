"""Names that may hold anything, on their way to a terminal."""

import io
import os
import unicodedata

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.table import Table

from sentiflow import cli, pipeline
from sentiflow.bench.show.table import rich_table
from sentiflow.builders.reading.sources import Bad
from sentiflow.builders.writing import quarantine
from sentiflow.builders.writing.config import StorageConfig
from sentiflow.model.training.progress import Progress
from sentiflow.terminal import echo, literal, printable

HOSTILE = "a\x1b[31m\r\n[red]\u202eb\x9b" + os.fsdecode(b"\xe9")
SHOWN = r"a\x1b[31m\x0d\x0a[red]\u202eb\x9b\xe9"


def test_what_terminals_obey_is_escaped_and_the_rest_is_kept():
    assert printable(HOSTILE) == SHOWN
    assert printable("Füße, 写真 😀 a\u200db\\x") == "Füße, 写真 😀 a\u200db\\x"


@given(st.text(st.characters()))
def test_printable_names_are_text_without_control_characters(name):
    shown = printable(name)
    assert shown.encode().decode() == shown
    assert not {"Cc", "Cs", "Zl", "Zp"} & set(map(unicodedata.category, shown))
    assert printable(shown) == shown


def test_lines_and_tables_show_names_as_they_are(capsys):
    echo(HOSTILE, "next", err=True)
    assert capsys.readouterr().err == f"{SHOWN}\nnext\n"
    table = Table("name", show_header=False)
    table.add_row(literal(HOSTILE))
    for shown in (table, rich_table("title", ["name"], [[HOSTILE]])):
        console = Console(file=io.StringIO(), width=100, force_terminal=False)
        console.print(shown)
        assert SHOWN in console.file.getvalue()


def test_the_lines_of_a_training_show_names_as_they_are():
    console = Console(file=io.StringIO(), width=200)
    Progress(console).say(HOSTILE)
    assert console.file.getvalue() == f"{SHOWN}\n"


@pytest.mark.parametrize("kind", [pipeline.InputError, click.UsageError])
def test_errors_of_commands_show_names_as_they_are(kind):
    @click.command(cls=cli.Command)
    def command():
        raise kind(f"{HOSTILE} is no run folder.")

    result = CliRunner().invoke(command)
    assert result.exit_code == 2
    assert result.stderr == "Error: a\\x1b[31m [red]\\u202eb\\x9b\\xe9 is no run folder.\n"


def test_bad_files_are_told_and_listed_in_one_line_each(tmp_path):
    bad = [Bad(HOSTILE, "missing", location="list.csv line 2, column 1", near="b\x07")]
    explanation = r"missing; near is b\x07, in list.csv line 2, column 1"
    assert f"\n  {SHOWN}: {explanation}\n" in quarantine.bad_message(bad, StorageConfig())
    quarantine.write_quarantine(tmp_path / "quarantine.tsv", bad)
    text = (tmp_path / "quarantine.tsv").read_text(encoding="utf-8")
    assert text == f"filename\treason\n{SHOWN}\t{explanation}\n"
