"""What a stream gives: the reference system's pixels, exact permutations, and the same again for the same token."""

import itertools
import re
import subprocess
import sys
import time
import types

import keras
import numpy as np
import psutil
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sentiflow import pipeline
from sentiflow.options import choices, hints
from sentiflow.pipeline import draws
from sentiflow.pipeline.pixels import cover_shape
from sentiflow.pipeline.sources import resized

STORAGES = ("original", "raw256", "jpeg256")


def reference_pixels(path, size=256, fraction=0.875):
    """Steps 1-3 of the reference system with the crop at the centre, written down independently."""
    image = Image.open(path).convert("RGB")
    if image.size != (size, size):
        ratio = max(size / fraction / image.width, size / fraction / image.height)
        image = image.resize(
            (int(image.width * ratio), int(image.height * ratio)), Image.Resampling.LANCZOS
        )
    left = round(image.width / 2) - round(size / 2)
    top = round(image.height / 2) - round(size / 2)
    return np.asarray(image.crop((left, top, left + size, top + size)))


def load(storage, data_dir, **options):
    options = {"split": "train", "preprocess": None, "batch_size": 4, **options}
    return pipeline.load(f"emotionroi/{storage}", data_dir=data_dir, **options)


def arrays(ds):
    return [tuple(part.numpy() for part in element) for element in ds]


def images(ds):
    return np.concatenate([element[0] for element in arrays(ds)])


def order(storage, data_dir, **options):
    """Labels cannot tell images apart, so the order is that of the numbers that the plan draws."""
    seen = images(
        load(storage, data_dir, crop="center", rotation=0, flip=False, training=True, **options)
    )
    still = images(load(storage, data_dir, crop="center"))
    return [int(np.abs(still.astype(int) - one).sum(axis=(1, 2, 3)).argmin()) for one in seen]


@pytest.mark.parametrize("cache", ["none", "memory"])
def test_center_crop_of_raw_is_the_reference_bit_for_bit(photos, data_dir, cache):
    for split in ("train", "test"):
        names = pipeline.open("emotionroi/raw256", data_dir=data_dir).files(split)
        expected = np.stack([reference_pixels(photos / "images" / name) for name in names])
        np.testing.assert_array_equal(
            images(load("raw256", data_dir, split=split, cache=cache)), expected
        )


@pytest.mark.parametrize("cache", ["none", "memory"])
def test_center_crop_of_originals_is_within_one_level(photos, data_dir, cache):
    names = pipeline.open("emotionroi/original", data_dir=data_dir).files("all")
    expected = np.stack([reference_pixels(photos / "images" / name) for name in names])
    difference = np.abs(
        images(load("original", data_dir, split="all", cache=cache)).astype(int) - expected
    )
    assert (difference <= 1).mean() >= 0.999
    assert difference.max() <= 10


@pytest.mark.parametrize("training", [False, True])
def test_jpeg_window_is_the_decoded_image_cropped(data_dir, training):
    options = {"training": training, "rotation": 0, "epochs": 3}
    windows = images(load("jpeg256", data_dir, cache="none", **options))
    np.testing.assert_array_equal(
        windows, images(load("jpeg256", data_dir, cache="memory", **options))
    )


