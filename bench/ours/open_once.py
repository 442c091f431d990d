"""The process of `bench.growth` that opens a prepared dataset, timed after the imports."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from pathlib import Path

from sentiflow import index
from sentiflow.pipeline import Settings
from sentiflow.pipeline import open as open_dataset

from ..worker.clock import Usage


@dataclasses.dataclass(frozen=True)
class Opening:
    """How a dataset was opened.

    Attributes:
        images: in all splits.
        seconds: from its name to the labels and positions of all images.
        anonymous_mib: peak of resident memory that no file backs, of the whole process.
        index_bytes: of the index on disk.
    """

    images: int
    seconds: float
    anonymous_mib: float
    index_bytes: int


def open_once(dataset: str, data_dir: str, image_size: int) -> Opening:
    """Opens the dataset with all of its images."""
    settings = Settings(image_size=image_size)
    begin = time.perf_counter()
    with Usage(interval=0.02) as usage:
        data = open_dataset(dataset, data_dir=data_dir)
        images = len(data.labels("all", settings))
        seconds = time.perf_counter() - begin
    columns = (Path(data.folder) / index.FOLDER).iterdir()
    return Opening(
        images=images,
        seconds=seconds,
        anonymous_mib=usage.peak_anonymous or usage.peak_total,
        index_bytes=sum(path.stat().st_size for path in columns),
    )


if __name__ == "__main__":
    opening = open_once(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    print(json.dumps(dataclasses.asdict(opening)))
