"""Whether a contestant's batches are the work that it is timed for.

The worker leaves the first batches and a summary of an epoch (`bench.worker.evidence`). Here
pictures of those batches are searched for in the dataset: undo preprocessing, mirror and rotation,
then slide the middle over the covering resize of the source files, at a quarter of the size. The
best fit tells source, angle, mirror and place. So wrong labels, squashed or zoomed pictures,
missing or frozen augmentation, swapped channels and wrong means are all found.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from scipy import fft, ndimage, signal

from ..contestants.original import cover
from ..contestants.task import CAFFE_MEANS, Task

REDUCE = 4  # pictures are compared at 1/4 of their size
CANDIDATES = 12  # sources that a picture is compared with at a time, those of like colours first
CHECKED = 16  # pictures searched for in the dataset
# Standard deviation in reduced pixels; makes up for windows that start between two of them.
BLUR = 1.0
ANGLE_STEP = 2.5  # degrees between the rotations that are tried
# Share of a picture's variance that its source must explain: true sources reach 0.94, others 0.8.
MIN_FIT = 0.87
FLAT = 4.0  # grey levels; two pictures this close are the same, however little variance they have


@dataclasses.dataclass(frozen=True)
class Sources:
    """The pictures of a dataset after the covering resize, reduced.

    Attributes:
        pixels: float32 [h, w, 3] each, RGB, blurred.
        labels: int [n].
        colours: float32 [n, bins], the colour histogram of each.
    """

    pixels: Sequence[np.ndarray]
    labels: np.ndarray
    colours: np.ndarray


@dataclasses.dataclass(frozen=True)
class Match:
    """Where a picture comes from.

    Attributes:
        fit: share of its variance that the source explains; 1 is perfect.
        source: index of the source.
        mirrored: whether it is flipped.
        angle: degrees of rotation.
        offset: of the window's centre from the source's centre, pixels at full size.
    """

    fit: float
    source: int
    mirrored: bool
    angle: float
    offset: tuple[float, float]


def read_sources(photos: Path, size: int, crop_fraction: float) -> Sources:
    """Reads class folders of source files; labels number the folders in order of name."""
    classes = sorted(entry.name for entry in os.scandir(photos) if entry.is_dir())
    paths = [
        (path, label)
        for label, name in enumerate(classes)
        for path in sorted((photos / name).iterdir())
    ]
    with ThreadPoolExecutor() as executor:
        read = partial(_read_source, size=size, crop_fraction=crop_fraction)
        pixels = list(executor.map(read, [path for path, _ in paths]))
    labels = np.array([label for _, label in paths])
    return Sources(
        [_blur(image) for image in pixels], labels, np.stack([_colours(image) for image in pixels])
    )


def _read_source(path: Path, size: int, crop_fraction: float) -> np.ndarray:
    with Image.open(path) as file:
        image = cover(file.convert("RGB"), size, crop_fraction)
    return np.asarray(image.reduce(REDUCE), np.float32)


def _blur(image: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter(image, (BLUR, BLUR, 0))


def find_fault(evidence: Mapping[str, np.ndarray], task: Task, sources: Sources) -> str | None:
    """The first rule of the task's work that the evidence breaks, or None."""
    images = evidence["images"]
    labels = evidence["labels"]
    fault = _shape_fault(evidence, task) or _epoch_fault(evidence, task, sources)
    if fault:
        return fault
    if task.work == "augmented":
        images = images[..., ::-1] + np.array(CAFFE_MEANS[::-1], np.float32)
        if images.min() < -0.5 or images.max() > 255.5:
            span = f"{images.min():.1f} to {images.max():.1f}"
            return f"values are not caffe-preprocessed: undone, they span {span}"
    checked = np.linspace(0, len(images) - 1, min(CHECKED, len(images))).astype(int)
    largest = task.rotation if task.work == "augmented" else 0.0
    with ThreadPoolExecutor() as executor:
        find = partial(find_source, sources=sources, largest_angle=largest)
        matches = list(executor.map(find, images[checked]))
    return _match_fault(matches, labels[checked], sources) or randomness_fault(matches, task)


def _shape_fault(evidence: Mapping[str, np.ndarray], task: Task) -> str | None:
    images = evidence["images"]
    labels = evidence["labels"]
    dtype = np.dtype("float32" if task.work == "augmented" else "uint8")
    shape = (task.image_size, task.image_size, 3)
    if images.dtype != dtype or images.shape[1:] != shape:
        return f"images are {images.dtype} {list(images.shape[1:])}, not {dtype} {list(shape)}"
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape != images.shape[:1]:
        return f"labels are {labels.dtype} {list(labels.shape)}, not one integer for each image"
    if set(evidence["sizes"].tolist()) != {task.batch_size}:
        sizes = sorted(set(evidence["sizes"].tolist()))
        return f"batches hold {sizes} images, not {task.batch_size}"
    return None


def _epoch_fault(evidence: Mapping[str, np.ndarray], task: Task, sources: Sources) -> str | None:
    seen = evidence["labels_seen"]
    classes = int(sources.labels.max()) + 1
    if seen.min() < 0 or seen.max() >= classes:
        return f"labels span {seen.min()} to {seen.max()}, not 0 to {classes - 1}"
    # An epoch leaves out less than a batch, and a loader may let one epoch run into the next by as
    # much.
    expected = np.bincount(sources.labels, minlength=classes)
    difference = np.abs(np.bincount(seen, minlength=classes) - expected)
    if difference.max() > task.batch_size:
        count = f"an epoch's count of class {difference.argmax()} differs by {difference.max()}"
        return f"class balance is off: {count}"
    if evidence["distinct"] < 0.98 * len(seen):
        return f"an epoch of {len(seen)} images holds {evidence['distinct']} different ones"
    if evidence["repeated"] > 0.25:
        share = f"{evidence['repeated']:.0%} of the second epoch's views"
        return f"{share} are those of the first, pixel for pixel"
    return None


