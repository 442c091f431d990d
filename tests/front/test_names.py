"""One installed name: what the wheel holds, and that no module is loaded under two names."""

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("builders", "pipeline", "model", "bench")


def test_the_wheel_holds_one_package_with_all_rooms(tmp_path):
    """Built from a copy of the sources: no leftovers of other builds get in."""
    files = [path for room in (*ROOMS, "sentiflow") for path in sorted((ROOT / room).rglob("*"))]
    files += [ROOT / name for name in ("setup.py", "setup.cfg", "pyproject.toml", "README.md")]
    files += [ROOT / "LICENSE"]
    names = "\n".join(str(path.relative_to(ROOT)) for path in files if path.suffix != ".pyc")
    copy = tmp_path / "copy"
    for name in names.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tmp_path))
    command = [sys.executable, "-m", "pip", "wheel", *options, str(copy)]
    subprocess.run(command, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    assert {name.partition("/")[0] for name in held} == {"sentiflow"}
    data = (".py", ".j2", ".css", ".csv", ".bib")
    ours = [name for name in names.splitlines() if name.endswith(data) and (ROOT / name).is_file()]
    expected = {f"sentiflow/{name}" for name in ours if name.partition("/")[0] in ROOMS}
    expected |= {name for name in ours if name.startswith("sentiflow/")}
    dummies = {name for name in expected if "/dummy_data/" in name}
    assert expected - dummies <= held
    assert not {name for name in held if name.startswith("sentiflow/tests")}


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_names_its_own_modules_relatively_and_others_absolutely(room):
    """Else `python -m bench.throughput` would load `bench.x` and `sentiflow.bench.x`.

    TFDS loads the folder of a dataset as a package of its own, such as `emotionroi`.
    """
    for path in (ROOT / room).rglob("*.py"):
        folder = path.relative_to(ROOT / room).parts[:-1]
        dataset = any(path.parent.glob("*_dataset_builder.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
                assert node.level <= (1 if dataset else len(folder) + 1), path
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                continue
            if isinstance(node, ast.Import) or node.level == 0:
                assert not {name.partition(".")[0] for name in names} & set(ROOMS), path
                absolute = [name for name in names if f"{name}.".startswith(f"sentiflow.{room}.")]
                assert dataset or not absolute, path


COMMANDS = {
    "builders": ("sample",),
    "pipeline": ("preview", "verify"),
    "model": ("train", "evaluate", "predict", "experiments", "report"),
    # Between them they load nearly every module of the room.
    "bench": ("training", "docs", "scaling", "report"),
}
LOADED = """
import runpy, sys
for module in sys.argv[1:]:
    sys.argv = [module, "--help"]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        assert not end.code, end.code
    print()
    print(module, *sys.modules)
"""


@pytest.mark.parametrize("room", COMMANDS)
def test_no_module_is_loaded_under_two_names(room):
    """One process runs all commands of a room, as `python -m` does."""
    modules = [f"{room}.{name}" for name in COMMANDS[room]]
    command = [sys.executable, "-c", LOADED, *modules]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    loaded = {line[0]: set(line[1:]) for line in lines if line and line[0] in modules}
    assert list(loaded) == modules
    for module, names in loaded.items():
        assert room in names
        assert {name for name in names if f"sentiflow.{name}" in names} == set(), module
