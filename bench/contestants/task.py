"""What every contestant is asked to do, and what one is: a function under a name.

A contestant is one function, from a `Task` to an endless iterator of `(images, labels)` batches. It
is called once, in a process of its own, so it may start threads and processes. The modules that it
needs are imported inside it, because the process of one contestant need not have those of another.
A work is defined by what the batches must be:

* `augmented`: float32 `[b, s, s, 3]`, random crop of the covering resize, rotation, mirror,
  caffe-preprocessed (BGR);
* `crop`: uint8 `[b, s, s, 3]` RGB, random crop of the covering resize, mirror;

labels are integers `[b]`, batches are full, and every epoch is another permutation of the same
images.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np

Batch = tuple[np.ndarray, np.ndarray]
Loader = Callable[["Task"], Iterator[Batch]]
Kind = Literal["ours", "replaced", "peer", "bound", "probe"]

# The reference system's window, the covering resize that it is cut from, and the resize's filter.
# The pipeline and the builders have the same numbers, but strangers' Pythons have neither of them.
IMAGE_SIZE = 256  # side of the window, pixels
CROP_FRACTION = 0.875  # side of the window / short side of the resized image
INTERPOLATION = "lanczos"
CAFFE_MEANS = (103.939, 116.779, 123.68)  # blue, green, red; of ImageNet, as in keras.applications


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """What a contestant has to do, and where its input lies.

    Attributes:
        work: "augmented" or "crop"; `bench.limits` adds its own.
        dataset: such as "emotionroi".
        data_dir: where `tfds build` put it.
        split: the images to read.
        agreement: of Twitter I's images, those on whose label at least so many annotators agree.
        fold: of Twitter I, the cross-validation fold to leave out; None for its own held-out part.
        photos: folder of class folders that holds exactly those images as source files.
        prepared: folder of the same images in the contestant's own format, "" where it has none.
        images: how many they are.
        tier: cache tier of the contestant, "-" where it has none.
        storage: what the contestant reads, such as "raw256"; "files" are the source files.
        batch_size: images.
        image_size: side of the window, in pixels.
        crop_fraction: side of the window / short side of the resized image.
        rotation: degrees; the angle is drawn from U(-rotation, rotation).
        seed: of order and augmentation.
        cores: usable processor cores.
    """

    work: str
    dataset: str
    data_dir: str
    split: str
    photos: str
    prepared: str = ""
    images: int
    tier: str
    storage: str
    batch_size: int
    image_size: int
    crop_fraction: float
    rotation: float
    seed: int
    cores: int
    agreement: int = 5
    fold: int | None = None

    @property
    def choice(self) -> dict[str, Any]:
        """What chooses images beside the split, as `pipeline.load` takes it."""
        return {"agreement": self.agreement, "fold": self.fold}

    @property
    def title(self) -> str:
        """The dataset, and what was chosen of it, unless that is the usual."""
        parts = [self.dataset]
        if self.agreement != Task.agreement:
            parts.append(f"agreement {self.agreement}")
        if self.fold is not None:
            parts.append(f"without fold {self.fold}")
        return ", ".join(parts)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contestant:
    """A loader under its name in the tables.

    Attributes:
        name: unique.
        kind: "ours", "replaced" for the generator that ours stands in for, "peer" for other
            people's loaders, "bound" for what no loader can exceed, "probe" for what only helps to
            read another number.
        function: "module:function" of the loader, so that another process can find it.
        tier: cache tier, "-" where it has none.
        storage: what it reads, as in `Task`.
        requires: modules without which it is absent, or "module:name" of what a module loads when
            it is asked for it. They are imported before its clock starts.
        works: the works it does.
        environment: of `make peers`, whose Python runs it; "" is the one that runs the benchmark.
        form: what `bench.harness.prepared` makes of the storage for it, such as "beton"; "" where
            it reads what is there.
        deviation: how its batches differ from the work, though the check lets them pass; stands
            beside its numbers.
        leaves_view: whether it leaves the view to the accelerator, in front of which it is timed
            alone: the work is that of both together.
    """

    name: str
    kind: Kind
    function: str
    tier: str = "-"
    storage: str
    requires: tuple[str, ...]
    works: tuple[str, ...] = ("augmented", "crop")
    environment: str = ""
    form: str = ""
    deviation: str = ""
    leaves_view: bool = False


_BENCH = __name__.rpartition(".contestants.")[0]  # "bench" in strangers' Pythons


def path_of(loader: Loader) -> str:
    """The "module:function" by which another process finds a loader.

    A module of ours is named from `bench` on, such as ".contestants.peers".
    """
    return f"{loader.__module__.removeprefix(_BENCH)}:{loader.__qualname__}"


def find_loader(path: str) -> Loader:
    """The loader that "module:function" names."""
    module, _, name = path.partition(":")
    loader: Loader = getattr(importlib.import_module(module, _BENCH), name)
    return loader
