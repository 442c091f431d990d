"""The process of `bench.build`: one build, timed after the imports."""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import time
from pathlib import Path


def build_once(dataset: str, storage: str, manual_dir: str, data_dir: str, *, limit: int) -> dict[str, float]:
    """Builds the dataset on `limit` cores (0: all); returns images, seconds, cpu_seconds and bytes on disk."""
    if limit:  # before TensorFlow counts them
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:limit])
    import tensorflow as tf
    import tensorflow_datasets as tfds

    tf.train.Example()  # tensorflow is imported when it is first used
    builder = importlib.import_module(f"builders.{dataset}").Builder(data_dir=data_dir, config=storage)
    options = tfds.download.DownloadConfig(manual_dir=manual_dir)
    wall, cpu = time.perf_counter(), time.process_time()
    with contextlib.redirect_stdout(sys.stderr):
        builder.download_and_prepare(download_config=options)
    return {
        "images": builder.info.splits.total_num_examples,
        "seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "bytes": sum(path.stat().st_size for path in Path(data_dir).rglob("*") if path.is_file()),
    }


if __name__ == "__main__":
    print(json.dumps(build_once(*sys.argv[1:5], limit=int(sys.argv[5]))))
