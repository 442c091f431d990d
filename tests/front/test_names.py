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
        dataset = (path.parent / "dummy_data").exists()
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
                assert dataset or not any(f"{n}.".startswith(f"sentiflow.{room}.") for n in names)


COMMANDS = [
    "builders.sample",
    "pipeline.preview",
    "pipeline.verify",
    *(f"model.{name}" for name in ("train", "evaluate", "predict", "experiments", "report")),
    # Between them they load nearly every module of the room.
    *(f"bench.{name}" for name in ("training", "docs", "scaling", "report")),
]
LOADED = """
import runpy, sys
sys.argv = [sys.argv[1], "--help"]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
except SystemExit as end:
    assert not end.code, end.code
print()
print(*sys.modules)
"""


@pytest.mark.parametrize("module", COMMANDS)
def test_no_module_is_loaded_under_two_names(module):
    command = [sys.executable, "-c", LOADED, module]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    loaded = set(done.stdout.splitlines()[-1].split())
    assert f"{module.partition('.')[0]}" in loaded
    assert {name for name in loaded if f"sentiflow.{name}" in loaded} == set()
