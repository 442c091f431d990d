"""A set of experiments: which runs it has, and their making."""

from __future__ import annotations

import dataclasses
import re
import time
from pathlib import Path
from typing import Any

from rich.console import Console

from sentiflow import pipeline
from sentiflow.pipeline import InputError
from sentiflow.terminal import printable

from ..reports import page, results
from ..reports.rows import ResultRow, RunLabels
from ..settings import TrainSettings
from . import lockstep, recipe
from .groups import Job, epochs, groups, work
from .protocols import Experiment, Protocol, protocols
from .start import prepare


@dataclasses.dataclass(frozen=True)
class Planned:
    """A run of the set, and what it is there."""

    job: Job
    labels: RunLabels


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
    return [
        _plan_run(
            experiment,
            protocol,
            settings,
            dataclasses.replace(
                inputs, batch_size=experiment.batch_size, seed=seed, **protocol.choice
            ),
            out=out,
            variant=variant,
            changes=changes,
        )
        for experiment in experiments
        for protocol in protocols(experiment.dataset, config, settings.data_dir, folds=folds)
        for seed in range(inputs.seed, inputs.seed + seeds)
        for variant, changes in ({"": {}} if variants is None else variants).items()
    ]


def _plan_run(
    experiment: Experiment,
    protocol: Protocol,
    settings: TrainSettings,
    inputs: pipeline.Settings,
    *,
    out: Path,
    variant: str,
    changes: dict[str, Any],
) -> Planned:
    of_experiment = {"learning_rate": experiment.learning_rate, "epochs": experiment.epochs}
    preset = recipe.RECIPES[settings.recipe]
    fields: dict[str, Any] = {
        name: preset.get(name, value) for name, value in of_experiment.items()
    }
    fields |= {"dataset": protocol.dataset} | changes
    labels = RunLabels(
        experiment=f"{experiment.number} ablation" if variant else experiment.number,
        name=variant or experiment.name,
        protocol=protocol.name,
        published=None if variant else experiment.published,
    )
    folder = out / "runs" / _folder_name(experiment, protocol, variant, inputs.seed)
    record = prepare(dataclasses.replace(settings, **fields), inputs, out=folder)
    return Planned(Job(folder, record), labels)


def _folder_name(experiment: Experiment, protocol: Protocol, variant: str, seed: int) -> str:
    choices = [f"{name}{value}" for name, value in protocol.choice.items() if value is not None]
    parts = [str(experiment.number), variant, protocol.dataset, *choices]
    name = re.sub(r"[^a-z0-9.]+", "-", "-".join(part for part in parts if part).lower())
    return f"{name}-seed{seed}"


def perform(
    planned: list[Planned], *, out: Path, sequential: bool, console: Console
) -> list[ResultRow]:
    """Makes the runs, and writes results.json, table.md and the report; returns all rows.

    Raises:
        InputError: a run could not be trained to its end; the others were, and their rows are
            written.
    """
    labels = {run.job.out: run.labels for run in planned}
    order = [run.job.out.relative_to(out).as_posix() for run in planned]
    jobs = [run.job for run in planned]
    began = time.perf_counter()
    made: list[Job] = []

    def on_finished(job: Job) -> None:
        made.append(job)
        row = results.make_row(out, job.out, labels[job.out])
        results.merge(out, [row], order)
        console.out(f"[{len(made)}/{len(planned)}] {line(row)}", highlight=False)

    console.out(describe_work(jobs, sequential=sequential), highlight=False)
    failure = None
    try:
        lockstep.train_all(jobs, sequential=sequential, console=console, on_finished=on_finished)
    except InputError as error:
        failure = error
    rows = results.merge(out, [], order)
    if failure and not rows:
        raise failure
    page.write_set(out)
    _print(rows, console)
    files = f"{results.RESULTS}, {results.TABLE}, report.html, runs/"
    seconds = time.perf_counter() - began
    written = printable(f"{out}/ ({files})")
    console.out(f"{len(made)} runs in {seconds:.1f} s. Written: {written}", highlight=False)
    if failure:
        raise failure
    return rows


def _print(rows: list[ResultRow], console: Console) -> None:
    console.print(results.as_table(rows))
    for note in results.notes(rows):
        console.print(f"* {note}", highlight=False)


def describe_work(jobs: list[Job], *, sequential: bool) -> str:
    """What goes through the backbone, and what would without lockstep."""
    alone = [[job] for job in jobs]
    if sequential:
        return f"{len(jobs)} runs; through the backbone go {_count(alone)}"
    together = _count(groups(jobs))
    return f"{len(jobs)} runs; through the backbone go {together} instead of {_count(alone, '')}"


def _count(parts: list[list[Job]], unit: str = " epochs") -> str:
    """Epochs and images of groups that go through the backbone."""
    return f"{sum(map(epochs, parts)):,}{unit} ({sum(map(work, parts)):,} images)"


def line(row: ResultRow) -> str:
    """A finished run in one line."""
    fold = "" if row.fold is None else f", fold {row.fold}"
    published = f" (published {row.published:.0%})" if isinstance(row.published, float) else ""
    return (
        f"{row.experiment}: {row.name}; {row.dataset}, {row.protocol}{fold}, seed {row.seed}: "
        f"accuracy {row.accuracy:.4f} of {row.images} {row.split} images{published}"
    )
