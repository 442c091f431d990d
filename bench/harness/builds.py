"""Builds of a dataset, timed, each in a process of its own."""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Sequence

from ..worker.clock import spread
from .modules import run_module
from .rows import Row, provenance

ONE = "build-1-core"
ALL = "build-all-cores"
Result = dict[str, float]


def build(dataset: str, storage: str, manual_dir: str, limit: int) -> Result:
    """Builds once, on `limit` cores (0: all).

    Returns:
        What `bench.ours.build_once` does: images, seconds, cpu_seconds (user and system), bytes,
            peaks of memory.

    Raises:
        InputError: the build failed.
    """
    with tempfile.TemporaryDirectory(prefix="bench-build-") as folder:
        return build_into(folder, dataset, storage, manual_dir, limit)


def build_into(data_dir: str, dataset: str, storage: str, manual_dir: str, limit: int) -> Result:
    """Builds once into `data_dir`; see `build`."""
    task = f"the build of {dataset}/{storage}"
    module = "sentiflow.bench.ours.build_once"
    output = run_module(module, dataset, storage, manual_dir, data_dir, str(limit), task=task)
    return dict(json.loads(output.splitlines()[-1]))


def make_row(name: str, storage: str, dataset: str, results: Sequence[Result]) -> Row:
    """The row of several builds: medians of the rates, the most of the memory."""
    rates = tuple(result["images"] / result["seconds"] for result in results)
    images = int(results[0]["images"])
    return Row(
        contestant=name,
        work="build",
        tier="-",
        storage=storage,
        batch_size=1,
        images_per_second=statistics.median(rates),
        spread=spread(list(rates)),
        cpu_seconds_per_image=statistics.median(_values(results, "cpu_seconds")) / images,
        status="ok",
        windows=rates,
        peak_anonymous_mib=max(_values(results, "peak_anonymous_mib")),
        peak_total_mib=max(_values(results, "peak_total_mib")),
        build_seconds=images / statistics.median(rates),
        bytes_on_disk=int(results[0]["bytes"]),
        dataset=dataset,
        images=images,
        seconds=sum(_values(results, "seconds")),
        **provenance(),
    )


def _values(results: Sequence[Result], name: str) -> list[float]:
    return [result[name] for result in results]
