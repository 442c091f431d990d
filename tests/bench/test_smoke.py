"""The guard against lost speed."""

import pytest
from sample_rows import make_row

from sentiflow.bench import smoke
from sentiflow.bench.smoke import Guard

FAILED = make_row("b", images_per_second=None, status="failed: no")


def test_a_guard_is_a_ratio_of_rates():
    fast, slow = (
        make_row(name, images_per_second=rate) for name, rate in (("a", 90.0), ("b", 100.0))
    )
    assert smoke.guard("x", fast, slow, 0.6) == Guard("x", 0.9, 0.6, "ok")
    for one, other in ((FAILED, slow), (slow, FAILED)):
        guard = smoke.guard("x", one, other, 0.6)
        assert (guard.ratio, guard.status, guard.holds) == (None, "failed: no", False)


def test_what_is_below_its_floor_is_named(monkeypatch, invoke):
    guards = [Guard("a", 0.61, 0.6, "ok"), Guard("b", 0.59, 0.6, "ok"), Guard("c", None, 1.0, "no")]
    monkeypatch.setattr(smoke, "on_loaders", lambda settings: guards)
    monkeypatch.setattr(smoke, "on_accelerators", lambda settings: [])
    result = invoke(smoke.main)
    assert (result.exit_code, result.stderr) == (2, "Error: Below their floors: b, c.\n")
    monkeypatch.setattr(smoke, "on_loaders", lambda settings: guards[:1])
    assert invoke(smoke.main).exit_code == 0


def test_rates_are_compared_within_a_run(monkeypatch):
    """With one measurement for each name, work, batch size and pages."""
    rates = {
        ("original-1", "augmented"): 100.0,
        ("sentiflow-memory", "augmented"): 3000.0,
        ("sentiflow-none-jpeg256", "augmented"): 1000.0,
        ("sentiflow-none-original", "augmented"): 500.0,
        ("sentiflow-memory", "crop", 32, "warm"): 40_000.0,
        ("sentiflow-memory", "crop", 256, "warm"): 30_000.0,
        ("sentiflow-none-raw256", "crop", 32, "cold"): 2_000.0,
    }
    compared = [make_row(key[0], images_per_second=rates[key]) for key in list(rates)[:4]]
    monkeypatch.setattr(smoke, "compare", lambda settings: compared)
    monkeypatch.setattr(smoke, "prepare", lambda settings: ("data", {}))
    monkeypatch.setattr(smoke, "count_images", lambda *_: 280)

    def run(of, point):
        key = (point.contestant, point.work, point.batch_size, point.pages)
        return make_row(point.contestant, images_per_second=rates[key])

    monkeypatch.setattr(smoke.Input, "run", run)
    ratios = [guard.ratio for guard in smoke.on_loaders(smoke.Settings())]
    assert ratios == pytest.approx([30.0, 10.0, 5.0, 0.75, 20.0])
