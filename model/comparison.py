"""A set of experiments as the report shows it: rows of results.json gathered over their seeds, and their curves."""

from __future__ import annotations

import dataclasses
import json
import statistics
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sentiflow.pipeline import InputError

from . import charts, results, run


@dataclasses.dataclass(frozen=True)
class Group:
    """One experiment with all its repeats."""

    rows: list[dict[str, Any]]
    histories: list[list[run.Row]]  # of the runs whose folders are there
    links: list[tuple[str, str]]  # what a repeat is called, and where its own report is, relative

    def __getitem__(self, name: str) -> Any:
        """A value that all rows share, from the first; None if they do not tell."""
        return self.rows[0].get(name)

    @property
    def title(self) -> str:
        """Number and name, once if they are the same."""
        parts = [str(self[name]) for name in ("experiment", "name") if self[name] not in (None, "")]
        return " · ".join(dict.fromkeys(parts))

    @property
    def short(self) -> str:
        """The title where there is little room."""
        return (
            f"Experiment\N{NO-BREAK SPACE}{self['experiment']}"
            if isinstance(self["experiment"], int)
            else self.title
        )

    def mean(self, name: str) -> float | None:
        """Mean over the repeats; None where no row has the value."""
        values = [row[name] for row in self.rows if row.get(name) is not None]
        return statistics.fmean(values) if values else None

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the accuracy over the repeats (n - 1); None with fewer than two."""
        return (
            statistics.stdev(row["accuracy"] for row in self.rows) if len(self.rows) > 1 else None
        )

    @property
    def published(self) -> float | str | None:
        """The published accuracy as a share, or what was published in words."""
        value = self["published"]
        return value / 100 if isinstance(value, (int, float)) and value > 1 else value

    @property
    def gap(self) -> float | None:
        """Training accuracy less held-out accuracy after the last epoch, mean over the repeats."""
        gaps = [history[-1]["accuracy"] - history[-1]["val_accuracy"] for history in self.histories]
        return statistics.fmean(gaps) if gaps else None


def compare(folder: Path) -> dict[str, Any]:
    """All that the template of a set needs.

    Raises:
        InputError: results.json is missing, damaged or empty.
    """
    path = folder / results.RESULTS
    try:
        rows = json.loads(path.read_text())
        groups, notes = gather(folder, rows), results.notes(rows)
    except FileNotFoundError:
        raise InputError(
            f"{path} is missing. Name the --out folder of model.experiments."
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path} is not the result of model.experiments: {error!r}") from error
    if not groups:
        raise InputError(f"{path} has no rows. Run model.experiments first.")
    comparisons = ablations(groups)
    literature = results.published({str(row["dataset"]).partition("/")[0] for row in rows})
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
        "seconds": sum(row.get("seconds") or 0.0 for row in rows),
        "best": [max(members, key=_accuracy) for members in alike(groups).values()],
        "curves": curves(groups),
        "ablations": comparisons,
        "literature": literature,
        "notes": notes,
        "environments": sorted({_environment(row.get("environment")) for row in rows}),
        "sections": {name: name.capitalize() for name, there in shown.items() if there}
        | {"environment": "Environment"},
    }


def gather(folder: Path, rows: Sequence[dict[str, Any]]) -> list[Group]:
    """Groups the rows in the order in which they first appear."""
    for row in rows:
        if not 0 <= row["accuracy"] <= 1:
            raise ValueError(f"accuracy must be in [0, 1]. Received: {row['accuracy']}")
    return [_group(folder, members) for members in results.gather(rows)]


def _group(folder: Path, rows: list[dict[str, Any]]) -> Group:
    runs = [(row, folder / row["run"]) for row in rows if row.get("run")]
    links = [
        (_repeat(row), urllib.parse.quote(f"{row['run']}/report.html"))
        for row, place in runs
        if (place / "report.html").is_file()
    ]
    histories = [run.history_rows(place) for _, place in runs if (place / run.HISTORY).is_file()]
    return Group(rows, histories, links)


def _repeat(row: dict[str, Any]) -> str:
    names = [
        f"{name}\N{NO-BREAK SPACE}{row[name]}"
        for name in ("fold", "seed")
        if row.get(name) is not None
    ]
    return " ".join(names) or "report"


def alike(groups: Sequence[Group]) -> dict[str, list[Group]]:
    """Groups that can be compared, by the dataset and protocol that they share."""
    members: dict[str, list[Group]] = {}
    for group in groups:
        shared = [
            str(group[name]) for name in ("dataset", "protocol") if group[name] not in (None, "")
        ]
        members.setdefault(", ".join(shared), []).append(group)
    return members


def _accuracy(group: Group) -> float:
    return group.mean("accuracy") or 0.0


def curves(groups: Sequence[Group]) -> dict[str, list[tuple[Group, charts.Chart]]]:
    """Accuracy and loss of every group over its epochs, all with the same axes, a line for every repeat."""
    told = [group for group in groups if group.histories]
    if not told:
        return {}
    x = charts.epoch_axis(
        max(len(history) for group in told for history in group.histories), ticks=4
    )
    losses = [
        row[name] for g in told for h in g.histories for row in h for name in ("loss", "val_loss")
    ]
    axes = {
        "accuracy": (charts.value_axis(0.0, 1.0, text=charts.percent), "{:.1%}".format),
        "loss": (charts.value_axis(0.0, max(losses), text=charts.plain), "{:.4f}".format),
    }
    return {
        name: [
            (group, charts.by_epoch(group.short, _lines(group, name), x=x, y=y, text=text))
            for group in told
        ]
        for name, (y, text) in axes.items()
    }


def _lines(group: Group, name: str) -> list[charts.Line]:
    pairs = (("training", "train", name), ("held out", "held-out", f"val_{name}"))
    return [
        charts.Line(title, role, [row[column] for row in history])
        for title, role, column in pairs
        for history in group.histories
    ]


def ablations(groups: Sequence[Group]) -> list[tuple[str, charts.Axis, list[Group]]]:
    """Comparable groups that bear different names: what they share, an axis for all of them, the groups."""
    return [
        (shared, _accuracy_axis(members), members)
        for shared, members in alike(groups).items()
        if len({str(member["name"]) for member in members}) > 1
    ]


def _accuracy_axis(groups: Sequence[Group]) -> charts.Axis:
    ends = [
        _accuracy(group) + sign * (group.deviation or 0.0)
        for group in groups
        for sign in (-1.0, 1.0)
    ]
    ends += [group.published for group in groups if isinstance(group.published, float)]
    return charts.value_axis(max(min(ends), 0.0), min(max(ends), 1.0), text=charts.percent)


def _environment(value: object) -> str:
    if isinstance(value, dict):
        flat = {name: item for name, item in value.items() if not isinstance(item, dict)}
        return ", ".join(f"{name} {item}" for name, item in flat.items())
    return str(value or "not recorded")
