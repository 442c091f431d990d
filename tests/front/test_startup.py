"""Importing Sentiflow changes nothing of the process; commands prepare it by name."""

import ast
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from sentiflow import model, pipeline, startup

ROOT = Path(__file__).parents[2]
ROOMS = ("sentiflow", "builders", "pipeline", "model", "bench")
LIBRARIES = (
    "keras tensorflow tensorflow_datasets PIL.ImageFile matplotlib.figure sklearn scipy.stats"
)
IMPORT_EVERYTHING = """
import ctypes, importlib, logging, os, sys, warnings

libraries, modules = (text.split() for text in sys.argv[1:])
for name in libraries:
    importlib.import_module(name)
import tensorflow as tf
import tensorflow_datasets as tfds
from PIL import ImageFile

tf.train.Example, tfds.core.GeneratorBasedBuilder  # loaded when they are first used


def state():
    loggers = [logging.getLogger(name) for name in (None, "absl", "tensorflow", "jax", "PIL")]
    return {
        "environment": dict(os.environ),
        "excepthook": sys.excepthook,
        "standard streams": [os.readlink(f"/proc/self/fd/{n}") for n in (0, 1, 2)],
        "Pillow's buffer": ImageFile.MAXBLOCK,
        "levels": [logger.level for logger in loggers],
        "handlers": [list(logger.handlers) for logger in loggers],
        "filters": list(warnings.filters),
    }


acts = []


def watch(owner, name):
    act = getattr(owner, name)
    setattr(owner, name, lambda *values: acts.append((name, values)) or act(*values))


watch(os, "dup2")
watch(tf.config, "set_visible_devices")
look_up = ctypes.CDLL.__getattr__
ctypes.CDLL.__getattr__ = lambda lib, name: acts.append(name) or look_up(lib, name)
before = state()
for name in modules:
    importlib.import_module(name)
after = state()
assert "mallopt" not in acts and not [act for act in acts if isinstance(act, tuple)], acts
for key, value in before.items():
    assert after[key] == value, (key, value, after[key])
from sentiflow import startup
startup.keep_freed_memory()
assert not sys.platform.startswith("linux") or "mallopt" in acts
"""


def module_names():
    """All modules but those that begin to work when they are imported, or need an accelerator."""
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            parts = path.relative_to(ROOT).with_suffix("").parts
            name = ".".join(parts if room == "sentiflow" else ("sentiflow", *parts))
            if not name.startswith("sentiflow.bench.gpu."):
                yield name.removesuffix(".__init__")


def python(program, *arguments, **environment):
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | environment,
    )


@pytest.mark.skipif(sys.platform != "linux", reason="descriptors are looked up in /proc")
def test_importing_everything_changes_nothing_of_the_process():
    done = python(IMPORT_EVERYTHING, LIBRARIES, " ".join(module_names()))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("face", ["pipeline", "model", "builders", "bench"])
def test_faces_load_no_large_library(face):
    program = f"import sys; from sentiflow import {face}; print(*sys.modules)"
    loaded = set(python(program).stdout.split())
    assert f"sentiflow.{face}" in loaded
    assert not loaded & {"numpy", "keras", "tensorflow", "tensorflow_datasets", "jax", "PIL"}


@pytest.mark.parametrize("face", [pipeline, model])
def test_a_face_shows_what_its_type_checker_sees(face):
    tree = ast.parse(Path(face.__file__).read_text(encoding="utf-8"))
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.level]
    origins = {alias.name: node.module for node in imports for alias in node.names}
    assert sorted(origins) == sorted(face.__all__)
    for name, module in origins.items():
        shown = getattr(face, name)
        assert shown is getattr(sys.modules[f"{face.__name__}.{module}"], name)
        assert not (ROOT / face.__name__.partition(".")[2] / f"{name}.py").exists()
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        face.nothing  # noqa: B018


def test_a_jax_backend_is_loaded_before_tensorflow():
    """TensorFlow's symbols are global, and JAX's must be found first."""
    program = "import sys; from sentiflow.pipeline import load; print(*sys.modules)"
    done = python(program, KERAS_BACKEND="jax")
    loaded = done.stdout.split()
    assert done.returncode == 0, done.stderr
    assert loaded.index("jaxlib") < loaded.index("tensorflow")


def test_compiled_programs_are_kept_in_the_users_cache_unless_told_otherwise(monkeypatch, tmp_path):
    name = "JAX_COMPILATION_CACHE_DIR"
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_ENABLE_XLA_CACHES", "")  # so that it is as it was
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv(name, "mine")
    startup.keep_compiled_programs()
    assert os.environ[name] == "mine"
    monkeypatch.delenv(name)
    startup.keep_compiled_programs()
    kept = Path(os.environ[name])
    assert (kept.parent, kept.name[:9]) == (tmp_path / "cache" / "sentiflow", "compiled-")
    assert not kept.exists()  # whoever does not compile leaves nothing there
    monkeypatch.delenv(name)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    startup.keep_compiled_programs()
    assert name not in os.environ


