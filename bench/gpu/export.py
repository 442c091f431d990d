"""Prepared JPEG files in class folders, for a PyTorch user.

`python -m bench.gpu.export OUT WORK SCALE`.
"""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

import shutil

from ..harness.inputs import export_photos
from .context import read_context


def main() -> None:
    """Writes the training images of `jpeg256` as plain JPEG files of the same pixels."""
    context = read_context()
    folder = context.work / "files"
    shutil.rmtree(folder, ignore_errors=True)
    export_photos(
        "emotionroi",
        split="train",
        data_dir=context.data_dir,
        folder=folder,
        storage=f"jpeg{context.scale.image_size}",
    )


if __name__ == "__main__":
    main()
