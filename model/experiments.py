"""`python -m model.experiments --out DIR`: the reference system's nine experiments, or an ablation, as a set of runs.

OUT/runs/NAME/ are run folders as `model.train` writes them; OUT/results.json has a row for each,
OUT/table.md is the table, OUT/report.html the report. The same command goes on where it was
stopped.
"""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

import dataclasses
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import click
from click.core import ParameterSource
from rich.console import Console

from sentiflow import cli, pipeline
from sentiflow.pipeline import InputError

from . import lockstep, recipe, report, results, train
from .settings import TrainSettings

FOLDS = 5
AGREEMENTS: tuple[Literal[5, 4, 3], ...] = (5, 4, 3)


@dataclasses.dataclass(frozen=True)
class Experiment:
    """One of the reference system's, and the accuracy that was published of it."""

    number: int
    dataset: str
    batch_size: int
    learning_rate: float
    epochs: int
    published: float | None = None

    @property
    def name(self) -> str:
        """What is special about it."""
        return (
            f"batch {self.batch_size}, learning rate {self.learning_rate:g}, {self.epochs} epochs"
        )


EXPERIMENTS = (
    Experiment(1, "emotionroi", 32, 0.001, 20, 0.54),
    Experiment(2, "emotionroi", 64, 0.001, 20),
    Experiment(3, "emotionroi", 16, 0.001, 20),
    Experiment(4, "emotionroi", 32, 0.001, 40),
    Experiment(5, "emotionroi", 32, 0.0001, 20),
    Experiment(6, "emotionroi", 32, 0.0001, 60),
    Experiment(7, "twitter1", 32, 0.0001, 20),
    Experiment(8, "twitter1", 32, 0.0001, 40, 0.81),
    Experiment(9, "twitter1", 32, 0.001, 60),
)


@dataclasses.dataclass(frozen=True)
class Protocol:
    """Which images are trained and tested on."""

    name: str
    dataset: str  # TFDS dataset / config
    choice: dict[str, Any] = dataclasses.field(default_factory=dict)  # fields of pipeline.Settings


def protocols(dataset: str, config: str, data_dir: str, *, folds: bool) -> list[Protocol]:
    """The ways in which a dataset can be divided, as it was prepared.

    Args:
        dataset: emotionroi, twitter1, or another.
        config: storage, such as raw256; `CONFIG_official`, `CONFIG_folders` and `CONFIG_stratified`
            are taken as well.
        data_dir: the folder given to `tfds build --data_dir`.
        folds: Twitter I: also 5-fold cross-validation at each agreement level that was built.

    Raises:
        InputError: none was prepared.
    """
    found, missing = [], []
    for name in (config, *(f"{config}_{split}" for split in ("official", "folders", "stratified"))):
        try:
            splits = pipeline.open(f"{dataset}/{name}", data_dir=data_dir).describe().splits
        except InputError as error:
            missing.append(error)
            continue
        official = "official" if dataset == "emotionroi" else "as prepared"
        divided = "80/15/5" if dataset == "emotionroi" else "as prepared"
        found.append(
            Protocol(divided if splits.get("validation") else official, f"{dataset}/{name}")
        )
    if not found:
        raise missing[0]
    if dataset != "twitter1":
        return found
    return [
        each for protocol in found for each in _of_twitter(protocol.dataset, data_dir, folds=folds)
    ]


def _of_twitter(dataset: str, data_dir: str, *, folds: bool) -> Iterator[Protocol]:
    yield Protocol("first 20 %, agreement 5", dataset, {"agreement": 5, "fold": None})
    for agreement in AGREEMENTS if folds else ():
        try:
            pipeline.open(dataset, data_dir=data_dir).describe(
                pipeline.Settings(agreement=agreement)
            )
        except InputError:  # it was built without the list
            continue
        for fold in range(FOLDS):
            yield Protocol(
                f"{FOLDS}-fold, agreement {agreement}",
                dataset,
                {"agreement": agreement, "fold": fold},
            )


@dataclasses.dataclass(frozen=True)
class Planned:
    """A run of the set, and what it is there."""

    job: lockstep.Job
    labels: dict[str, Any]