def test_modules_that_import_tensorflow_import_keras_before():
    for room in ("pipeline", "model"):
        for path in (ROOT / room).rglob("*.py"):
            body = ast.parse(path.read_text(encoding="utf-8")).body
            imports = [node.names[0].name for node in body if isinstance(node, ast.Import)]
            if "tensorflow" in imports:
                assert "keras" in imports[: imports.index("tensorflow")], path


def test_only_the_module_that_is_run_prepares_the_process(monkeypatch):
    prepared = []
    monkeypatch.setattr(startup, "prepare", lambda extra: prepared.append(extra))
    monkeypatch.setattr(startup, "stop_at_once", lambda: None)
    startup.command("sentiflow.model.train")
    startup.command("__mp_main__")
    assert prepared == []
    startup.command("__main__", extra="bench")
    assert prepared == ["bench"]


def test_without_the_libraries_a_command_ends_in_one_line(monkeypatch, capsys):
    def fail(extra):
        raise ModuleNotFoundError("No module named 'keras'", name="keras")

    monkeypatch.setattr(startup, "prepare", fail)
    monkeypatch.setattr(startup, "stop_at_once", lambda: None)
    with pytest.raises(SystemExit) as end:
        startup.command("__main__")
    assert end.value.code == 2
    line = "Error: keras must be installed for this: make setup, or pip install .\n"
    assert capsys.readouterr().err == line


INTERRUPTED = """
import os, signal, sys
from sentiflow import startup

def interrupt(*_, **__):
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        print("lost", flush=True)

if sys.argv[1] == "ignored":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
startup.load_quietly = interrupt if sys.argv[1] != "quiet" else startup.load_quietly
if sys.argv[1] == "quiet":
    sys.meta_path.insert(0, type("Finder", (), {"find_spec": interrupt}))
startup.leave_libraries_to_the_end = startup.leave_accelerator_to_jax = lambda: None
startup.command("__main__")
"""


@pytest.mark.parametrize(
    ("when", "status", "said", "printed"),
    [("loading", 130, "Stopped.\n", ""), ("quiet", 130, "Stopped.\n", ""), ("ignored", 0, "", "")],
)
def test_an_interruption_while_libraries_load_is_a_line(when, status, said, printed):
    done = python(INTERRUPTED, when)
    assert (done.returncode, done.stderr, done.stdout) == (status, said, printed)


TOLD = """
from sentiflow import startup
startup.stop_at_once()
startup.stop_in_order()
import gc, signal, time
try:
    signal.raise_signal(signal.SIGINT)
except KeyboardInterrupt:
    print("told 1")

def collecting(phase, info):
    if phase == "stop":
        signal.raise_signal(signal.SIGINT)  # Python would print it, and go on

gc.callbacks.append(collecting)
try:
    gc.collect()
    time.sleep(5)
    print("never")
except KeyboardInterrupt:
    print("told 2")
    gc.callbacks.remove(collecting)
"""


LOST = """
import signal, sys, time
import click
from sentiflow import cli, startup

@click.command(cls=cli.OneLineErrors)
def main():
    try:
        signal.raise_signal(signal.SIGINT)
    except KeyboardInterrupt:
        if sys.argv[1] == "changed":
            raise ValueError("another error of it")
    time.sleep(20)

startup.stop_at_once()
main([])
"""


@pytest.mark.parametrize("becomes", ["changed", "dropped"])
def test_an_interruption_that_a_library_takes_for_its_own_ends_the_command(becomes):
    began = time.monotonic()
    done = python(LOST, becomes)
    assert (done.returncode, done.stderr.strip()) == (130, "Stopped.")
    assert time.monotonic() - began < 10


def test_an_interruption_of_a_command_is_an_exception_again():
    done = python(TOLD)
    assert (done.returncode, done.stdout, done.stderr) == (0, "told 1\ntold 2\n", "")


def test_tensorflow_loads_quietly_and_standard_error_comes_back():
    program = (
        "import os, sys; from sentiflow import startup; startup.prepare(); os.write(2, b'heard'); "
        "import logging; logging.getLogger('absl').warning('not heard'); "
        "print('tensorflow' in sys.modules, os.environ['TF_CPP_MIN_LOG_LEVEL'], end=' '); "
        "import gc; print(gc.get_freeze_count() > 2 * len(gc.get_objects()))"
    )
    user = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=user,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("True 3 True\n", "heard")


OPEN_TWICE = """
import keras
import tensorflow as tf
from sentiflow import pipeline, startup

calls = []


def refuse(*devices):
    calls.append(devices)
    raise RuntimeError("devices are initialised")


tf.config.set_visible_devices = refuse
for backend in ("tensorflow", "jax", "jax"):
    if keras.backend.backend() != backend:
        startup.leave_accelerator_to_jax.cache_clear()
        keras.backend.backend = lambda: backend
    try:
        pipeline.load("emotionroi/raw256", split="train", data_dir="missing")
    except pipeline.InputError:
        print(backend, calls)
"""


def test_opening_a_dataset_keeps_tensorflow_off_the_gpu_of_jax():
    done = python(OPEN_TWICE, KERAS_BACKEND="tensorflow")
    once = "jax [([], 'GPU')]"
    assert done.stdout.splitlines() == ["tensorflow []", once, once], done.stderr
