"""What became of all images of a dataset, out of the reports of its files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sentiflow import index

from ..reading.entries import Entries
from ..reading.sources import Bad
from . import reports
from .card import Card
from .shards import MOST_FLAT, Task


class Outcome:
    """The files of a dataset, each with its report.

    Args:
        tasks: the files, split after split.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks
        self._reports = [reports.load(task.path) for task in tasks]

    def again(self) -> list[Task]:
        """The files that hold too many images of one colour, as they have to be written again.

        Each was written as if its own came first.
        """
        again = []
        before = 0
        for task, report in zip(self._tasks, self._reports, strict=True):
            most = max(0, MOST_FLAT - before)
            if min(len(report.flat), task.flat) > most:
                again.append(task._replace(flat=most))
            before += len(report.flat)
        return again

    def bad(self, splits: Mapping[str, Entries]) -> list[Bad]:
        """Files that cannot be used, split after split in the order of the entries."""
        bad = self._bad_flat()
        for task, report in zip(self._tasks, self._reports, strict=True):
            bad.setdefault(task.split, []).extend(report.bad)
        ordered = []
        for split, entries in splits.items():
            names = {one.filename for one in bad[split]}
            rank = {name: i for i, name in enumerate(entries.filenames) if name in names}
            ordered += sorted(bad[split], key=lambda one: rank[one.filename])
        return ordered

    def _bad_flat(self) -> dict[str, list[Bad]]:
        """By split, the images of one colour that come after `MOST_FLAT` others."""
        flat = [
            (task.split, image)
            for task, report in zip(self._tasks, self._reports, strict=True)
            for image in report.flat
        ]
        bad: dict[str, list[Bad]] = {}
        for before, (split, image) in enumerate(flat):
            if before >= MOST_FLAT:
                reason = f"cut off at 255, its values of mode {image.mode} became one flat colour"
                one = Bad(image.filename, f"{reason}, as {before} others before it")
                bad.setdefault(split, []).append(one)
        return bad

    def lengths(self, split: str) -> list[int]:
        """Records of each file of a split."""
        return [report.records for report in self._of(split)]

    def record_bytes(self, split: str) -> int:
        """Of all records of a split."""
        return sum(report.record_bytes for report in self._of(split))

    def _of(self, split: str) -> list[reports.Report]:
        pairs = zip(self._tasks, self._reports, strict=True)
        return [report for task, report in pairs if task.split == split]

    def card(self) -> Card:
        """Counts of the images that are stored."""
        card = Card()
        for report in self._reports:
            card.counts.update(report.card.counts)
        return card

    def columns(self) -> index.Columns:
        """The dataset's index."""
        rows = [report.columns for report in self._reports]
        return index.join(rows, [task.path for task in self._tasks])
