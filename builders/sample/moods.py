"""The look of every class: its colours, roughness and shapes."""

from __future__ import annotations

import colorsys
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class Mood(NamedTuple):
    """What the pictures of one class tend to.

    Colours as HSV in [0, 1], sizes relative to the short side.
    """

    hues: tuple[float, ...]
    saturation: float
    brightness: float
    slope: float  # of the amplitude spectrum, 1 / f**slope
    petals: int  # lobes of the shapes' outline
    depth: float  # of the lobes; 0 is an ellipse
    stretch: float  # length / width
    angle: float  # radians, of the length to the horizontal
    size: float  # radius of the subject's shapes
    shapes: int  # in the subject


MOODS = {
    "anger": Mood((0.0, 0.03, 0.97), 0.78, 0.52, 0.80, 11, 0.55, 1.2, 0.4, 0.24, 3),
    "disgust": Mood((0.17, 0.21, 0.13), 0.52, 0.48, 0.90, 3, 0.18, 1.1, 0.0, 0.13, 9),
    "fear": Mood((0.60, 0.66, 0.72), 0.38, 0.28, 0.95, 2, 0.15, 9.0, 1.5, 0.30, 7),
    "joy": Mood((0.13, 0.10, 0.15, 0.95), 0.70, 0.78, 0.85, 7, 0.42, 1.0, 0.0, 0.19, 4),
    "sadness": Mood((0.57, 0.60, 0.08), 0.20, 0.46, 1.05, 2, 0.00, 1.9, 0.0, 0.22, 3),
    "surprise": Mood((0.88, 0.50, 0.14, 0.78), 0.66, 0.70, 0.80, 5, 0.30, 1.0, 0.0, 0.08, 15),
}
# Looks that all classes share: of the ground and of the sky.
NATURE = Mood((0.09, 0.24, 0.27, 0.30), 0.45, 0.48, 0.9, 2, 0.25, 2.5, 1.2, 0.1, 0)
AIR = Mood((0.56, 0.58, 0.60), 0.40, 0.75, 1.3, 2, 0.0, 2.0, 0.0, 0.1, 0)


def colour(
    rng: np.random.Generator, mood: Mood, brightness: float = 1.0, saturation: float = 1.0
) -> Floats:
    """A colour of the mood's palette: float32 RGB [3, 1, 1] in [0, 1]."""
    hue = rng.choice(mood.hues) + rng.normal(0, 0.03)
    s = np.clip((mood.saturation + rng.normal(0, 0.10)) * saturation, 0.02, 0.95)
    v = np.clip((mood.brightness + rng.normal(0, 0.08)) * brightness, 0.05, 0.98)
    return np.array(colorsys.hsv_to_rgb(hue % 1, s, v), np.float32)[:, None, None]
