"""What a dataset holds, counted while it is built.

The data of a dataset card, in `metadata.json`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .storage import Stored

_MOST_LISTED = 20
_SIDES = ("width", "height", "short_side")
_QUANTILES = {
    "min": 0.0,
    "p5": 0.05,
    "p25": 0.25,
    "median": 0.5,
    "p75": 0.75,
    "p95": 0.95,
    "max": 1.0,
}

Key = tuple[Any, ...]


class Card:
    """Counts images by class and split, sizes, formats and modes.

    Its memory does not grow with their number.

    Attributes:
        counts: images by what they have in common: ("class", split, label), ("width", pixels),
            ("height", pixels), ("short_side", pixels), ("format", name), ("mode", name), or
            ("clipped", label, mode) for more than 8 bits a value.
    """

    def __init__(self, counts: Iterable[tuple[Key, int]] = ()) -> None:
        self.counts: Counter[Key] = Counter(dict(counts))

    def add(self, split: str, label: str, stored: Stored) -> None:
        """Counts one image that is in the dataset."""
        width, height = stored.size
        keys: list[Key] = [
            ("class", split, label),
            ("width", width),
            ("height", height),
            ("short_side", min(width, height)),
            ("format", stored.format),
            ("mode", stored.mode),
        ]
        if stored.clipped:
            keys.append(("clipped", label, stored.mode))
        self.counts.update(keys)

    def classes(self, split: str) -> set[str]:
        """Those that have images in a split."""
        return set(self._of("class", split))

    def clipping(self) -> str | None:
        """What was cut off, by class and mode, as a line for the terminal; None if nothing was."""
        clipped = {key: images for key, images in self.counts.items() if key[0] == "clipped"}
        if not clipped:
            return None
        classes, modes = Counter[str](), Counter[str]()
        for (_, label, mode), images in clipped.items():
            classes[label] += images
            modes[mode] += images
        return (
            f"{classes.total()} images have more than 8 bits a value; those below 0 and above"
            f" 255 became 0 and 255. Classes: {_listing(classes)}. Modes: {_listing(modes)}."
        )

    def facts(self, class_names: Sequence[str]) -> dict[str, Any]:
        """For the metadata.

        Args:
            class_names: of the dataset, by label.

        Returns:
            `class_counts`, images by split and class; `source_sizes`, quantiles of width, height
            and short side of the files in pixels; `formats` and `modes`, images by Pillow's names;
            `clipped_images`, those of more than 8 bits a value.
        """
        splits = dict.fromkeys(key[1] for key in self.counts if key[0] == "class")
        return {
            "class_counts": {
                split: {name: self.counts["class", split, name] for name in class_names}
                for split in splits
            },
            "source_sizes": {side: quantiles(self._of(side)) for side in _SIDES},
            "formats": dict(self._of("format").most_common()),
            "modes": dict(self._of("mode").most_common()),
            "clipped_images": sum(n for key, n in self.counts.items() if key[0] == "clipped"),
        }

    def _of(self, *kind: Any) -> Counter[Any]:
        """Images by the last part of their key, of those that begin so."""
        return Counter({key[-1]: n for key, n in self.counts.items() if key[:-1] == kind})


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