@pytest.mark.parametrize("storage", STORAGES)
def test_tiers_agree(data_dir, storage):
    options = {"training": True, "epochs": 2, "seed": 3, "preprocess": "caffe"}
    streams = [
        arrays(load(storage, data_dir, cache=cache, **options)) for cache in ("none", "memory")
    ]
    assert len(streams[0]) == 2 * (30 // 4)
    for one, other in zip(*streams, strict=True):
        np.testing.assert_array_equal(one[1], other[1])
        # Cutting before or after resampling may round the last bit of a coordinate differently.
        tolerance = 1.001 if storage == "original" else 0
        assert (np.abs(one[0] - other[0]) <= tolerance).mean() > 0.9999


@pytest.mark.parametrize("storage", STORAGES)
def test_the_device_tier_shows_what_the_memory_tier_shows(data_dir, storage):
    """Crops to the bit; what is sampled between pixels to a hundredth of a level. The whole dataset is the bank."""
    name, everything = (
        f"emotionroi/{storage}",
        {"zoom": 0.1, "brightness": 0.1, "contrast": 0.1, "preprocess": "caffe"},
    )
    pixels = pipeline.open(name, data_dir=data_dir).device_pixels()
    for split in ("train", "test"):
        for tolerance, options in ((0, {"rotation": 0, "preprocess": "none"}), (0.01, everything)):
            options |= {"split": split, "training": True, "seed": 3, "epochs": 2}
            streams = [
                load(storage, data_dir, cache=cache, **options) for cache in ("memory", "device")
            ]
            assert len(streams[0]) == len(streams[1]) > 0
            for (image, label), (places, same_label) in zip(
                *(ds.as_numpy_iterator() for ds in streams), strict=True
            ):
                seen = pipeline.see_windows(
                    pixels, places, ops=keras.ops, image_size=256, preprocess=options["preprocess"]
                )
                np.testing.assert_allclose(np.asarray(seen), image, rtol=0, atol=tolerance)
                np.testing.assert_array_equal(label, same_label)


def test_storages_share_order_and_views(data_dir):
    options = {"training": True, "epochs": 1, "seed": 9}
    raw, original = (
        images(load(storage, data_dir, **options)).astype(int) for storage in ("raw256", "original")
    )
    # Records lie in the order of their keys' hashes, which no storage changes.
    assert (np.abs(raw - original) <= 2).mean() > 0.999


def test_epochs_are_exact_permutations(data_dir):
    options = {"batch_size": 7, "last_batch": "keep", "epochs": 3}
    seen = order("raw256", data_dir, **options)
    epochs = [seen[30 * k : 30 * (k + 1)] for k in range(3)]
    assert all(sorted(epoch) == list(range(30)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2] != list(range(30))
    assert order("raw256", data_dir, **options, seed=1) != seen


@given(images=st.integers(1, 5000), seed=st.integers(0, 2**63 - 1), epoch=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_order_is_a_permutation_for_any_size(images, seed, epoch):
    got = draws.order(
        tf.range(images, dtype=tf.int64),
        seed=seed,
        epoch=tf.constant(epoch, tf.int64),
        images=images,
    )
    assert sorted(got.numpy()) == list(range(images))


def test_order_has_no_favourites():
    """Over many epochs each image stands equally often at each place."""
    epochs, images = 4000, 8
    places = tf.range(images, dtype=tf.int64)

    @tf.function
    def orders():
        return tf.map_fn(
            lambda epoch: draws.order(places, seed=1, epoch=epoch, images=images),
            tf.range(epochs, dtype=tf.int64),
        )

    rows = orders().numpy()
    counts = np.stack([(rows == image).sum(axis=0) for image in range(images)])
    chi_squared = ((counts - epochs / images) ** 2 / (epochs / images)).sum()
    assert chi_squared < 85  # 49 degrees of freedom; 1 in 1,000 exceeds 85


def test_draws_are_uniform_and_independent():
    u = draws.uniforms(
        tf.range(20_000, dtype=tf.int64), seed=5, epoch=tf.constant(2, tf.int64)
    ).numpy()
    assert u.shape == (20_000, len(draws.COLUMNS))
    assert u.min() >= 0
    assert u.max() < 1
    np.testing.assert_allclose(u.mean(axis=0), 0.5, atol=0.01)
    np.testing.assert_allclose(u.var(axis=0), 1 / 12, atol=0.003)
    correlation = np.corrcoef(np.concatenate([u[:-1], u[1:]], axis=1).T) - np.eye(16)
    assert np.abs(correlation[:8]).max() < 0.035


@pytest.mark.parametrize(
    ("storage", "cache"), [("raw256", "memory"), ("raw256", "none"), ("jpeg256", "none")]
)
def test_resume_at_every_step_gives_the_rest(data_dir, storage, cache):
    options = {
        "training": True,
        "epochs": 2,
        "preprocess": "caffe",
        "cache": cache,
        "batch_size": 8,
    }
    whole = arrays(load(storage, data_dir, **options))
    for epoch, step in itertools.product(range(2), range(3)):
        rest = arrays(load(storage, data_dir, epoch=epoch, step=step, **options))
        assert len(rest) == len(whole) - (3 * epoch + step)
        for got, expected in zip(rest, whole[3 * epoch + step :], strict=True):
            np.testing.assert_array_equal(got[0], expected[0])
            np.testing.assert_array_equal(got[1], expected[1])


def test_stream_ignores_global_seeds_and_batch_size(data_dir):
    options = {"training": True, "last_batch": "keep"}
    tf.random.set_seed(1)
    first = images(load("raw256", data_dir, batch_size=4, **options))
    tf.random.set_seed(2)
    np.testing.assert_array_equal(first, images(load("raw256", data_dir, batch_size=9, **options)))


@pytest.mark.parametrize("last_batch", ["keep", "pad", "drop"])
@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_host_shards_are_disjoint_and_complete(data_dir, last_batch, count):
    seen, lengths = [], []
    for index in range(count):
        options = {"shard": (index, count), "batch_size": 3, "last_batch": last_batch, "seed": 4}
        ds = load(
            "raw256", data_dir, training=True, crop="center", rotation=0, flip=False, **options
        )
        batches = arrays(ds)
        assert len(batches) == ds.cardinality()
        lengths.append(len(batches))
        for element in batches:
            mask = element[2] if last_batch == "pad" else np.ones(len(element[0]))
            seen += [
                image.tobytes() for image, present in zip(element[0], mask, strict=True) if present
            ]
    assert len(set(seen)) == len(seen)
    assert len(seen) == (30 // count // 3 * 3 * count if last_batch == "drop" else 30)
    assert (
        last_batch == "keep" or len(set(lengths)) == 1
    )  # else hosts that wait for one another would hang


def test_last_batch_policies(data_dir):
    def sizes(policy):
        return [
            len(element[1])
            for element in arrays(load("raw256", data_dir, batch_size=8, last_batch=policy))
        ]

    assert sizes("drop") == [8, 8, 8]
    assert sizes("keep") == [8, 8, 8, 6]
    assert sizes("pad") == [8, 8, 8, 8]
    padded = arrays(load("raw256", data_dir, batch_size=8, last_batch="pad"))
    np.testing.assert_array_equal(padded[-1][2], [1, 1, 1, 1, 1, 1, 0, 0])
    assert load("raw256", data_dir, batch_size=8).element_spec[0].shape.as_list() == [
        None,
        256,
        256,
        3,
    ]
    assert load("raw256", data_dir, batch_size=8, training=True).element_spec[
        0
    ].shape.as_list() == [8, 256, 256, 3]


def test_labels_belong_to_images(photos, data_dir):
    names = pipeline.open("emotionroi/raw256", data_dir=data_dir).files("train")
    labels = np.concatenate([element[1] for element in arrays(load("raw256", data_dir))])
    known = pipeline.open("emotionroi/raw256", data_dir=data_dir).class_names
    assert [known[label] for label in labels] == [name.partition("/")[0] for name in names]


@pytest.mark.parametrize("size", [64, 224])
def test_other_sizes_from_originals(photos, data_dir, size):
    got = images(load("original", data_dir, image_size=size, crop_fraction=0.8, cache="none"))
    names = pipeline.open("emotionroi/original", data_dir=data_dir).files("train")
    expected = np.stack([reference_pixels(photos / "images" / name, size, 0.8) for name in names])
    assert (np.abs(got.astype(int) - expected) <= 1).mean() >= 0.999


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"image_size": 224}, ["raw256", "emotionroi/original", "tfds build", '"image_size": 224']),
        ({"interpolation": "bicubic"}, ["lanczos", "bicubic", "emotionroi/original"]),
        ({"split": "validation"}, ["train, test, all"]),
        ({"batch_size": 31, "training": True}, ["31", "lower batch_size"]),
        ({"shard": (2, 2)}, ["shard"]),
        ({"epoch": 2}, ["epoch"]),
        ({"rotation": -1}, ["rotation", "-1"]),
        ({"cache": "disk"}, ["cache", "none", "memory"]),
    ],
)
def test_errors_name_rule_and_remedy(data_dir, options, words):
    with pytest.raises(pipeline.InputError) as caught:
        load("raw256", data_dir, **options)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in words)


