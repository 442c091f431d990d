"""What a dataset holds, counted while it is built.

The data of a dataset card, in `metadata.json`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from .storage import Stored

_MOST_LISTED = 20
_QUANTILES = {
    "min": 0.0,
    "p5": 0.05,
    "p25": 0.25,
    "median": 0.5,
    "p75": 0.75,
    "p95": 0.95,
    "max": 1.0,
}


class Card:
    """Counts images by class and split, sizes, formats and modes.

    Its memory does not grow with their number.
    """

    def __init__(self, class_names: Sequence[str]) -> None:
        self._class_names = class_names
        self._classes: dict[str, Counter[str]] = {}
        self._sides = {name: Counter[int]() for name in ("width", "height", "short_side")}
        self._formats: Counter[str] = Counter()
        self._modes: Counter[str] = Counter()
        self._clipped = Counter[tuple[str, str]]()

    def add(self, split: str, label: str, stored: Stored) -> None:
        """Counts one image that is in the dataset."""
        width, height = stored.size
        self._classes.setdefault(split, Counter())[label] += 1
        self._sides["width"][width] += 1
        self._sides["height"][height] += 1
        self._sides["short_side"][min(width, height)] += 1
        self._formats[stored.format] += 1
        self._modes[stored.mode] += 1
        if stored.clipped:
            self._clipped[label, stored.mode] += 1

    def classes(self, split: str) -> set[str]:
        """Those that have images in a split."""
        return set(self._classes.get(split, ()))

    def clipping(self) -> str | None:
        """What was cut off, by class and mode, as a line for the terminal; None if nothing was."""
        if not self._clipped:
            return None
        classes, modes = Counter[str](), Counter[str]()
        for (label, mode), images in self._clipped.items():
            classes[label] += images
            modes[mode] += images
        return (
            f"{self._clipped.total()} images have more than 8 bits a value; those below 0 and above"
            f" 255 became 0 and 255. Classes: {_listing(classes)}. Modes: {_listing(modes)}."
        )

    def facts(self) -> dict[str, Any]:
        """For the metadata.

        Returns:
            `class_counts`, images by split and class; `source_sizes`, quantiles of width, height
            and short side of the files in pixels; `formats` and `modes`, images by Pillow's names;
            `clipped_images`, those of more than 8 bits a value.
        """
        return {
            "class_counts": {
                split: {name: counts[name] for name in self._class_names}
                for split, counts in self._classes.items()
            },
            "source_sizes": {side: quantiles(counts) for side, counts in self._sides.items()},
            "formats": dict(self._formats.most_common()),
            "modes": dict(self._modes.most_common()),
            "clipped_images": self._clipped.total(),
        }


def _listing(counts: Counter[str]) -> str:
    shown = [f"{name} {images}" for name, images in counts.most_common(_MOST_LISTED)]
    more = len(counts) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def quantiles(counts: Counter[int]) -> dict[str, int]:
    """Quantiles of values that are given as value -> how often; each is a value that occurs."""
    values = sorted(counts)
    if not values:
        return {}
    at_most = np.cumsum([counts[value] for value in values])
    return {
        name: values[int(np.searchsorted(at_most, max(1, np.ceil(share * at_most[-1]))))]
        for name, share in _QUANTILES.items()
    }
