"""A set of experiments as its report shows it: repeats gathered, and their curves."""

from __future__ import annotations

import dataclasses
import statistics
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sentiflow.pipeline import InputError

from ..training.history import HISTORY, EpochRow, read_history
from . import charts, results
from .rows import ResultRow


@dataclasses.dataclass(frozen=True)
class Group:
    """One experiment with all its repeats."""

    rows: list[ResultRow]
    histories: list[list[EpochRow]]  # of the runs whose folders are there
    links: list[tuple[str, str]]  # what a repeat is called, and where its own report is, relative

    @property
    def name(self) -> str:
        """What tells it from other experiments."""
        return self.rows[0].name

    @property
    def dataset(self) -> str:
        """Name and config."""
        return self.rows[0].dataset

    @property
    def protocol(self) -> str:
        """Which images were trained and tested on."""
        return self.rows[0].protocol

    @property
    def title(self) -> str:
        """Number and name, once if they are the same."""
        parts = [str(self.rows[0].experiment or ""), self.name]
        return " · ".join(dict.fromkeys(part for part in parts if part))

    @property
    def short(self) -> str:
        """The title where there is little room."""
        experiment = self.rows[0].experiment
        if isinstance(experiment, int):
            return f"Experiment\N{NO-BREAK SPACE}{experiment}"
        return self.title

    def mean(self, name: str) -> float:
        """Mean over the repeats of a figure, a field of `ResultRow`."""
        return statistics.fmean(getattr(row, name) for row in self.rows)

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the accuracy over the repeats (n - 1); None with fewer than two."""
        if len(self.rows) < 2:
            return None
        return statistics.stdev(row.accuracy for row in self.rows)

    @property
    def published(self) -> float | str | None:
        """The published accuracy as a share, or what was published in words."""
        value = self.rows[0].published
        return value / 100 if isinstance(value, (int, float)) and value > 1 else value

    @property
    def gap(self) -> float | None:
        """Training accuracy less held-out accuracy after the last epoch, mean over the repeats."""
        gaps = [history[-1].accuracy - history[-1].val_accuracy for history in self.histories]
        return statistics.fmean(gaps) if gaps else None


def compare(folder: Path) -> dict[str, Any]:
    """All that the template of a set needs.

    Raises:
        InputError: results.json is missing, damaged or empty.
    """
    path = folder / results.RESULTS
    try:
        rows = results.read_rows(path)
    except FileNotFoundError:
        raise InputError(
            f"{path} is missing. Name the --out folder of model.experiments."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not the result of model.experiments: {error!r}") from error
    if not rows:
        raise InputError(f"{path} has no rows. Run model.experiments first.")
    groups = gather(folder, rows)
    comparisons = ablations(groups)
    literature = results.published({row.dataset_name for row in rows})
    shown = {
        "result": True,
        "experiments": True,
        "curves": True,
        "ablations": comparisons,
        "published": literature,
    }
    return {
        "groups": groups,
        "runs": len(rows),
        "seconds": sum(row.seconds for row in rows),
        "best": [max(members, key=_accuracy) for members in alike(groups).values()],
        "curves": curves(groups),
        "ablations": comparisons,
        "literature": literature,
        "notes": results.notes(rows),
        "environments": sorted({_environment(row) for row in rows}),
        "sections": {name: name.capitalize() for name, there in shown.items() if there}
        | {"environment": "Environment"},
    }


def gather(folder: Path, rows: Sequence[ResultRow]) -> list[Group]:
    """Groups the rows in the order in which they first appear."""
    return [_group(folder, members) for members in results.gather(rows)]


def _group(folder: Path, rows: list[ResultRow]) -> Group:
    links = [
        (_repeat(row), urllib.parse.quote(f"{row.run}/report.html"))
        for row in rows
        if (folder / row.run / "report.html").is_file()
    ]
    histories = [
        read_history(folder / row.run) for row in rows if (folder / row.run / HISTORY).is_file()
    ]
    return Group(rows, histories, links)


def _repeat(row: ResultRow) -> str:
    """What a repeat is called."""
    seed = f"seed\N{NO-BREAK SPACE}{row.seed}"
    return seed if row.fold is None else f"fold\N{NO-BREAK SPACE}{row.fold} {seed}"


def alike(groups: Sequence[Group]) -> dict[str, list[Group]]:
    """Groups that can be compared, by the dataset and protocol that they share."""
    members: dict[str, list[Group]] = {}
    for group in groups:
        key = ", ".join(part for part in (group.dataset, group.protocol) if part)
        members.setdefault(key, []).append(group)
    return members


def _accuracy(group: Group) -> float:
    return group.mean("accuracy")


def curves(groups: Sequence[Group]) -> dict[str, list[tuple[Group, charts.Chart]]]:
    """Accuracy and loss of every group by epoch, with the same axes, a line for every repeat."""
    trained = [group for group in groups if group.histories]
    if not trained:
        return {}
    histories = [history for group in trained for history in group.histories]
    x = charts.epoch_axis(max(map(len, histories)), ticks=4)
    losses = [loss for rows in histories for row in rows for loss in (row.loss, row.val_loss)]
    axes = {
        "accuracy": (charts.value_axis(0.0, 1.0, text=charts.percent), "{:.1%}".format),
        "loss": (charts.value_axis(0.0, max(losses), text=charts.plain), "{:.4f}".format),
    }
    return {
        name: [
            (group, charts.by_epoch(group.short, _lines(group, name), x=x, y=y, text=text))
            for group in trained
        ]
        for name, (y, text) in axes.items()
    }


def _lines(group: Group, name: str) -> list[charts.Line]:
    pairs = (("training", "train", name), ("held out", "held-out", f"val_{name}"))
    return [
        charts.Line(title, role, [getattr(row, column) for row in history])
        for title, role, column in pairs
        for history in group.histories
    ]


def ablations(groups: Sequence[Group]) -> list[tuple[str, charts.Axis, list[Group]]]:
    """Comparable groups of different names: what they share, an axis for all, the groups."""
    return [
        (shared, _accuracy_axis(members), members)
        for shared, members in alike(groups).items()
        if len({member.name for member in members}) > 1
    ]


def _accuracy_axis(groups: Sequence[Group]) -> charts.Axis:
    ends = [
        _accuracy(group) + sign * (group.deviation or 0.0)
        for group in groups
        for sign in (-1.0, 1.0)
    ]
    ends += [group.published for group in groups if isinstance(group.published, float)]
    return charts.value_axis(max(min(ends), 0.0), min(max(ends), 1.0), text=charts.percent)


def _environment(row: ResultRow) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.environment.items())