@given(height=st.integers(1, 20_000), width=st.integers(1, 20_000), size=st.integers(1, 600))
@settings(max_examples=200, deadline=None)
def test_cover_shape_covers_and_keeps_the_aspect(height, width, size):
    chosen = pipeline.Settings(image_size=size)
    got = cover_shape(tf.constant([height, width], tf.int64), chosen).numpy()
    if (height, width) == (size, size):
        assert got.tolist() == [size, size]
        return
    assert min(got) >= size
    ratio = max(chosen.cover / width, chosen.cover / height)
    expected = [max(int(height * ratio), size), max(int(width * ratio), size)]
    assert got.tolist() == expected


@pytest.mark.parametrize(
    "shape", [(1, 1), (1, 700), (700, 1), (2, 3), (255, 256), (256, 257), (1200, 100)]
)
def test_any_picture_file_can_be_read(tmp_path, shape):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*shape, 3), np.uint8))
    image.save(tmp_path / "x.png")
    got = pipeline.read_image(tmp_path / "x.png", pipeline.Settings(preprocess="none"))
    np.testing.assert_array_equal(got, reference_pixels(tmp_path / "x.png"))


def test_unreadable_picture_is_named(tmp_path):
    (tmp_path / "text.jpg").write_text("no picture")
    for name in ("text.jpg", "missing.jpg"):
        with pytest.raises(pipeline.InputError, match=name):
            pipeline.read_image(tmp_path / name, pipeline.Settings())


