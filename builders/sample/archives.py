"""Which photographs the two datasets hold: names, classes, lists and oddities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .moods import MOODS

DATASETS = ("emotionroi", "twitter1")
EMOTIONROI_SIZE = 1980  # images
TWITTER1_SIZE = 1269
TEST_SHARE = 99 / 330  # of every EmotionROI class: its last numbers
SMALL_SHARE = 67 / 1269  # of Twitter I: images whose short side is under 292 pixels
# Twitter I by exact agreement level: (negative, positive) images; pairs of byte-identical files
# that the level adds; lists; and the share of a picture's surroundings that shows its class (the
# annotators disagree where it is low).
AGREEMENT = {5: (301, 581), 4: (126, 108), 3: (73, 80)}
DUPLICATES = {5: 5, 4: 3, 3: 5}
LISTS = {5: "twitter_five_agrees.txt", 4: "twitter_four_agrees.txt", 3: "twitter_three_agrees.txt"}
PURITY = {5: 0.4, 4: 0.3, 3: 0.2}
# The moods of Twitter I's labels 0 and 1.
SENTIMENTS = (("anger", "disgust", "fear", "sadness"), ("joy", "surprise"))


class Photo(NamedTuple):
    """One file to draw. Its bytes depend on the seed and on everything but the paths."""

    path: str  # relative to the output folder
    dataset: str
    number: int  # of the picture: byte-identical files share it
    mood: str
    purity: float  # share of the surroundings in the class's own look, 0 to 1
    stimuli_path: str = ""
    small: bool = False
    grey: bool = False
    progressive: bool = False


def emotionroi(n: int) -> tuple[list[Photo], dict[str, str]]:
    """The photographs of EmotionROI with n images, and the text of its list files."""
    photos = []
    lists = {"training": "", "testing": ""}
    for k, mood in enumerate(MOODS):
        count = n // len(MOODS) + (k < n % len(MOODS))
        for i in range(count):
            name = f"{mood}/{i + 1}.jpg"
            index = k + len(MOODS) * i
            image = f"EmotionROI/images/{name}"
            stimuli = f"EmotionROI/ground_truth/{name}"
            grey = index % 331 == 5  # six of 1,980
            photos.append(
                Photo(image, "emotionroi", index, mood, 0.45, stimuli_path=stimuli, grey=grey)
            )
            lists["training" if i < count - round(TEST_SHARE * count) else "testing"] += f"{name}\n"
    return photos, {
        f"EmotionROI/training_testing_split/{name}.txt": text for name, text in lists.items()
    }


def agreement_cells(n: int) -> list[tuple[int, int]]:
    """(exact agreement level, label) of each of n images, in the real proportions."""
    kinds = [(level, label) for level in AGREEMENT for label in (0, 1)]
    ends = np.cumsum([AGREEMENT[level][label] for level, label in kinds])
    counts = np.diff(np.round(ends * n / TWITTER1_SIZE).astype(int), prepend=0)
    return [kind for kind, count in zip(kinds, counts, strict=True) for _ in range(count)]


def duplicate_pairs(rng: np.random.Generator, cells: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Which images repeat which others; one pair, of three-agree only, has conflicting labels."""
    free = rng.permutation(len(cells)).tolist()
    pairs = {}
    for level, count in DUPLICATES.items():
        for k in range(max(1, round(count * len(cells) / TWITTER1_SIZE))):
            copy = next(i for i in free if cells[i][0] == level)
            free.remove(copy)
            differ = level == 3 and k == 0
            pairs[copy] = next(
                i
                for i in free
                if cells[i][0] >= level and (cells[i][1] != cells[copy][1]) == differ
            )
            free.remove(pairs[copy])
    return pairs


def twitter1(n: int, seed: int) -> tuple[list[Photo], dict[str, str]]:
    """The photographs of Twitter I with n images, and the text of its list files."""
    rng = np.random.default_rng([seed, DATASETS.index("twitter1")])
    cells = agreement_cells(n)
    pairs = duplicate_pairs(rng, cells)
    single = rng.permutation(sorted(set(range(n)) - set(pairs) - set(pairs.values()))).tolist()
    small = set(single[1 : 1 + round(n * SMALL_SHARE)])
    names = [f"{number:05d}.jpg" for number in rng.permutation(n)]
    photos = []
    for i, name in enumerate(names):
        index = pairs.get(i, i)
        level, label = cells[index]
        mood = SENTIMENTS[label][index % len(SENTIMENTS[label])]
        path = f"Agg_AMT_Candidates/{name}"
        flags = {"small": index in small, "progressive": index == single[0]}
        photos.append(Photo(path, "twitter1", index, mood, PURITY[level], **flags))
    return photos, _list_texts(names, cells, rng.permutation(n).tolist())


def _list_texts(
    names: Sequence[str], cells: Sequence[tuple[int, int]], order: Sequence[int]
) -> dict[str, str]:
    """The text of Twitter I's list files, by name; lines lie in the given order of the images."""
    lines = {
        level: [f"{names[i]} {cells[i][1]}\n" for i in order if cells[i][0] >= level]
        for level in LISTS
    }
    return {LISTS[level]: "".join(lines[level]) for level in LISTS}
