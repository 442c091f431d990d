"""The same training by the reference system and by this software: `python -m bench.race`."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__, extra="bench")

import dataclasses
import json
import statistics
import tempfile
import time
from pathlib import Path

import click
import keras
from rich.console import Console

from sentiflow import cli, pipeline
from sentiflow.files import write_json
from sentiflow.model.settings import TrainSettings
from sentiflow.model.training import feed, outcome, start
from sentiflow.model.training.record import Record

from .contestants import CONTESTANTS
from .contestants.task import Task
from .harness import runner
from .harness.inputs import export_photos
from .harness.modules import run_module
from .harness.rows import BASELINE, provenance
from .harness.settings import Settings
from .show.race import OURS, REFERENCE, Finish, print_table
from .worker.clock import spread

# Of the input stage, what both are told.
INPUTS = ("batch_size", "seed")
OTHERS = tuple(
    field.name for field in dataclasses.fields(pipeline.Settings) if field.name not in INPUTS
)


@click.command(cls=cli.Command)
@cli.options(TrainSettings, exclude=("tensorboard", "recipe"))
@cli.options(pipeline.Settings, exclude=OTHERS)
@click.option(
    "--times",
    default=3,
    show_default=True,
    type=click.IntRange(1),
    help="Runs of each; the median counts.",
)
@click.option(
    "--json", "path", type=click.Path(dir_okay=False, path_type=Path), help="File for the rows."
)
def main(times: int, path: Path | None, **options: object) -> None:
    """Trains a network twice over: with the original generator and `fit`, and by `model.train`.

    By default experiment 1. Each is a fresh process, timed from its start to its end: imports, the
    building of the graph, compiling, training, evaluation. They take turns; leave the machine alone
    meanwhile.
    """
    settings = cli.build(TrainSettings, options)
    inputs = cli.build(pipeline.Settings, options)
    finishes = race(settings, inputs, times)
    print_table(finishes, Console())
    if path is not None:
        write_json(path, [dataclasses.asdict(finish) for finish in finishes])


def race(settings: TrainSettings, inputs: pipeline.Settings, times: int) -> list[Finish]:
    """Both trainings, so many times in turn.

    Raises:
        InputError: the dataset is not there, also as source files, or a training fails.
    """
    record = start.make_record(settings, inputs)
    feed.steps_per_epoch(record)
    seconds: dict[str, list[float]] = {REFERENCE: [], OURS: []}
    accuracy: dict[str, float] = {}
    with tempfile.TemporaryDirectory(prefix="bench-race-") as folder:
        photos = {
            split: _export(record, split, Path(folder))
            for split in ("train", record.held_out_split)
        }
        for number in range(times):
            for name, run in ((REFERENCE, run_reference), (OURS, run_ours)):
                out = Path(folder) / f"{name}-{number}"
                began = time.perf_counter()
                accuracy[name] = run(record, photos, out)
                seconds[name].append(time.perf_counter() - began)
    return [_finish(record, name, seconds[name], accuracy[name]) for name in seconds]


def _export(record: Record, split: str, folder: Path) -> Path:
    name = record.train.dataset.partition("/")[0]
    return export_photos(name, split=split, data_dir=record.train.data_dir, folder=folder / split)


def run_reference(record: Record, photos: dict[str, Path], out: Path) -> float:
    """The original generator, one worker, and `fit`; returns the held-out split's accuracy."""
    out.mkdir()
    arguments = {
        "task": dataclasses.asdict(make_task(record, photos["train"])),
        "train": dataclasses.asdict(record.train),
        "held_out": str(photos[record.held_out_split]),
        "out": str(out),
    }
    output = run_module(
        "sentiflow.bench.ours.reference", json.dumps(arguments), task="the reference training"
    )
    return float(json.loads(output.splitlines()[-1])["accuracy"])


def make_task(record: Record, photos: Path) -> Task:
    """What the generator has to do."""
    name = record.train.dataset.partition("/")[0]
    images = record.dataset.splits["train"]
    settings = Settings(
        dataset=name,
        data_dir=record.train.data_dir,
        batch_size=record.inputs.batch_size,
        seed=record.inputs.seed,
    )
    return runner.make_task(
        CONTESTANTS[BASELINE],
        settings,
        work="augmented",
        data_dir=record.train.data_dir,
        photos=str(photos),
        images=images,
    )


def run_ours(record: Record, photos: dict[str, Path], out: Path) -> float:
    """`model.train`, with all that it writes; returns the held-out split's accuracy."""
    options = [f"--{name}={value}" for name, value in _given(record.train)]
    options += [f"--{name}={getattr(record.inputs, name)}" for name in INPUTS]
    run_module("sentiflow.model.train", *options, "--out", str(out), task="model.train")
    return outcome.read_outcome(out).figures.accuracy


def _given(settings: TrainSettings) -> list[tuple[str, object]]:
    """The options that differ from their defaults."""
    given: list[tuple[str, object]] = []
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if value != field.default:
            values = value if isinstance(value, tuple) else (value,)
            given += [(field.name, one) for one in values]
    return given


def _finish(record: Record, name: str, seconds: list[float], accuracy: float) -> Finish:
    facts = provenance()
    return Finish(
        name=name,
        seconds=statistics.median(seconds),
        spread=spread(seconds),
        runs=len(seconds),
        accuracy=accuracy,
        dataset=record.train.dataset.partition("/")[0],
        images=record.dataset.splits["train"],
        held_out=record.dataset.splits[record.held_out_split],
        backbone=" ".join((record.train.backbone, *record.train.backbone_options)),
        epochs=record.train.epochs,
        backend=keras.backend.backend(),
        device=record.environment.device,
        **facts,
    )


if __name__ == "__main__":
    main()
