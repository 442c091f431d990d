"""Every contestant does the work that it is timed for, and the check finds those that do not."""

import dataclasses
import re

import numpy as np
import pytest
from PIL import Image

from sentiflow.bench.contestants import CONTESTANTS, original
from sentiflow.bench.contestants.task import find_loader
from sentiflow.bench.harness import check, runner
from sentiflow.bench.harness.settings import Settings
from sentiflow.bench.worker.evidence import gather_evidence

# A process of its own takes seconds to start, so that contestant is tried at one work only.
TRIED = [
    (name, work)
    for name, entry in CONTESTANTS.items()
    for work in entry.works
    if work in ("augmented", "crop") and (name, work) != ("original-processes", "augmented")
    if entry.kind != "peer"
]
MEANS = np.array(check.CAFFE_MEANS, np.float32)


@pytest.fixture(scope="module")
def sources(exported):
    return check.read_sources(exported, 256, 0.875)


@pytest.fixture(scope="module")
def gather(data_dir, exported):
    """(contestant, work) -> its task and the evidence of its batches."""

    def gather(name, work):
        source = {"data_dir": data_dir, "photos": str(exported), "images": 30}
        task = runner.make_task(CONTESTANTS[name], Settings(batch_size=10), work=work, **source)
        if name == "original-processes":
            task = dataclasses.replace(task, cores=1)  # each process imports TensorFlow
        batches = find_loader(CONTESTANTS[name].function)(task)
        evidence = gather_evidence(next(batches), batches, steps=3)
        if hasattr(batches, "close"):
            batches.close()
        return task, evidence

    return gather


@pytest.fixture(scope="module")
def right(gather):
    """What the original generator does, by work."""
    return {work: gather("original-1", work) for work in ("augmented", "crop")}


@pytest.mark.parametrize(("name", "work"), TRIED)
def test_every_contestant_is_right(gather, sources, name, work):
    task, evidence = gather(name, work)
    assert check.find_fault(evidence, task, sources) is None


def squash(images):
    return np.concatenate([images[:, :, ::2], images[:, :, ::2]], axis=2)


def zoom(images):
    return images[:, 32:-32, 32:-32].repeat(2, 1).repeat(2, 2)[:, :256, :256]


def strangers(change):
    """Spoils pictures, but few, because each is searched for among all sources in vain."""
    return lambda evidence: {
        "images": change(evidence["images"][:3]),
        "labels": evidence["labels"][:3],
    }


@pytest.mark.parametrize(
    ("work", "spoil", "phrase"),
    [
        ("crop", lambda e: {"images": e["images"].astype(np.float32)}, "images are float32"),
        (
            "crop",
            lambda e: {"images": e["images"][:, :224, :224]},
            r"uint8 \[224, 224, 3\], not uint8",
        ),
        ("crop", lambda e: {"labels": e["labels"] / 2}, "labels are float64"),
        ("crop", lambda e: {"labels_seen": e["labels_seen"] + 1}, "labels span 1 to 6, not 0 to 5"),
        ("crop", lambda e: {"labels_seen": e["labels_seen"] * 0}, "class balance is off"),
        (
            "crop",
            lambda e: {"sizes": np.array([10, 10, 3])},
            r"batches hold \[3, 10\] images, not 10",
        ),
        (
            "crop",
            lambda e: {"distinct": np.array(15)},
            "an epoch of 30 images holds 15 different ones",
        ),
        (
            "crop",
            lambda e: {"repeated": np.array(1.0)},
            "100% of the second epoch's views are those of the first",
        ),
        (
            "crop",
            lambda e: {"labels": np.roll(e["labels"], 1)},
            "labels are not those of the pictures",
        ),
        ("crop", strangers(lambda images: images[..., ::-1]), "no such view of a source file"),
        ("crop", strangers(squash), "no such view of a source file"),
        ("crop", strangers(zoom), "no such view of a source file"),
        ("augmented", strangers(lambda images: images / 127.5), "no such view of a source file"),
        (
            "augmented",
            lambda e: {"images": e["images"] + MEANS},
            "values are not caffe-preprocessed",
        ),
        ("augmented", strangers(lambda images: images[:, ::-1]), "no such view of a source file"),
    ],
)
def test_wrong_batches_are_found(right, sources, work, spoil, phrase):
    task, evidence = right[work]
    fault = check.find_fault({**evidence, **spoil(evidence)}, task, sources)
    assert fault is not None
    assert re.search(phrase, fault), fault


def test_missing_augmentation_is_found(right, sources):
    task, evidence = right["crop"]
    unturned = evidence["images"][..., ::-1] - MEANS
    augmented, _ = right["augmented"]
    assert "angles spread by" in check.find_fault(
        {**evidence, "images": unturned}, augmented, sources
    )
    matches = [check.Match(1.0, 0, i % 2 == 0, 0.0, (0.0, 0.0)) for i in range(check.CHECKED)]
    assert check.randomness_fault(matches, task) == "all windows are at the centre"
    matches = [check.Match(1.0, 0, True, 0.0, (40.0, 0.0)) for i in range(check.CHECKED)]
    assert check.randomness_fault(matches, task) == "all of 16 pictures are mirrored alike"


def test_a_view_is_traced_to_its_source_angle_mirror_and_place(exported, sources):
    path = sorted(exported.glob("*/*.jpg"))[0]
    pixels = np.asarray(original.cover(Image.open(path).convert("RGB"), 256, 0.875))
    match = check.find_source(pixels[:256, -256:][:, ::-1], sources=sources, largest_angle=0.0)
    assert (match.source, match.mirrored, match.angle) == (0, True, 0.0)
    expected = np.array([256 - pixels.shape[0], pixels.shape[1] - 256]) / 2
    np.testing.assert_allclose(match.offset, expected, atol=check.REDUCE)
