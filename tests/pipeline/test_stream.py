"""What a stream gives: exact permutations, and the same again for the same arguments."""

import itertools
import subprocess
import sys
import time
import types

import numpy as np
import psutil
import pytest
import tensorflow as tf
from streams import STORAGES, arrays, images, load

from sentiflow import pipeline
from sentiflow.pipeline import device_view
from sentiflow.pipeline.sources import resized


def order(storage, data_dir, **options):
    """Labels cannot tell images apart, so the order is that of the numbers that the plan draws."""
    seen = images(
        load(storage, data_dir, crop="center", rotation=0, flip=False, training=True, **options)
    )
    still = images(load(storage, data_dir, crop="center"))
    return [int(np.abs(still.astype(int) - one).sum(axis=(1, 2, 3)).argmin()) for one in seen]


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


EVERYTHING = {"zoom": 0.1, "brightness": 0.1, "contrast": 0.1, "preprocess": "caffe"}
CUT = {"rotation": 0, "preprocess": "none"}


def assert_the_device_sees(ds, expected, *, preprocess, tolerance, pixels=None):
    """That the view on the device makes of batches what the host makes of them."""
    assert len(ds) == len(expected) > 0
    for (windows, label), (image, same_label) in zip(
        *(stream.as_numpy_iterator() for stream in (ds, expected)), strict=True
    ):
        seen = pipeline.see_windows(windows, image_size=256, preprocess=preprocess, pixels=pixels)
        np.testing.assert_allclose(np.asarray(seen), image, rtol=0, atol=tolerance)
        np.testing.assert_array_equal(label, same_label)


@pytest.mark.parametrize("storage", STORAGES)
def test_the_device_tier_shows_what_the_memory_tier_shows(data_dir, storage):
    """Crops to the bit; what is sampled between pixels to a hundredth of a level."""
    pixels = pipeline.open(f"emotionroi/{storage}", data_dir=data_dir).device_pixels()
    for split in ("train", "test"):
        for tolerance, options in ((0, CUT), (0.01, EVERYTHING)):
            options = {"split": split, "training": True, "seed": 3, "epochs": 2, **options}
            on_device, expected = (
                load(storage, data_dir, cache=cache, **options) for cache in ("device", "memory")
            )
            assert_the_device_sees(
                on_device,
                expected,
                preprocess=options["preprocess"],
                tolerance=tolerance,
                pixels=pixels,
            )


@pytest.mark.parametrize(
    ("storage", "cache"), [("raw256", "none"), ("raw256", "memory"), ("jpeg256", "none")]
)
def test_a_view_that_is_left_to_the_device_shows_the_same(data_dir, storage, cache):
    for tolerance, options in ((0, CUT), (0.01, EVERYTHING)):
        options = {"training": True, "seed": 3, "cache": cache, **options}
        streams = [load(storage, data_dir, viewed=viewed, **options) for viewed in (False, True)]
        windows = streams[0].element_spec[0]["windows"]
        assert (windows.dtype, windows.shape[1:]) == ("uint8", (256, 256, 3))
        assert_the_device_sees(*streams, preprocess=options["preprocess"], tolerance=tolerance)


def test_pixels_on_the_device_lie_in_blocks_that_windows_cross(data_dir, monkeypatch):
    """Blocks of seven pixels stand for those whose numbers end at 31 bits."""
    monkeypatch.setattr(device_view, "BLOCK", 7)
    pixels = pipeline.open("emotionroi/raw256", data_dir=data_dir).device_pixels()
    assert (pixels.dtype, pixels.shape[1]) == (np.uint32, 7)
    streams = [
        load("raw256", data_dir, training=True, cache=cache, **EVERYTHING)
        for cache in ("device", "memory")
    ]
    assert_the_device_sees(*streams, preprocess="caffe", tolerance=0.01, pixels=pixels)


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
    # Else hosts that wait for one another would hang.
    assert last_batch == "keep" or len(set(lengths)) == 1


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
    """Leaving in the middle of a stream must neither hang nor crash, nor must Python in it."""
    code = (
        "import sys; from sentiflow import pipeline\n"
        "ds = pipeline.load('emotionroi/original', split='train', data_dir=sys.argv[1],"
        " training=True, epochs=999,"
        " batch_size=4, cache='none')\n"
        "stream = iter(ds)\n"
        "next(stream)\n"
    )
    outcome = subprocess.run(
        [sys.executable, "-c", code, data_dir], timeout=120, capture_output=True
    )
    assert outcome.returncode == 0, outcome.stderr


@pytest.mark.parametrize("storage", STORAGES)
def test_pixels_that_do_not_fit_are_refused_before_they_are_read(data_dir, monkeypatch, storage):
    memory = types.SimpleNamespace(available=30 * 256 * 256)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    monkeypatch.setattr(resized, "images", None)
    with pytest.raises(pipeline.InputError, match="use cache='none'"):
        load(storage, data_dir, cache="memory")