def plan(
    experiments: list[Experiment],
    settings: TrainSettings,
    inputs: pipeline.Settings,
    *,
    out: Path,
    config: str,
    seeds: int,
    folds: bool,
    variants: dict[str, dict[str, Any]] | None = None,
) -> list[Planned]:
    """All runs of a set.

    Args:
        experiments: which.
        settings: what they have in common.
        inputs: likewise; its seed is the first.
        out: folder of the set.
        config: see `protocols`.
        seeds: number of repeats.
        folds: see `protocols`.
        variants: by name, the settings to change; each is a run in the experiment's stead.

    Raises:
        InputError: a dataset or a setting does not allow it, or a folder holds a run of other
            settings.
    """
    planned = []
    for experiment in experiments:
        for protocol in protocols(experiment.dataset, config, settings.data_dir, folds=folds):
            for seed in range(inputs.seed, inputs.seed + seeds):
                chosen = dataclasses.replace(
                    inputs, batch_size=experiment.batch_size, seed=seed, **protocol.choice
                )
                for name, changes in ({"": {}} if variants is None else variants).items():
                    planned.append(
                        _planned(experiment, protocol, settings, chosen, out, name, changes)
                    )
    return planned


def _planned(
    experiment: Experiment,
    protocol: Protocol,
    settings: TrainSettings,
    inputs: pipeline.Settings,
    out: Path,
    variant: str,
    changes: dict[str, Any],
) -> Planned:
    fields: dict[str, Any] = {
        "learning_rate": experiment.learning_rate,
        "epochs": experiment.epochs,
    }
    fields |= {
        name: value for name, value in recipe.RECIPES[settings.recipe].items() if name in fields
    }
    fields |= {"dataset": protocol.dataset} | changes
    parts = [
        str(experiment.number),
        variant,
        protocol.dataset,
        *(f"{k}{v}" for k, v in protocol.choice.items() if v is not None),
    ]
    name = re.sub(r"[^a-z0-9.]+", "-", "-".join([part for part in parts if part]).lower())
    folder = out / "runs" / f"{name}-seed{inputs.seed}"
    labels = {
        "experiment": f"{experiment.number} ablation" if variant else experiment.number,
        "name": variant or experiment.name,
        "protocol": protocol.name,
        "published": None if variant else experiment.published,
    }
    record = train.prepare(dataclasses.replace(settings, **fields), inputs, out=folder)
    return Planned(lockstep.Job(folder, record), labels)


def perform(
    planned: list[Planned], *, out: Path, sequential: bool, console: Console
) -> list[dict[str, Any]]:
    """Makes the runs, and writes results.json, table.md and the report; returns all rows.

    Raises:
        InputError: a run could not be trained to its end; the others were, and their rows are
            written.
    """
    labels = {each.job.out: each.labels for each in planned}
    order = [each.job.out.relative_to(out).as_posix() for each in planned]
    began, done = time.perf_counter(), 0

    def on_finished(job: lockstep.Job) -> None:
        nonlocal done
        done += 1
        row = results.make_row(out, job.out, labels[job.out])
        results.merge(out, [row], order)
        console.out(f"[{done}/{len(planned)}] {line(row)}", highlight=False)

    jobs = [each.job for each in planned]
    console.out(describe_work(jobs, sequential=sequential), highlight=False)
    failure = None
    try:
        lockstep.train_all(jobs, sequential=sequential, console=console, on_finished=on_finished)
    except InputError as error:
        failure = error
    rows = results.merge(out, [], order)
    if rows:
        report.write_set(out)
    console.print(results.as_table(rows))
    for note in results.notes(rows):
        console.print(f"* {note}", highlight=False)
    console.out(
        f"{done} runs in {time.perf_counter() - began:.1f} s. Written: {out}/ ({results.RESULTS}, "
        f"{results.TABLE}, report.html, runs/)",
        highlight=False,
    )
    if failure:
        raise failure
    return rows


def describe_work(jobs: list[lockstep.Job], *, sequential: bool) -> str:
    """What goes through the backbone, and what would without lockstep."""
    alone = [[job] for job in jobs]
    parts = alone if sequential else lockstep.groups(jobs)
    epochs, images = (
        [f"{sum(count(group) for group in groups):,}" for groups in (parts, alone)]
        for count in (lockstep.epochs, lockstep.work)
    )
    instead = "" if sequential else f" instead of {epochs[1]} ({images[1]} images)"
    return f"{len(jobs)} runs; through the backbone go {epochs[0]} epochs ({images[0]} images){instead}"