def _match_fault(matches: Sequence[Match], labels: np.ndarray, sources: Sources) -> str | None:
    strangers = sum(match.fit < MIN_FIT for match in matches)
    if strangers:
        worst = min(match.fit for match in matches)
        pictures = f"{strangers} of {len(matches)} pictures"
        return f"{pictures} are no such view of a source file (worst fit {worst:.2f})"
    wrong = sum(
        sources.labels[match.source] != label for match, label in zip(matches, labels, strict=True)
    )
    return f"{wrong} of {len(matches)} labels are not those of the pictures" if wrong > 1 else None


def randomness_fault(matches: Sequence[Match], task: Task) -> str | None:
    """What of an augmentation is missing in pictures that were traced, or None."""
    if len(matches) < CHECKED:
        return None
    if len({match.mirrored for match in matches}) < 2:
        return f"all of {len(matches)} pictures are mirrored alike"
    angles = np.array([match.angle for match in matches])
    if task.work == "augmented" and not 0.25 * task.rotation < angles.std() < task.rotation:
        expected = f"U(-{task.rotation:g}, {task.rotation:g})"
        return f"angles spread by {angles.std():.1f} degrees, not by {expected}"
    if np.abs([match.offset for match in matches]).max() < 2 * REDUCE:
        return "all windows are at the centre"
    return None


def find_source(image: np.ndarray, *, sources: Sources, largest_angle: float) -> Match:
    """Finds the source file, angle, mirror and place of a picture.

    Args:
        image: RGB in 0..255, [s, s, 3].
        sources: to search in.
        largest_angle: degrees; 0 searches for unrotated windows only.
    """
    # Windows that lie between the pixels of the reduced sources may fit badly where the picture is
    # faint. What the shift wraps around is outside the template.
    half = REDUCE // 2
    best = Match(-np.inf, 0, False, 0.0, (0.0, 0.0))
    for shift in ((0, 0), (half, half), (half, 0), (0, half)):
        match = _search(np.roll(image, shift, (0, 1)), sources, largest_angle)
        best = max(best, match, key=lambda match: match.fit)
        if best.fit >= MIN_FIT:
            break
    return best


def _search(image: np.ndarray, sources: Sources, largest_angle: float) -> Match:
    side = image.shape[0] // REDUCE
    small = image.astype(np.float32).reshape(side, REDUCE, side, REDUCE, 3).mean((1, 3))
    nearest = np.argsort(np.abs(sources.colours - _colours(small)).sum(1)).tolist()
    small = _blur(small)
    angles = np.linspace(
        -largest_angle, largest_angle, 1 + 2 * round(largest_angle / ANGLE_STEP)
    ).tolist()
    views = [(mirrored, angle) for mirrored in (False, True) for angle in angles]
    templates = np.stack(
        [_template(small[:, ::-1] if mirrored else small, angle) for mirrored, angle in views]
    )
    best = (-np.inf, 0, (0.0, 0.0), 0)
    # A window may lack the colours of the rest of its source, so the search ends only with a fit,
    # or with all sources.
    for start in range(0, len(nearest), CANDIDATES):
        several = nearest[start : start + CANDIDATES]
        best = max(
            best, *((*_slide(templates, sources.pixels[source]), source) for source in several)
        )
        if best[0] >= MIN_FIT:
            break
    fit, view, offset, source = best
    mirrored, angle = views[view]
    return Match(fit, source, mirrored, angle, offset)


def _template(image: np.ndarray, angle: float) -> np.ndarray:
    # The central square that holds no filled corner, whatever the angle.
    turned = (
        ndimage.rotate(image, angle, reshape=False, order=1, mode="nearest") if angle else image
    )
    inset = image.shape[0] // 6
    return turned[inset:-inset, inset:-inset]


def _slide(templates: np.ndarray, source: np.ndarray) -> tuple[float, int, tuple[float, float]]:
    """Slides templates, float32 [n, t, t, 3], over a picture.

    Returns:
        The best fit, the template that has it, and the offset of its centre from the picture's, (y,
        x) at full size.
    """
    side = templates.shape[1]
    shape = source.shape[:2]
    spectrum = fft.rfft2(source, axes=(0, 1)) * fft.rfft2(templates, s=shape, axes=(1, 2)).conj()
    product = fft.irfft2(spectrum.sum(-1), s=shape, axes=(1, 2))[
        :, : shape[0] - side + 1, : shape[1] - side + 1
    ]
    energy = signal.oaconvolve((source**2).sum(-1), np.ones((side, side), np.float32), mode="valid")
    error = (energy - 2 * product + (templates**2).sum((1, 2, 3))[:, None, None]) / templates[
        0
    ].size
    view, y, x = np.unravel_index(np.argmin(error), error.shape)
    least = float(error[view, y, x])
    fit = 1.0 if least < FLAT**2 else 1 - least / float(templates[view].var((0, 1)).mean())
    middle = (np.array(error.shape[1:]) - 1) / 2
    return fit, int(view), (float(REDUCE * (y - middle[0])), float(REDUCE * (x - middle[1])))


def _colours(image: np.ndarray) -> np.ndarray:
    """Colour histogram of a picture: float32 [64], sums to 1."""
    bins = np.clip(image, 0, 255).astype(np.int64) // 64 @ np.array([16, 4, 1])
    return (np.bincount(bins.ravel(), minlength=64) / bins.size).astype(np.float32)
