"""`sentiflow COMMAND`: the list of commands, and that each is the command of its module."""

import ast
import configparser
import importlib.util
import logging
import subprocess
import sys
import types
from pathlib import Path

import pytest
from click.testing import CliRunner

from sentiflow import __main__ as door
from sentiflow import doctor, extras, startup

ROOT = Path(__file__).parents[2]
LISTED = [*door.DATA, *door.TRAINING, door.DOCTOR]
BENCH = [*door.LOADERS, *door.BUILDS, *door.PAGES]
HEAVY = {"numpy", "keras", "tensorflow", "tensorflow_datasets", "jax", "PIL", "rich", "psutil"}


@pytest.fixture
def prepared(monkeypatch):
    """The extras with which a process was prepared, which this one need not be."""
    calls = []
    monkeypatch.setattr(startup, "prepare", lambda extra=None: calls.append(extra))
    return calls


def run(*arguments):
    return CliRunner().invoke(door.main, arguments)


@pytest.mark.parametrize("arguments", [("--help",), ("bench", "--help"), ("completion", "bash")])
def test_the_lists_load_no_large_library(arguments):
    program = (
        "import sys; from sentiflow.__main__ import main; "
        "main(standalone_mode=False); print(*sys.modules)"
    )
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert not set(done.stdout.splitlines()[-1].split()) & HEAVY


def test_every_command_is_listed_with_one_line():
    for arguments, entries in ((("--help",), LISTED), (("bench", "--help"), BENCH)):
        lines = [" ".join(line.split()) for line in run(*arguments).output.splitlines()]
        assert {f"{entry.name} {entry.help}" for entry in entries} <= set(lines)


@pytest.mark.parametrize("entry", [*LISTED, *BENCH], ids=lambda entry: entry.module)
def test_every_command_is_in_its_module(entry):
    name = f"sentiflow.{entry.module}"
    spec = importlib.util.find_spec(name)
    if spec.submodule_search_locations:
        spec = importlib.util.find_spec(f"{name}.__main__")
    tree = ast.parse(Path(spec.origin).read_text(encoding="utf-8"))
    assert "main" in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def test_every_bench_command_of_the_checkout_is_listed():
    files = {path.stem for path in (ROOT / "bench").glob("*.py")} - {"__init__"}
    folders = {path.parent.name for path in (ROOT / "bench").glob("*/__main__.py")}
    # The one is run by a script on a machine of its own, the other by the benchmarks.
    folders -= {"gpu", "worker"}
    assert files | folders == {entry.name for entry in BENCH}


def test_without_a_command_the_list_is_shown():
    result = run()
    assert result.exit_code == 2
    assert "train" in result.stderr
    assert run("nothing").stderr == "Error: No such command 'nothing'.\n"


def test_a_command_has_the_options_of_its_module(prepared):
    from sentiflow.model import evaluate

    expected = CliRunner().invoke(evaluate.main, ["--help"], prog_name="sentiflow evaluate")
    result = CliRunner().invoke(door.main, ["evaluate", "--help"], prog_name="sentiflow")
    assert result.output == expected.output
    assert (result.exit_code, prepared) == (0, [None])


def test_a_command_has_the_exit_status_of_its_module(prepared, tmp_path):
    for arguments in (("--run", str(tmp_path)), ("--unknown",)):
        result = run("evaluate", *arguments)
        assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
        assert result.stderr.startswith("Error: ")
    assert run("report", "--run", str(tmp_path)).exit_code == 2


def test_a_command_that_needs_no_tensorflow_is_not_prepared(prepared):
    assert run("bench", "report", "--help").exit_code == 0
    assert prepared == []


def test_a_missing_extra_is_one_line(monkeypatch):
    monkeypatch.setitem(extras.MODULES, "bench", ("not_there",))
    result = run("bench", "throughput", "--help")
    assert result.exit_code == 2
    assert result.stderr == "Error: not_there must be installed for this: pip install '.[bench]'\n"


def test_extras_are_those_of_the_installation():
    config = configparser.ConfigParser(interpolation=None)
    config.read(ROOT / "setup.cfg")
    required = {
        extra: [line for line in text.splitlines() if line and not line.startswith("#")]
        for extra, text in config["options.extras_require"].items()
    }
    assert set(required) == {*extras.MODULES, "dev"}
    for extra, modules in extras.MODULES.items():
        packages = {
            line.partition("=")[0].rstrip("><").replace("-", "_") for line in required[extra]
        }
        assert packages == set(modules)
        assert set(required[extra]) <= set(required["dev"])
        assert extras.missing(extra) == []


@pytest.mark.parametrize("shell", door.SHELLS)
def test_completion_prints_a_script(shell):
    result = run("completion", shell)
    assert result.exit_code == 0
    assert f"_SENTIFLOW_COMPLETE={shell}_complete" in result.output


def test_commands_are_completed_without_being_loaded(monkeypatch, prepared):
    words = {"COMP_WORDS": "sentiflow e", "COMP_CWORD": "1"}
    variables = {"_SENTIFLOW_COMPLETE": "bash_complete", **words}
    result = CliRunner().invoke(door.main, [], env=variables, prog_name="sentiflow")
    assert result.output.split() == ["plain,evaluate", "plain,experiments"]
    assert prepared == []


def test_build_runs_tfds_on_the_folder_of_a_name(monkeypatch, tmp_path):
    commands = []

    def launch():
        commands.append(sys.argv)
        raise SystemExit(3)

    tfds = types.SimpleNamespace(launch_cli=launch)
    monkeypatch.setitem(sys.modules, "tensorflow_datasets.scripts.cli.main", tfds)
    monkeypatch.setattr(startup, "load_quietly", lambda: None)
    monkeypatch.setattr(logging, "disable", lambda level: None)
    monkeypatch.setattr(sys, "argv", [])
    (tmp_path / "mine_dataset_builder.py").touch()
    folder = str(ROOT / "builders" / "twitter1")
    for dataset, path in (("twitter1", folder), (folder, folder), (str(tmp_path), str(tmp_path))):
        options = ("--data_dir", "d", "--help")
        assert run("build", dataset, *options).exit_code == 3
        assert commands.pop() == ["tfds", "build", path, *options]
    result = run("build", "nothing")
    assert (result.exit_code, commands) == (2, [])
    assert "emotionroi, photo_folder, twitter1" in result.stderr


def test_doctor_says_what_is_missing_and_how_to_get_it(monkeypatch, prepared):
    monkeypatch.setitem(extras.MODULES, "hub", ("not_there",))
    monkeypatch.setenv("COLUMNS", "120")
    result = run("doctor")
    assert result.exit_code == 0
    assert "not_there missing: pip install '.[hub]'" in result.output
    assert "CPU" in result.output.upper()
    assert "peer ffcv" in result.output


def test_doctor_goes_on_where_tensorflow_cannot_be_loaded(monkeypatch):
    def fail():
        raise ImportError("libcudart\nis missing")

    monkeypatch.setattr(startup, "prepare", fail)
    assert list(doctor.devices()) == [("devices", "cannot be loaded: libcudart is missing")]
