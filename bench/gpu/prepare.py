"""Builds datasets by their builder classes.

`python -m bench.gpu.prepare OUT WORK SCALE DATASET/CONFIG,...`.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from ..ours.build_once import build_once
from . import rows
from .context import read_context
from .rows import Measurement


def main() -> None:
    """Builds each dataset in turn, on all cores, and keeps how fast that was."""
    context = read_context()
    for name in context.choice.split(","):
        dataset, _, storage = name.partition("/")
        folder = Path(context.data_dir) / dataset / storage
        shutil.rmtree(folder, ignore_errors=True)
        built = build_once(dataset, storage, str(context.photos), context.data_dir, limit=0)
        images = int(built["images"])
        seconds = built["seconds"]
        measured = Measurement(
            part="prepare",
            name=f"build {name}",
            seconds=seconds,
            images=images,
            images_per_second=images / seconds,
        )
        rows.keep(context.out, measured)


if __name__ == "__main__":
    main()
