"""Rows as measurements make them, with values that tests can tell apart."""

from typing import Any

from sentiflow.bench.harness.rows import Row

USUAL: dict[str, Any] = {
    "work": "crop",
    "tier": "none",
    "storage": "raw256",
    "batch_size": 32,
    "status": "ok",
    "dataset": "emotionroi",
    "images": 420,
    "seconds": 10.0,
    "commit": "abc",
    "environment": {"cpu": "x", "cores": 2},
}


def make_row(contestant: str = "original-1", rate: float | None = 100.0, **values: Any) -> Row:
    """The row of a contestant that was so fast, images/s."""
    windows = () if rate is None else (rate, rate + 1)
    row = {**USUAL, "images_per_second": rate, "windows": windows, **values}
    return Row(contestant=contestant, **row)


def make_fed_row(
    contestant: str,
    rate: float,
    *,
    emulate: float | None = None,
    waiting: float = 0.0,
    cpu: float | None = None,
    **values: Any,
) -> Row:
    """The row of a contestant that fed an accelerator: an emulated one, or a GPU's real step.

    A constant batch has 1,000 images/s in the real step.
    """
    real = {"work": "training", "backbone": "mobilenet", "device": "GPU"}
    fed = {
        **({"work": "crop"} if emulate else real),
        "tier": "-",
        "storage": "files",
        "utilisation": rate / (emulate or 1000.0),
        "waiting_share": waiting,
        "cpu_seconds_per_image": cpu,
        "emulate": emulate,
    }
    return make_row(contestant, rate, **{**fed, **values})
