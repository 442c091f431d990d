"""The guard against lost speed."""

from sample_rows import make_row

from sentiflow.bench import smoke


def with_ratio(name, ratio):
    return make_row(name, ratio_to_original=ratio)


def test_the_smoke_compares_ratios():
    fast = [with_ratio(name, floor + 0.1) for name, floor in smoke.FLOORS.items()]
    assert smoke.below([with_ratio("original-1", 1.0), *fast]) == []
    slow = with_ratio("sentiflow-memory", 7.9)
    failed = with_ratio("sentiflow-none-jpeg256", None)
    assert smoke.below([slow, failed]) == ["sentiflow-memory", "sentiflow-none-jpeg256"]