def line(row: dict[str, Any]) -> str:
    """A finished run in one line."""
    fold = "" if row["fold"] is None else f", fold {row['fold']}"
    published = "" if row["published"] is None else f" (published {row['published']:.0%})"
    return (
        f"{row['experiment']}: {row['name']}; {row['dataset']}, {row['protocol']}{fold}, seed {row['seed']}: "
        f"accuracy {row['accuracy']:.4f} of {row['images']} {row['split']} images{published}"
    )


def choose(only: str) -> list[Experiment]:
    """The experiments that a comma-separated list of numbers names.

    Raises:
        InputError: there is no such number.
    """
    known = {str(experiment.number): experiment for experiment in EXPERIMENTS}
    numbers = [number.strip() for number in only.split(",")]
    wrong = [number for number in numbers if number not in known]
    if wrong:
        raise InputError(
            f"only must be numbers of {', '.join(known)}, such as 1,8. Received: {only}"
        )
    return [known[number] for number in dict.fromkeys(numbers)]


def available(config: str, data_dir: str, console: Console) -> list[Experiment]:
    """The experiments whose dataset is prepared; says how to prepare the others.

    Raises:
        InputError: none is.
    """
    errors = {}
    for dataset in dict.fromkeys(experiment.dataset for experiment in EXPERIMENTS):
        try:
            protocols(dataset, config, data_dir, folds=False)
        except InputError as error:
            errors[dataset] = error
    left_out = [
        str(experiment.number) for experiment in EXPERIMENTS if experiment.dataset in errors
    ]
    if len(left_out) == len(EXPERIMENTS):
        raise InputError(" ".join(map(str, errors.values())))
    if left_out:
        console.out(
            f"Left out: {', '.join(left_out)}. {' '.join(map(str, errors.values()))}",
            highlight=False,
        )
    return [experiment for experiment in EXPERIMENTS if experiment.dataset not in errors]


@click.command(cls=cli.Command)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder the set is written to.",
)
@click.option(
    "--only", help="Numbers of experiments, such as 1,8.  [default: all; with --ablation, 1]"
)
@click.option(
    "--config",
    default="raw256",
    help="Storage config of the datasets; every division of it is used.",
)
@click.option(
    "--seeds", type=click.IntRange(1), default=1, help="Repeats; the first has the seed --seed."
)
@click.option(
    "--folds",
    is_flag=True,
    help="Twitter I: 5-fold cross-validation at each agreement level as well.",
)
@click.option(
    "--ablation", is_flag=True, help="Variations of the recipe in the experiment's stead."
)
@click.option(
    "--sequential", is_flag=True, help="One run after the other, each with a backbone of its own."
)
@cli.options(TrainSettings, exclude=("dataset", "learning_rate", "epochs"))
@cli.options(pipeline.Settings, exclude=("preprocess", "batch_size", "agreement", "fold"))
@click.pass_context
def main(
    context: click.Context,
    out: Path,
    only: str | None,
    config: str,
    seeds: int,
    folds: bool,
    ablation: bool,
    sequential: bool,
    **options: Any,
) -> None:
    """The nine experiments of the reference system, their results beside the published ones.

    Runs that share a frozen backbone are trained in one pass. The same command goes on after an
    interruption.
    """
    console = Console()
    given = {
        name
        for name in options
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE
    }
    options = recipe.fill_in(options, given)
    settings, inputs = cli.build(TrainSettings, options), cli.build(pipeline.Settings, options)
    if ablation:
        only = only or "1"
    chosen = choose(only) if only else available(config, settings.data_dir, console)
    variants = recipe.ABLATION if ablation else None
    planned = plan(
        chosen,
        settings,
        inputs,
        out=out,
        config=config,
        seeds=seeds,
        folds=folds,
        variants=variants,
    )
    perform(planned, out=out, sequential=sequential, console=console)


if __name__ == "__main__":
    main()
