"""A campaign in small: what it tries, what it calls a fault, and that there is none."""

import os
import signal

import numpy as np
import pytest

from sentiflow.bench import docs
from sentiflow.bench.campaign import __main__ as campaign
from sentiflow.bench.campaign import (
    damage,
    forkserver,
    inputs,
    kills,
    leaks,
    levels,
    mutants,
    process,
    rows,
    strangers,
)
from sentiflow.bench.campaign.levels import Level
from sentiflow.bench.campaign.rows import Report, Trial
from sentiflow.bench.campaign.victims import Victim, undisturbed
from sentiflow.bench.show import campaign as show

# The command `report` alone draws.
pytestmark = pytest.mark.usefixtures("without_pictures")
SEED = 12


@pytest.fixture(scope="module")
def run(tmp_path_factory, without_pictures):
    """A finished run, on few photographs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inputs, "PHOTOS", 60)
        work = tmp_path_factory.mktemp("campaign")
        inputs.prepare(work)
    return str(work / "run")


def faults(trials):
    return [trial.fault for trial in trials if trial.fault]


def test_a_changed_picture_follows_from_seed_and_number():
    drawn = [mutants.mutate(SEED, number) for number in range(90)]
    assert drawn[7:9] == [mutants.mutate(SEED, number) for number in (7, 8)]
    assert mutants.mutate(SEED + 1, 7).data != drawn[7].data
    assert {mutant.form for mutant in drawn} == set(mutants.FORMS)
    assert len({mutant.change for mutant in drawn}) == 6


@pytest.mark.parametrize("form", mutants.FORMS)
def test_every_kind_of_picture_is_sound_before_it_is_changed(form):
    data = mutants.encode(inputs.picture(np.random.default_rng(0)), mutants.FORMS[form])
    pixels, whole = mutants.pillow(data)
    assert pixels.shape == (inputs.SIDE, inputs.SIDE, 3)
    assert whole


def test_changed_pictures_are_refused_or_served_as_pillow_reads_them(run):
    trials = list(mutants.pictures(SEED, 0, 30, run))
    assert faults(trials) == []
    assert {trial.outcome for trial in trials} == {"stored", "refused"}


def test_changed_lists_are_read_or_refused_in_words():
    trials = list(damage.lists(SEED, 0, 12))
    assert faults(trials) == []
    assert {trial.outcome for trial in trials} == {"built", "refused"}


def test_changed_files_of_a_dataset_are_found_or_without_effect():
    trials = list(damage.shards(SEED, 0, 5))
    assert faults(trials) == []
    assert {trial.subject for trial in trials} == {"shard", "index", "metadata"}


@pytest.mark.parametrize("subject", strangers.CASES)
def test_files_from_strangers(subject, run, monkeypatch):
    monkeypatch.setattr(strangers, "CASES", {subject: strangers.CASES[subject]})
    assert list(strangers.strangers(run)) == [Trial(subject, "held")]


def test_changed_files_of_a_run_are_refused_in_words_or_do_no_harm(run):
    assert faults(strangers.changed(SEED, 0, 12, run)) == []


def test_an_input_that_ends_a_worker_is_narrowed_down_to(monkeypatch):
    def perform(task, *, seconds, first, count, seed):
        numbers = range(first, first + count)
        return "ended by SIGSEGV" if 5 in numbers else Report([Trial("x", "ok")] * count, first)

    monkeypatch.setattr(process, "perform", perform)
    report = process.perform_range("pictures", 0, 16, seconds=1.0, seed=SEED)
    assert len(report.trials) == 16
    assert faults(report.trials) == ["number 5: ended by SIGSEGV"]
    assert report.peak_mib == 8


def test_a_worker_reports_what_it_tried_and_its_memory():
    report = process.perform_alone("lists", "lists", seconds=60, seed=SEED, first=0, count=1)
    assert [trial.subject for trial in report.trials] == ["list"]
    assert report.peak_mib > 100


CAREFUL = """
import pathlib, sys, time
out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
(out / "partial").touch()
time.sleep(1.5)
(out / "partial").replace(out / "whole")
"""
CARELESS = """
import os, pathlib, subprocess, sys, time
out = pathlib.Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
(out / f"partial-{os.getpid()}").touch()
if os.environ.get("TMPDIR", "").endswith("struck/tmp"):
    subprocess.Popen([sys.executable, "-c", "import time; time.sleep(15)"])
