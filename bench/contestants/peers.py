"""Other loaders, each as its own documentation recommends, with as many workers as there are cores.

Whatever leaves a choice is chosen to the peer's advantage. `docs/peers.md` names the
recommendations and the packages. Those built on torch are in `bench.contestants.peers_torch`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .task import CAFFE_MEANS, INTERPOLATION, Batch, Task

FLIPPED = 0.5  # probability of a mirrored picture


def dali(task: Task) -> Iterator[Batch]:
    """NVIDIA DALI on the CPU: a compiled pipeline.

    Its decoder decodes no more than the crop.
    """
    from nvidia.dali import fn, pipeline_def, types

    augmented, window = task.work == "augmented", (task.image_size, task.image_size)
    kind = {"output_type": types.BGR if augmented else types.RGB}
    final = {"dtype": types.FLOAT, "mean": CAFFE_MEANS} if augmented else {"dtype": types.UINT8}

    @pipeline_def(
        batch_size=task.batch_size, num_threads=task.cores, device_id=None, seed=task.seed
    )
    def pipeline() -> Any:
        crop = {
            "crop": window,
            **{f"crop_pos_{axis}": fn.random.uniform(range=(0.0, 1.0)) for axis in "xy"},
        }
        files, labels = fn.readers.file(
            file_root=task.prepared or task.photos, shuffle_after_epoch=True
        )
        if task.storage == "files":
            images = fn.crop(
                fn.resize(fn.decoders.image(files, **kind), resize_shorter=short_side(task)), **crop
            )
        else:
            images = fn.decoders.image_crop(files, **crop, **kind)
        if augmented:
            images = fn.rotate(
                images,
                angle=fn.random.uniform(range=(-task.rotation, task.rotation)),
                keep_size=True,
            )
        mirror = fn.random.coin_flip(probability=FLIPPED)
        return fn.crop_mirror_normalize(images, mirror=mirror, output_layout="HWC", **final), labels

    built = pipeline()
    while True:
        images, labels = built.run()
        yield images.as_array(), labels.as_array().reshape(-1)


def ffcv(task: Task) -> Iterator[Batch]:
    """FFCV: random order with the page cache, decoder and mirror compiled.

    Its decoder of crops gets our crop.
    """
    from ffcv.fields.decoders import IntDecoder, RandomResizedCropRGBImageDecoder
    from ffcv.loader import Loader, OrderOption
    from ffcv.transforms import RandomHorizontalFlip

    size = task.image_size

    def draw_crop(height: int, width: int, scale: Any, ratio: Any) -> tuple[int, int, int, int]:
        return (
            np.random.randint(0, height - size + 1),
            np.random.randint(0, width - size + 1),
            size,
            size,
        )

    class RandomCrop(RandomResizedCropRGBImageDecoder):
        get_crop_generator = property(lambda self: draw_crop)

    loader = Loader(
        str(Path(task.prepared) / "images.beton"),
        batch_size=task.batch_size,
        num_workers=task.cores,
        order=OrderOption.RANDOM,
        os_cache=True,
        seed=task.seed,
        pipelines={
            "image": [RandomCrop((size, size)), RandomHorizontalFlip(FLIPPED)],
            "label": [IntDecoder()],
        },
    )
    while True:
        yield from ((images, labels.reshape(-1)) for images, labels in loader)


def grain(task: Task) -> Iterator[Batch]:
    """Grain on ArrayRecord: a shuffled, repeated MapDataset.

    Batches are made in worker processes; OpenCV decodes.
    """
    import cv2
    import grain as peer

    def view(record: bytes, generator: np.random.Generator) -> tuple[np.ndarray, int]:
        image = cv2.imdecode(np.frombuffer(record, np.uint8, offset=4), cv2.IMREAD_COLOR_RGB)
        return _view(image, generator, task), int.from_bytes(record[:4], "little")

    source = peer.sources.ArrayRecordDataSource(str(Path(task.prepared) / "images.array_record"))
    images = peer.MapDataset.source(source).seed(task.seed).shuffle().repeat().random_map(view)
    # A thread pool inside each process would only compete for the same cores.
    options = peer.ReadOptions(num_threads=1, prefetch_buffer_size=2 * task.batch_size)
    batches = images.to_iter_dataset(options).batch(task.batch_size, drop_remainder=True)
    yield from batches.mp_prefetch(
        peer.multiprocessing.MultiprocessingOptions(num_workers=task.cores)
    )


def _view(image: np.ndarray, generator: np.random.Generator, task: Task) -> np.ndarray:
    """Random window of an image, uint8 [h, w, 3], mirrored or not.

    For work `augmented` it is rotated and preprocessed, too.
    """
    import cv2

    size = task.image_size
    y, x = generator.integers((image.shape[0] - size + 1, image.shape[1] - size + 1))
    window = image[y : y + size, x : x + size]
    if generator.random() < FLIPPED:
        window = cv2.flip(window, 1)
    if task.work != "augmented":
        return window
    angle = generator.uniform(-task.rotation, task.rotation)
    matrix = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), angle, 1.0)
    window = cv2.warpAffine(window, matrix, (size, size), borderMode=cv2.BORDER_REPLICATE)
    return np.subtract(window[..., ::-1], CAFFE_MEANS, dtype=np.float32)


def spdl(task: Task) -> Iterator[Batch]:
    """SPDL: threads that decode whole batches, as its guide has it for images.

    The view is an FFmpeg filter.
    """
    import spdl.io
    from spdl.pipeline import PipelineBuilder

    def decode(samples: list[tuple[str, int, str]]) -> Batch:
        frames = [
            spdl.io.decode_packets(spdl.io.demux_image(path), filter_desc=view)
            for path, _, view in samples
        ]
        images = spdl.io.to_numpy(spdl.io.convert_frames(frames))
        if task.work == "augmented":
            images = np.subtract(images[..., ::-1], CAFFE_MEANS, dtype=np.float32)
        return images, np.array([label for _, label, _ in samples])

    builder = PipelineBuilder().add_source(_spdl_samples(task)).aggregate(task.batch_size)
    pipeline = (
        builder.pipe(decode, concurrency=task.cores)
        .add_sink()
        .build(num_threads=task.cores, max_failures=0)
    )
    with pipeline.auto_stop():
        yield from pipeline


def _spdl_samples(task: Task) -> Iterator[tuple[str, int, str]]:
    """Endless permutations of (path, label, FFmpeg filter of a random view)."""
    classes = sorted(Path(task.prepared).iterdir())
    samples = [
        (str(path), label)
        for label, folder in enumerate(classes)
        for path in sorted(folder.iterdir())
    ]
    generator, size = np.random.default_rng(task.seed), task.image_size
    while True:
        for i in generator.permutation(len(samples))[
            : len(samples) // task.batch_size * task.batch_size
        ]:
            x, y, mirrored, angle = generator.random(4)
            steps = [f"crop={size}:{size}:(iw-{size})*{x:.4f}:(ih-{size})*{y:.4f}"]
            steps += ["hflip"] if mirrored < FLIPPED else []
            if task.work == "augmented":
                radians = np.deg2rad((2 * angle - 1) * task.rotation)
                steps += [f"rotate={radians:.5f}"]
            yield *samples[i], ",".join([*steps, "format=pix_fmts=rgb24"])


def keras_directory(task: Task) -> Iterator[Batch]:
    """`image_dataset_from_directory`, as Keras' guides show it.

    Keras layers are mapped over batches.
    """
    import keras
    import tensorflow as tf

    side = short_side(task)
    options: dict[str, Any] = {
        "image_size": (side, side),
        "crop_to_aspect_ratio": True,
        "batch_size": None,
    }
    images = keras.utils.image_dataset_from_directory(
        task.photos, seed=task.seed, shuffle=True, **options
    )
    layers: list[Any] = [
        keras.layers.RandomCrop(task.image_size, task.image_size),
        keras.layers.RandomFlip("horizontal"),
    ]
    if task.work == "augmented":
        layers += [keras.layers.RandomRotation(task.rotation / 360, fill_mode="nearest")]

    def view(image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        for layer in layers:
            image = layer(image, training=True)
        if task.work == "augmented":
            return keras.applications.resnet.preprocess_input(image), label
        return tf.cast(tf.round(image), tf.uint8), label

    batches = (
        images.repeat()
        .batch(task.batch_size)
        .map(view, tf.data.AUTOTUNE)
        .prefetch(tf.data.AUTOTUNE)
    )
    yield from batches.as_numpy_iterator()


def tfds_load(task: Task) -> Iterator[Batch]:
    """TFDS, in the order of its performance tips: resize, cache, shuffle, view, batch, prefetch."""
    import keras
    import tensorflow as tf

    auto = tf.data.AUTOTUNE
    # tf.image has no such rotation.
    rotate = keras.layers.RandomRotation(task.rotation / 360, fill_mode="nearest")

    def resize(example: dict[str, tf.Tensor]) -> tuple[tf.Tensor, tf.Tensor]:
        return _cover(example["image"], task), example["label"]

    def crop(image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        image = tf.image.random_crop(image, (task.image_size, task.image_size, 3))
        return tf.image.random_flip_left_right(image), label

    def turn(image: tf.Tensor, label: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return keras.applications.resnet.preprocess_input(rotate(image, training=True)), label

    images = (
        _examples(task)
        .map(resize, auto)
        .cache()
        .shuffle(task.images)
        .repeat()
        .map(crop, auto)
        .batch(task.batch_size)
    )
    images = images.map(turn, auto) if task.work == "augmented" else images
    yield from images.prefetch(auto).as_numpy_iterator()


def _examples(task: Task) -> Any:
    """Those of the task's split; TFDS does not know the splits of Twitter I but by file name."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    from sentiflow import pipeline

    name = f"{task.dataset}/original"
    builder = tfds.builder(name, data_dir=task.data_dir)
    if task.split in builder.info.splits:
        return builder.as_dataset(split=task.split, shuffle_files=True)
    names = pipeline.open(name, data_dir=task.data_dir).files(task.split, **task.choice)
    examples = builder.as_dataset(split="all", shuffle_files=True)
    return examples.filter(lambda example: tf.reduce_any(example["filename"] == names))


def _cover(image: Any, task: Task) -> Any:
    """The covering resize of a uint8 tensor [h, w, 3] in TensorFlow.

    An image of the window's size stays as it is.
    """
    import tensorflow as tf

    shape = tf.cast(tf.shape(image)[:2], tf.float32)
    scale = task.image_size / task.crop_fraction / tf.reduce_min(shape)
    scale = tf.where(tf.reduce_all(shape == task.image_size), 1.0, scale)
    resized = tf.image.resize(
        image, tf.cast(shape * scale, tf.int32), f"{INTERPOLATION}3", antialias=True
    )
    return tf.cast(tf.clip_by_value(tf.round(resized), 0, 255), tf.uint8)


def short_side(task: Task) -> int:
    """Of the covering resize, in pixels."""
    return int(task.image_size / task.crop_fraction)
