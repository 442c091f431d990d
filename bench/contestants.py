"""Every loader that `bench.throughput` can time.

A contestant is one function, from a `Task` to an endless iterator of `(images, labels)` batches. It is called once,
in a process of its own, so it may start threads and processes. The modules that it needs are imported inside it,
because the process of one contestant need not have those of another. A work is defined by what the batches must be:

* `augmented`: float32 `[b, s, s, 3]`, random crop of the covering resize, rotation, mirror, caffe-preprocessed (BGR);
* `crop`: uint8 `[b, s, s, 3]` RGB, random crop of the covering resize, mirror;

labels are integers `[b]`, batches are full, and every epoch is another permutation of the same images.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator

import numpy as np

Batch = tuple[np.ndarray, np.ndarray]
Loader = Callable[["Task"], Iterator[Batch]]

IMPORT = "limit-import-tensorflow"
CAFFE_MEANS = (103.939, 116.779, 123.68)  # blue, green, red; of ImageNet, as in keras.applications


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """What a contestant has to do, and where its input lies.

    Attributes:
        work: "augmented" or "crop"; `bench.limits` adds its own.
        dataset: such as "emotionroi".
        data_dir: where `tfds build` put it.
        split: the images to read.
        photos: folder of class folders that holds exactly those images as source files.
        prepared: folder of the same images in the contestant's own format, "" where it has none.
        images: how many they are.
        tier: cache tier of the contestant, "-" where it has none.
        storage: the storage that the contestant reads, such as "raw256"; "files" are the source files.
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


@dataclasses.dataclass(frozen=True, kw_only=True)
class Contestant:
    """A loader under its name in the tables.

    Attributes:
        name: unique.
        function: "module:function" of the loader, so that another process can find it.
        tier: cache tier, "-" where it has none.
        storage: what it reads, as in `Task`.
        requires: modules without which it is absent. They are imported before its clock starts.
        works: the works it does.
        environment: of `make peers`, whose Python runs it; "" is the one that runs the benchmark.
        form: what `bench.prepared` makes of the storage for it, such as "beton"; "" where it reads what is there.
        deviation: how its batches differ from the work, though the check lets them pass; stands beside its numbers.
    """

    name: str
    function: str
    tier: str
    storage: str
    requires: tuple[str, ...]
    works: tuple[str, ...]
    environment: str = ""
    form: str = ""
    deviation: str = ""


CONTESTANTS: dict[str, Contestant] = {}


def contestant(
    name: str,
    *,
    storage: str,
    requires: tuple[str, ...],
    tier: str = "-",
    works: tuple[str, ...] = ("augmented", "crop"),
    environment: str = "",
    form: str = "",
    deviation: str = "",
) -> Callable[[Loader], Loader]:
    """Enters a loader under a name; a loader that serves several storages or tiers is entered once for each."""

    def enter(function: Loader) -> Loader:
        path = f"{function.__module__}:{function.__qualname__}"
        CONTESTANTS[name] = Contestant(
            name=name,
            function=path,
            tier=tier,
            storage=storage,
            requires=requires,
            works=works,
            environment=environment,
            form=form,
            deviation=deviation,
        )
        return function

    return enter


@contestant("original-1", storage="files", requires=("keras_preprocessing", "tensorflow"))
def original_one_worker(task: Task) -> Iterator[Batch]:
    """The replaced generator as `fit` ran it: one worker thread, ten batches ahead."""
    from concurrent.futures import ThreadPoolExecutor

    from bench import original

    return original.batches(task, ThreadPoolExecutor(1))


@contestant("original-all", storage="files", requires=("keras_preprocessing", "tensorflow"))
def original_threads(task: Task) -> Iterator[Batch]:
    """The replaced generator with `workers` = cores."""
    from concurrent.futures import ThreadPoolExecutor

    from bench import original

    return original.batches(task, ThreadPoolExecutor(task.cores))


@contestant("original-processes", storage="files", requires=("keras_preprocessing", "tensorflow"))
def original_processes(task: Task) -> Iterator[Batch]:
    """The replaced generator with `workers` = cores and `use_multiprocessing=True`."""
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor

    from bench import original

    return original.batches(task, ProcessPoolExecutor(task.cores, multiprocessing.get_context("forkserver")))


@contestant("sentiflow-none-original", tier="none", storage="original", requires=("pipeline",))
@contestant("sentiflow-none-jpeg256", tier="none", storage="jpeg256", requires=("pipeline",))
@contestant("sentiflow-none-raw256", tier="none", storage="raw256", requires=("pipeline",))
@contestant("sentiflow-memory", tier="memory", storage="raw256", requires=("pipeline",))
@contestant("sentiflow-device", tier="device", storage="raw256", requires=("pipeline",), works=("training",))
def sentiflow(task: Task) -> Iterator[Batch]:
    """`pipeline.load`, as a training run calls it, for a consumer in Python; tier `device` only feeds real steps."""
    import pipeline

    augmented = task.work == "augmented"
    dataset = pipeline.load(
        f"{task.dataset}/{task.storage}",
        split=task.split,
        data_dir=task.data_dir,
        training=True,
        epochs=1_000_000,
        cache=task.tier,
        batch_size=task.batch_size,
        image_size=task.image_size,
        crop_fraction=task.crop_fraction,
        rotation=task.rotation if augmented else 0.0,
        preprocess="caffe" if augmented else "none",
        seed=task.seed,
    )
    return pipeline.ahead(dataset.as_numpy_iterator())


@contestant(IMPORT, storage="-", requires=("tensorflow",), works=("start",))
def import_tensorflow(task: Task) -> Iterator[Batch]:
    """Nothing but the import, and empty batches: what `bench.start` compares with."""
    while True:
        yield np.empty(0, np.uint8), np.zeros(task.batch_size, np.int32)
