"""What several tests of the benchmark need: loaders of a worker, exported photographs, commands."""

import contextlib
import io
import runpy
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click.testing
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from sentiflow.bench import growth
from sentiflow.bench.harness import builds, inputs

LOADERS = """
import itertools
import numpy as np

def endless(task):
    for number in itertools.count():
        size = task.image_size
        images = np.full((task.batch_size, size, size, 3), number, np.float32)
        yield images, np.full(task.batch_size, number, np.int32)

def broken(task):
    raise ValueError("no such shard")
"""


@pytest.fixture
def loaders(tmp_path, monkeypatch):
    """A module of loaders, `loaders`, that this process and workers can import."""
    (tmp_path / "loaders.py").write_text(LOADERS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(tmp_path)


@pytest.fixture(scope="session")
def exported(data_dir, tmp_path_factory) -> Path:
    """The source files of the training images, in class folders."""
    folder = tmp_path_factory.mktemp("exported") / "photos"
    return inputs.export_photos("emotionroi", split="train", data_dir=data_dir, folder=folder)


@pytest.fixture
def in_this_process(monkeypatch):
    """Modules that the benchmark runs as processes of their own are run here, libraries loaded."""

    def run_module(module: str, *arguments: str, task: str = "") -> str:
        output = io.StringIO()
        with monkeypatch.context() as patch, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # runpy: the module is loaded already
            patch.setattr(sys, "argv", [module, *arguments])
            with contextlib.redirect_stdout(output):
                try:
                    runpy.run_module(module, run_name="__main__", alter_sys=True)
                except SystemExit as end:
                    if end.code:
                        raise
        return output.getvalue()

    for room in (builds, growth, inputs):
        monkeypatch.setattr(room, "run_module", run_module)


@pytest.fixture
def invoke() -> Callable[..., click.testing.Result]:
    """Runs a command with arguments of any type."""

    def invoke(command: click.Command, *arguments: Any) -> click.testing.Result:
        return click.testing.CliRunner().invoke(command, list(map(str, arguments)))

    return invoke


@pytest.fixture
def drawn_texts(tmp_path, monkeypatch) -> Callable[..., set[str]]:
    """(plot, rows) -> all texts in the picture that `plot` draws of the rows."""
    figures: list[Figure] = []
    savefig = Figure.savefig

    def keep(figure: Figure, *arguments: Any, **options: Any) -> None:
        figures.append(figure)
        savefig(figure, *arguments, **options)

    def drawn_texts(plot: Callable[..., None], rows: list[Any]) -> set[str]:
        monkeypatch.setattr(Figure, "savefig", keep)
        plot(rows, tmp_path / "drawn.png")
        return {text.get_text() for text in figures[-1].findobj(Text)}

    return drawn_texts
