"""The process of `bench.build` and `bench.growth`: one build, timed after the imports."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import json
import os
import sys
import time
from pathlib import Path

from ..harness.storages import parse
from ..worker.clock import Usage


def build_once(
    dataset: str, storage: str, manual_dir: str, data_dir: str, *, limit: int
) -> dict[str, float]:
    """Builds the dataset on `limit` cores (0: all).

    Returns:
        images, seconds, cpu_seconds, bytes on disk, and the peaks of resident memory,
        peak_anonymous_mib and peak_total_mib.
    """
    if limit:  # before TensorFlow counts them
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:limit])
    import tensorflow as tf
    import tensorflow_datasets as tfds

    tf.train.Example()  # tensorflow is imported when it is first used
    make_builder = importlib.import_module(f"sentiflow.builders.{dataset}").Builder
    config = dataclasses.replace(
        make_builder.BUILDER_CONFIGS[0], name="", description=None, **parse(storage).options
    )
    builder = make_builder(data_dir=data_dir, config=config)
    options = tfds.download.DownloadConfig(manual_dir=manual_dir)
    wall = time.perf_counter()
    cpu = time.process_time()
    with Usage(interval=0.5) as usage, contextlib.redirect_stdout(sys.stderr):
        builder.download_and_prepare(download_config=options)
    return {
        "images": builder.info.splits.total_num_examples,
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "bytes": sum(path.stat().st_size for path in Path(data_dir).rglob("*") if path.is_file()),
        "peak_anonymous_mib": usage.peak_anonymous or usage.peak_total,
        "peak_total_mib": usage.peak_total,
    }


if __name__ == "__main__":
    print(json.dumps(build_once(*sys.argv[1:5], limit=int(sys.argv[5]))))
