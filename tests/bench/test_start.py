"""`bench.start`: what counts is the whole of a fresh process, the middle one of several."""

import dataclasses

from sentiflow.bench import start
from sentiflow.bench.contestants import CONTESTANTS, IMPORT
from sentiflow.bench.harness import runner
from sentiflow.bench.harness.settings import Settings
from sentiflow.bench.show import starts


def test_the_middle_start_of_each_tier_and_storage_is_compared_with_the_import(
    monkeypatch, data_dir
):
    seconds = {IMPORT: [2.0, 4.0, 3.0], "sentiflow-memory": [9.0, 5.0, 1.0]}
    asked = []

    def run(entry, task, settings, judge):
        asked.append(entry.name)
        count = asked.count(entry.name) - 1
        first = seconds.get(entry.name, [2.0, 3.0, 6.0])[count]
        return runner.make_row(
            entry,
            task,
            settings,
            {"status": "ok", "start_seconds": 0.75, "first_batch_seconds": first},
        )

    monkeypatch.setattr(runner, "run", run)
    rows = list(start.find_starts(Settings(data_dir=data_dir, work=("crop",)), times=3))
    ours = [
        name
        for name, entry in CONTESTANTS.items()
        if entry.kind == "ours" and "crop" in entry.works and not entry.leaves_view
    ]
    assert [row.contestant for row in rows] == [IMPORT, *ours]
    assert {row.contestant: starts.seconds(row) for row in rows} == {
        name: 3.75 + 2.0 * (name == "sentiflow-memory") for name in (IMPORT, *ours)
    }

    assert starts.allowed(3.75) == 6.625
    assert starts.cells(rows[0], rows[0]) == ("start", IMPORT, "0.75", "3.00", "3.75", "-")
    assert starts.cells(rows[1], rows[0])[-2:] == ("5.75", "6.6")
    last = starts.markdown(
        [*rows, dataclasses.replace(rows[-1], status="failed: no")]
    ).splitlines()[-3]
    assert last.endswith("| 0.75 | 3.00 | 3.75 | failed: no |")


def test_a_start_that_failed_says_so(monkeypatch, data_dir):
    monkeypatch.setattr(
        runner,
        "run",
        lambda entry, task, settings, judge: runner.make_row(
            entry, task, settings, {"status": "failed: no"}
        ),
    )
    rows = list(start.find_starts(Settings(data_dir=data_dir, work=("crop",)), times=2))
    assert {row.status for row in rows} == {"failed: no"}
