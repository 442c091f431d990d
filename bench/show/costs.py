"""Tables of `bench.cost`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sentiflow.builders.writing.shards import IMAGES_PER_SHARD
from sentiflow.markdown import pipe_table

from ..harness.cost import ADDRESSES, GIB, MAPPINGS, Model, read_model
from .table import setting

IMAGES = (1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
GBIT = 10.0  # of the network that a dataset is copied over
CORES = 64  # of the machine that builds
RATE = 1_000.0  # images/s, of which an accelerator takes some multiple
MEMORY, DEVICE, DISK = 64, 80, 8_000  # GiB of a host, of an accelerator; GB of a disk

Table = tuple[str, tuple[str, ...], Sequence[tuple[str, ...]]]  # title, headings, lines


def tables(model: Model, *, images: Sequence[int], gbit: float, cores: int) -> list[Table]:
    """What is built, what is read, and what ends where.

    Args:
        model: the constants.
        images: numbers of images.
        gbit: Gbit/s of a network.
        cores: that build.
    """
    return [_sizes(model, images, gbit, cores), _rates(model), _ends(model)]


def _sizes(model: Model, images: Sequence[int], gbit: float, cores: int) -> Table:
    hours = f"hours on {cores} cores"
    headings = ("images", "storage", "on disk", "core hours", hours, f"hours at {gbit:g} Gbit/s")
    lines = [
        (
            f"{count:,}",
            storage.name,
            _bytes(storage.disk(count)),
            f"{storage.core_hours(count):,.1f}",
            f"{storage.core_hours(count) / cores:,.2f}",
            f"{storage.staging_seconds(count, gbit) / 3600:,.2f}",
        )
        for count in images
        for storage in model.storages
    ]
    return "To build, and to copy", headings, lines


def _rates(model: Model) -> Table:
    headings = ("storage", "bytes/image", "MB/s", "Gbit/s", "cores", "cores without the view")
    lines = [
        (
            storage.name,
            f"{storage.bytes:,.0f}",
            f"{storage.bandwidth(RATE) / 1e6:,.0f}",
            f"{storage.bandwidth(RATE) * 8 / 1e9:,.2f}",
            f"{storage.view_seconds * RATE:,.2f}",
            f"{storage.window_seconds * RATE:,.2f}",
        )
        for storage in model.storages
    ]
    return f"To feed {RATE:,.0f} images/s", headings, lines


def _ends(model: Model) -> Table:
    """What grows with the images and ends, and what to use then."""
    by_name = {storage.name: storage for storage in model.storages}
    raw, jpeg = by_name["raw256"], by_name["jpeg256"]
    memory, device = f"{MEMORY} GiB of memory", f"{DEVICE} GiB of an accelerator"
    disk = f"a disk of {DISK / 1000:g} TB"
    lines = [
        ("tier device", device, _count(DEVICE * GIB / raw.bytes), "tier memory"),
        ("tier memory", memory, _count(MEMORY * GIB / raw.bytes), "tier none"),
        ("tier none, raw256", disk, _count(DISK * 1e9 / raw.bytes), "jpeg256"),
        ("tier none, jpeg256", disk, _count(DISK * 1e9 / jpeg.bytes), "more disks as one"),
        (
            "mappings of a process",
            f"{MAPPINGS:,} shards of {IMAGES_PER_SHARD:,}",
            _count(MAPPINGS * IMAGES_PER_SHARD),
            "a smaller --num_shards, or a higher vm.max_map_count",
        ),
        ("addresses, raw256", "47 bits", _count(ADDRESSES / raw.bytes), "jpeg256"),
        (
            "names in a build",
            memory,
            _count(model.largest(MEMORY * GIB)),
            "several datasets, or more memory",
        ),
    ]
    return "What ends where", ("what", "ends with", "images", "then"), lines


def _bytes(count: float) -> str:
    return f"{count / 1e12:,.1f} TB" if count >= 1e12 else f"{count / 1e9:,.0f} GB"


def _count(images: float) -> str:
    return f"{images / 1e6:,.2f} million"


def markdown(path: Path) -> str:
    """The tables for a page, from the rows in the folder of `path`."""
    model = read_model(path.parent)
    texts = (2, 1, 2)
    parts = [
        f"**{title}**\n\n{pipe_table(headings, lines, texts=count)}"
        for (title, headings, lines), count in zip(
            tables(model, images=IMAGES, gbit=GBIT, cores=CORES), texts, strict=True
        )
    ]
    return "\n\n".join([*parts, setting(model.rows[0])])
