"""The bounds of the machine: what they yield, and how they are told."""

import dataclasses
import os

import numpy as np
import pytest
from sample_rows import make_row

from sentiflow import pipeline
from sentiflow.bench.contestants import CONTESTANTS, bounds
from sentiflow.bench.contestants.task import find_loader
from sentiflow.bench.harness import inputs, runner
from sentiflow.bench.harness.settings import Settings
from sentiflow.bench.show.bounds import summarise

CORES = 2
IMAGES = 30


@pytest.fixture
def batches_of(data_dir):
    """(contestant) -> its endless batches, on two cores, in batches of eight."""
    started = []

    def batches_of(name):
        entry = CONTESTANTS[name]
        source = {"data_dir": data_dir, "photos": "", "images": IMAGES}
        task = runner.make_task(entry, Settings(batch_size=8), work=entry.works[0], **source)
        started.append(find_loader(entry.function)(dataclasses.replace(task, cores=CORES)))
        return started[-1]

    yield batches_of
    for batches in started:
        batches.close()


@pytest.mark.parametrize("library", ["simplejpeg", "pillow"])
def test_a_decoder_counts_every_file_once_an_epoch(batches_of, library):
    counts = [len(next(batches)[1]) for batches in [batches_of(f"limit-decode-{library}")] * 8]
    assert counts == [8, 8, 8, 6] * 2  # 30 files, eight to a thread


def test_tensorflow_decodes_whole_batches(batches_of):
    batches = batches_of("limit-decode-tensorflow")
    assert [next(batches)[1].shape for _ in range(4)] == [(8,)] * 4


def test_copied_windows_are_those_of_the_stored_images(batches_of, data_dir):
    stored = inputs.read_plain("emotionroi", "raw256", split="train", data_dir=data_dir)
    images = [image for image, _ in stored]
    windows, drawn = next(batches_of("limit-copy-windows"))
    assert len(drawn) == CORES * 8  # a batch for each core
    assert windows.shape == (8, 256, 256, 3)
    for window, i in zip(windows, drawn, strict=False):  # the first core's
        places = np.lib.stride_tricks.sliding_window_view(images[i], (256, 256, 3))
        assert (places == window).all(axis=(3, 4, 5)).any()


def test_copied_memory_is_counted_in_windows(batches_of):
    block, counted = next(batches_of("limit-copy-memory"))
    assert len(counted) == CORES * bounds.BLOCK_BYTES // (256 * 256 * 3)
    assert block.min() == 1


def test_bounds_in_words():
    measured = [
        make_row("a", 1000.0, work="decode"),
        make_row("b", 3838.4, work="decode"),
        make_row("c", 79500.0, work="copy"),
        make_row("d", None, work="memory", status="failed: x"),
    ]
    assert summarise(measured) == [
        "bound of JPEG decoding: 3,838 images/s (b)",
        "bound of copying windows: 79,500 images/s, 15.6 GB/s (c)",
    ]


def test_the_disk_is_read_from_begin_to_end(batches_of, data_dir):
    shards = pipeline.open("emotionroi/raw256", data_dir=data_dir).shards
    sizes = [os.path.getsize(path) for path in shards]
    batches = batches_of("limit-read-disk")
    reads = 2 * sum(-(-size // bounds.READ_BYTES) for size in sizes)
    counts = [len(next(batches)[1]) for _ in range(reads)]
    assert sum(counts) == 2 * sum(sizes) // bounds.WINDOW_BYTES