time.sleep(1.5)
(out / f"partial-{os.getpid()}").replace(out / "whole")
"""


@pytest.mark.parametrize(
    ("program", "wrong"), [(CAREFUL, ()), (CARELESS, ("left behind: python", "left over: partial"))]
)
def test_a_command_that_is_struck(program, wrong, tmp_path):
    victim = Victim("program", lambda work, out: ("-c", program, out))
    out = tmp_path / "struck" / "out"
    sound = undisturbed(victim, tmp_path, out)
    trial = kills.strike(victim, tmp_path, out, sound, signal.SIGKILL, 1.0)
    assert trial[:2] == ("program, SIGKILL", "ended and repeated")
    assert bool(trial.fault) == bool(wrong)
    assert all(words in trial.fault for words in wrong)


def test_a_loaded_command_ends_as_python_ends_it():
    def timeit(statement):
        return ["", "-m", "timeit", "-n1", "-r1", statement]

    show = timeit("import os; print('a', os.environ['MARK'])")
    with forkserver.ForkServer() as server:
        ended = process.run(show, seconds=5, launch=server.launch, MARK="mark")
        assert (ended.failure, ended.output.splitlines()[0]) == ("", "a mark")
        wrong = process.run(timeit("1 / 0"), seconds=5, launch=server.launch)
        assert wrong.failure == "status 1: ZeroDivisionError: division by zero"
        started = process.Started(timeit("import time; time.sleep(60)"), server.launch)
        assert started.process.poll() is None
        assert os.getsid(started.process.pid) == started.process.pid
        started.process.send_signal(signal.SIGTERM)
        assert started.wait(5).failure == "ended by SIGTERM"
        started.process.send_signal(signal.SIGTERM)  # of nobody


def test_an_interruption_must_end_without_a_traceback(tmp_path):
    victim = Victim("program", lambda work, out: ("-c", CAREFUL, out))
    out = tmp_path / "struck" / "out"
    sound = undisturbed(victim, tmp_path, out)
    trial = kills.strike(victim, tmp_path, out, sound, signal.SIGINT, 1.0)
    assert "s: a traceback" in trial.fault


def test_of_two_at_once_one_must_succeed(tmp_path):
    refusing = "import sys; print('no', file=sys.stderr); sys.exit(2 * (sys.argv[-1] != '--help'))"
    victim = Victim("program", lambda work, out: ("-c", CAREFUL, out))
    out = tmp_path / "shared" / "out"
    sound = undisturbed(victim, tmp_path, out)
    always = Victim("program", lambda work, out: ("-c", refusing, out))
    trial = leaks.pair(always, tmp_path, out, sound)
    assert trial.fault == "neither succeeds; missing: whole"


@pytest.mark.parametrize(
    ("step", "grows"), [((0, 0, 0), False), ((1, 0, 0), True), ((0, 0.1, 0), True)]
)
def test_levels_that_rise_are_a_fault(step, grows):
    moments = [Level(100 + i * step[0], 10 + i * step[1], 4 + i * step[2]) for i in range(60)]
    text, fault = levels.compare(moments)
    assert bool(fault) == grows
    assert text.startswith(f"{20 * step[0]:+.1f} MiB")


def test_rows_of_a_part_replace_those_of_before(tmp_path, monkeypatch, invoke):
    path = tmp_path / "campaign.json"
    trials = [Trial("a", "held"), Trial("a", "fault", "number 1: | why"), Trial("b", "held")]
    parts = {"kills": (lambda work, seed, count: Report(trials[:count], 0.0), 3)}
    monkeypatch.setattr(campaign, "PARTS", parts | {"leaks": parts["kills"]})
    assert invoke(campaign.main, "leaks", "--count", 1, "--json", path).exit_code == 0
    result = invoke(campaign.main, "kills", "--seed", SEED, "--json", path)
    assert result.exit_code == 1
    assert result.output.startswith(f"seed {SEED}\n")
    assert "kills, a: number 1: | why" in result.output
    kept = rows.read(path)
    assert [(row.part, row.subject, row.tried, row.outcomes) for row in kept] == [
        ("leaks", "a", 1, {"held": 1}),
        ("kills", "a", 2, {"held": 1, "fault": 1}),
        ("kills", "b", 1, {"held": 1}),
    ]
    page = docs.fill(f"<!-- campaign {path.name} -->\n<!-- end -->", tmp_path)
    assert "| kills | a | 2 | held 1, fault 1 | 1 | - |" in page
    assert "* kills, a: number 1: | why" in page
    assert f"kills: seed {SEED}, " in page


def test_a_page_without_a_campaign_says_so(tmp_path):
    assert "Not run" in show.markdown(tmp_path / "campaign.json")
