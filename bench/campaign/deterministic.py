"""Builds in processes of their own, which must make the same bytes."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from ..harness.modules import run_module
from .inputs import PHOTOS, SIDE, draw
from .rows import Report, Trial
from .snapshot import differences

STORAGES = ("original", f"raw{SIDE}", f"jpeg{SIDE}")
SAMPLED = ("emotionroi", "twitter1")


def deterministic(work: Path, *, seed: int, count: int) -> Report:
    """Builds every dataset in every storage once, and then so many times again."""
    sample = work / "sample"
    run_module("sentiflow.builders.sample", str(sample), "--images", "60")
    draw(work / "photos", PHOTOS)
    sources = dict.fromkeys(SAMPLED, sample) | {"photo_folder": work / "photos"}
    return Report(
        [
            trial
            for dataset, source in sources.items()
            for storage in STORAGES
            for trial in _repeat(dataset, storage, source, work / "data", seed, count)
        ]
    )


def _repeat(
    dataset: str, storage: str, source: Path, data_dir: Path, seed: int, count: int
) -> Iterator[Trial]:
    """Builds a storage and compares every later build with the first."""
    first = _build(dataset, storage, source, data_dir, seed)
    for number in range(1, count + 1):
        files = _build(dataset, storage, source, data_dir, seed + number)
        fault = differences(files, first)
        print(dataset, storage, fault or f"{len(files)} files are the same", file=sys.stderr)
        yield Trial(f"{dataset}, {storage}", f"{len(files)} files compared", fault)


def _build(dataset: str, storage: str, source: Path, data_dir: Path, seed: int) -> dict[str, str]:
    """The digests of the files that a build writes, in a process whose hashes are of this seed."""
    shutil.rmtree(data_dir, ignore_errors=True)
    variables = {**os.environ, "PYTHONHASHSEED": str(seed % 2**32)}
    arguments = (dataset, storage, str(source), str(data_dir), "0")
    run_module("sentiflow.bench.ours.build_once", *arguments, variables=variables)
    files = sorted(path for path in data_dir.rglob("*") if path.is_file())
    digests = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    return {str(path.relative_to(data_dir)): digest for path, digest in digests.items()}
