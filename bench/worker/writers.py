"""Writes images in the format of one loader: `python -m bench.worker.writers FORM IMAGES TARGET`.

IMAGES are class folders of JPEG files or of pixels as `.npy`. It runs in the environment of that
loader.
"""

from __future__ import annotations

import os
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Sample = tuple[Path, int]  # file and label

SHARDS = 8  # of a WebDataset, so that workers share them evenly
CHUNK_BYTES = 2**26  # of MDS and LitData, the size that both recommend


def list_images(photos: Path) -> list[Sample]:
    """The files of class folders with their labels, in a random order that is always the same."""
    classes = sorted(path for path in photos.iterdir() if path.is_dir())
    samples = [
        (path, label) for label, folder in enumerate(classes) for path in sorted(folder.iterdir())
    ]
    random.Random(0).shuffle(samples)
    return samples


def write_beton(samples: Sequence[Sample], target: Path) -> None:
    """FFCV: pixels raw, or JPEG files as they are.

    FFCV's own field would encode the latter once more.
    """
    import ffcv.fields
    import ffcv.writer
    from ffcv.fields import rgb_image
    from PIL import Image

    raw = samples[0][0].suffix == ".npy"

    class Images:
        def __len__(self) -> int:
            return len(samples)

        def __getitem__(self, i: int) -> tuple[Any, int]:
            path, label = samples[i]
            if raw:
                return np.load(path), label
            # The field asks `encode_jpeg` for the file of the picture that it was handed last.
            rgb_image.encode_jpeg = lambda pixels, quality: np.fromfile(path, np.uint8)
            return Image.open(path).convert("RGB"), label

    target.mkdir()
    fields = {
        "image": ffcv.fields.RGBImageField(write_mode="raw" if raw else "jpg"),
        "label": ffcv.fields.IntField(),
    }
    ffcv.writer.DatasetWriter(str(target / "images.beton"), fields).from_indexed_dataset(Images())


def write_tar(samples: Sequence[Sample], target: Path) -> None:
    """WebDataset: tar files of `.jpg` and `.cls`."""
    import webdataset

    target.mkdir()
    with webdataset.ShardWriter(
        str(target / "%06d.tar"), maxcount=-(-len(samples) // SHARDS), verbose=0
    ) as writer:
        for i, (path, label) in enumerate(samples):
            writer.write({"__key__": f"{i:08d}", "jpg": path.read_bytes(), "cls": label})


def write_arrayrecord(samples: Sequence[Sample], target: Path) -> None:
    """ArrayRecord: the label in four bytes, then the JPEG file.

    There is a group for each record, for random access.
    """
    from array_record.python.array_record_module import ArrayRecordWriter

    target.mkdir()
    writer = ArrayRecordWriter(str(target / "images.array_record"), "group_size:1,uncompressed")
    for path, label in samples:
        writer.write(label.to_bytes(4, "little") + path.read_bytes())
    writer.close()


def write_mds(samples: Sequence[Sample], target: Path) -> None:
    """MosaicML Streaming: MDS shards of bytes and integers."""
    import streaming

    columns = {"image": "bytes", "label": "int"}
    with streaming.MDSWriter(out=str(target), columns=columns, size_limit=CHUNK_BYTES) as writer:
        for path, label in samples:
            writer.write({"image": path.read_bytes(), "label": label})


def write_litdata(samples: Sequence[Sample], target: Path) -> None:
    """LitData: chunks of JPEG files and integers."""
    import litdata

    with tempfile.TemporaryDirectory(prefix="litdata-") as scratch:
        # It empties these folders first; by default they are /tmp/data and /tmp/chunks, whatever
        # may lie there.
        for name in ("DATA_OPTIMIZER_CACHE_FOLDER", "DATA_OPTIMIZER_DATA_CACHE_FOLDER"):
            os.environ[name] = os.path.join(scratch, name)
        litdata.optimize(
            fn=_litdata_sample,
            inputs=list(samples),
            output_dir=str(target),
            chunk_bytes="64MB",
            num_workers=1,
        )


def _litdata_sample(sample: Sample) -> dict[str, Any]:
    from PIL import Image

    path, label = sample
    # LitData stores the file of an opened JPEG as it is.
    return {"image": Image.open(path), "label": label}


WRITERS: dict[str, Callable[[Sequence[Sample], Path], None]] = {
    "beton": write_beton,
    "tar": write_tar,
    "arrayrecord": write_arrayrecord,
    "mds": write_mds,
    "litdata": write_litdata,
}


if __name__ == "__main__":
    form, images, target = sys.argv[1:]
    WRITERS[form](list_images(Path(images)), Path(target))