def test_waiting_is_charged_to_the_slow_side(data_dir):

    slow = tf.data.Dataset.range(6).map(
        lambda i: tf.py_function(lambda x: (time.sleep(0.05), x)[1], (i,), tf.int64)
    )
    ds, waited = pipeline.timed(slow)
    assert [int(i) for i in ds] == list(range(6))
    assert ds.cardinality() == 6
    assert 0.3 <= waited.numpy() < 0.6
    ds, waited = pipeline.timed(tf.data.Dataset.range(6).prefetch(6))
    for _ in ds:
        time.sleep(0.05)
    assert waited.numpy() < 0.1


def test_process_ends_while_batches_are_in_flight(data_dir):
    """Leaving in the middle of a stream must neither hang nor crash."""
    code = (
        "import sys; from sentiflow import pipeline\n"
        "ds = pipeline.load('emotionroi/jpeg256', split='train', data_dir=sys.argv[1], training=True, epochs=999,"
        " batch_size=4, cache='none')\n"
        "stream = iter(ds)\n"
        "next(stream)\n"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", code, data_dir], timeout=120, capture_output=True
    )
    assert outcome.returncode == 0, outcome.stderr


def test_settings_resolve():
    training = pipeline.Settings().training()
    assert (training.crop, training.last_batch, training.rotation, training.flip) == (
        "random",
        "drop",
        20.0,
        True,
    )
    still = pipeline.Settings(zoom=0.2, brightness=0.1).evaluation()
    assert (still.crop, still.last_batch, still.rotation, still.flip) == (
        "center",
        "keep",
        0.0,
        False,
    )
    assert (still.zoom, still.brightness) == (0.0, 0.0)
    assert pipeline.Settings(crop="random").evaluation().crop == "random"


@pytest.mark.parametrize(
    "name", ["crop", "last_batch", "cache", "interpolation", "preprocess", "agreement", "fold"]
)
def test_a_choice_that_there_is_not_is_refused_with_the_list(name):
    allowed = choices(hints(pipeline.Settings)[name])
    with pytest.raises(pipeline.InputError) as error:
        pipeline.Settings(**{name: "x"})
    assert (
        str(error.value) == f"{name} must be one of {', '.join(map(str, allowed))}. Received: 'x'"
    )


@pytest.mark.parametrize(
    ("values", "rule"),
    [
        ({"batch_size": 0}, "batch_size must be at least 1. Received: 0"),
        ({"image_size": 0}, "image_size must be at least 1 pixel. Received: 0"),
        ({"crop_fraction": 0.0}, "crop_fraction must be in (0, 1]. Received: 0.0"),
        ({"rotation": 180.5}, "rotation must be in [0, 180] degrees. Received: 180.5"),
        ({"zoom": 1.0}, "zoom must be in [0, 1). Received: 1.0"),
        ({"seed": -1}, "seed must be in [0, 9223372036854775807]. Received: -1"),
    ],
)
def test_a_number_outside_of_its_range_is_refused_with_the_range(values, rule):
    with pytest.raises(pipeline.InputError, match=f"^{re.escape(rule)}$"):
        pipeline.Settings(**values)


@pytest.mark.parametrize("crop", ["auto", "random", "center"])
def test_a_picture_file_is_cut_at_its_centre_whatever_training_does(photos, crop):
    path = photos / "images" / "fear" / "2.jpg"
    found = pipeline.read_image(path, pipeline.Settings(crop=crop, preprocess=None))
    np.testing.assert_array_equal(found, reference_pixels(path))


@pytest.mark.parametrize(
    ("images", "batch", "policy", "hosts", "expected"),
    [
        (1584, 32, "drop", 1, 49),
        (10, 4, "keep", 1, 3),
        (10, 4, "drop", 3, 0),
        (10, 4, "pad", 3, 1),
        (11, 2, "pad", 2, 3),
    ],
)
def test_steps(images, batch, policy, hosts, expected):
    assert pipeline.steps(images, batch_size=batch, last_batch=policy, hosts=hosts) == expected


@pytest.mark.parametrize("storage", STORAGES)
def test_pixels_that_do_not_fit_are_refused_before_they_are_read(data_dir, monkeypatch, storage):
    memory = types.SimpleNamespace(available=30 * 256 * 256)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(resized, "images", None)
    with pytest.raises(pipeline.InputError, match="use cache='none'"):
        load(storage, data_dir, cache="memory")
