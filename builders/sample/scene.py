"""Draws the synthetic photographs: landscapes and close-ups of dead leaves.

Opaque shapes, radii of density r**-3, cover one another; that is the known model of natural images'
statistics (Lee, Mumford and Huang, "Occlusion models for natural images", IJCV 41, 2001). Surfaces
carry noise of amplitude 1 / f**slope. A class has its own colours, roughness and shapes, among
others that it shares with the rest.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft

from .moods import AIR, MOODS, NATURE, Floats, Mood, colour


def noise(
    rng: np.random.Generator, height: int, width: int, *slopes: float, stretch: float = 1.0
) -> list[Floats]:
    """One random surface per slope, of amplitude 1 / f**slope.

    float32 [height, width], mean 0, deviation 1.
    """
    rows, columns = (fft.next_fast_len(n, real=True) for n in (height, width))
    fy = fft.fftfreq(rows)[:, None] * stretch
    fx = fft.rfftfreq(columns)[None] / stretch
    octaves = np.log(np.hypot(fy, fx) + 1e-9).astype(np.float32)
    white = rng.standard_normal((*octaves.shape, 2), np.float32).view(np.complex64)[..., 0]
    white[0, 0] = 0
    surfaces = [
        fft.irfft2(white * np.exp(-slope * octaves), s=(rows, columns))[:height, :width]
        for slope in slopes
    ]
    return [(surface - surface.mean()) / (surface.std() + 1e-6) for surface in surfaces]


class Leaf(NamedTuple):
    """One shape: centre, radius and width of its soft edge in pixels, its look and colours."""

    y: float
    x: float
    radius: float
    angle: float  # radians
    blur: float
    mood: Mood
    inner: Floats
    outer: Floats

    def softness(self) -> float:
        """Width of the edge, relative to the radius across the shape's length."""
        return (self.blur + 1) * self.mood.stretch**0.5 / self.radius

    def extent(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of a picture that the shape and its shadow touch; they may be none."""
        long = self.mood.stretch**0.5
        cos = math.cos(self.angle)
        sin = math.sin(self.angle)
        reach = max(1.5, 1.2 + 0.5 * self.softness()) * self.radius
        reach_y = reach * math.hypot(long * sin, cos / long)
        reach_x = reach * math.hypot(long * cos, sin / long)
        rows = slice(max(0, int(self.y - reach_y)), min(height, int(self.y + reach_y)))
        return rows, slice(max(0, int(self.x - reach_x)), min(width, int(self.x + reach_x)))

    def coordinates(self, rows: slice, columns: slice) -> tuple[Floats, Floats]:
        """Every pixel's position along and across the shape, whose outline is the unit circle."""
        long = self.mood.stretch**0.5
        cos = math.cos(self.angle)
        sin = math.sin(self.angle)
        y = np.arange(rows.start, rows.stop, dtype=np.float32)
        x = np.arange(columns.start, columns.stop, dtype=np.float32)
        y = ((y - self.y) / self.radius)[:, None]
        x = ((x - self.x) / self.radius)[None]
        return (x * cos + y * sin) / long, (y * cos - x * sin) * long

    def distance(self, u: Floats, v: Floats) -> Floats:
        """Distance from the centre, 1 on the lobed outline."""
        distance = np.hypot(u, v)
        if self.mood.depth:
            lobes = np.sqrt(np.abs(np.cos(np.arctan2(v, u) * (self.mood.petals / 2))))
            distance /= 1 + self.mood.depth * (lobes - 1)
        return distance


class Scene:
    """A picture painted from back to front, float32 RGB [3, h, w], and where its subject is."""

    def __init__(
        self, rng: np.random.Generator, height: int, width: int, mood: Mood, purity: float
    ) -> None:
        self.rng = rng
        self.height = height
        self.width = width
        self.side = min(height, width)
        self.mood = mood
        self.undertone = list(MOODS.values())[rng.integers(len(MOODS))]
        self.purity = purity
        self.pixels = np.zeros((3, height, width), np.float32)
        self.stimuli = np.zeros((height, width), np.float32)
        slope = float(mood.slope + rng.normal(0, 0.1))
        self.rough, self.smooth = noise(rng, height, width, slope, 1.8)
        (self.fibre,) = noise(rng, height, width, slope, stretch=1 / rng.uniform(1.5, 3.0))
        self.light = -rng.uniform(0.4, 1.0), rng.uniform(-0.7, 0.7)  # where it comes from: (y, x)

    def look(self, neutral: Mood = NATURE) -> Mood:
        """The class's own look, or else a neutral one or another class's."""
        if self.rng.random() < self.purity:
            return self.mood
        return neutral if self.rng.random() < 0.5 else self.undertone

    def sky(self) -> None:
        """Fills the picture with a gradient, a glow around the source of light, and clouds."""
        look = self.look(AIR)
        top = colour(self.rng, look, 0.95)
        bottom = colour(self.rng, look, 1.35, 0.45)
        y = np.linspace(0, 1, self.height, dtype=np.float32)[:, None]
        x = np.linspace(0, 1, self.width, dtype=np.float32)[None]
        glow = np.exp(
            -((y - self.rng.uniform(0, 0.6)) ** 2 + (x - 0.5 - 0.5 * self.light[1]) ** 2) / 0.08
        )
        (cloud,) = noise(self.rng, self.height, self.width, 1.5, stretch=0.5)
        cloud = np.clip(0.1 + 0.5 * cloud, 0, 1) * self.rng.uniform(0, 0.8)
        self.pixels[:] = top + (bottom - top) * y**0.8
        self.pixels += (0.4 * glow + 0.4 * cloud) * (bottom + 0.2)

    def ridges(self, horizon: float, count: int) -> None:
        """Paints hills, the farther the paler."""
        haze = self.pixels[:, int(horizon * self.height)].mean(-1)[:, None, None]
        y = np.arange(self.height, dtype=np.float32)[:, None]
        for near in np.linspace(0, 1, count).tolist():
            outline = (
                noise(self.rng, 1, self.width, 1.4)[0][0] * 0.06 * (1 - near)
                + horizon
                + 0.25 * near
            )
            top = max(0, int((outline.min()) * self.height) - 2)
            cover = np.clip((y[top:] - outline * self.height) / 1.5 + 0.5, 0, 1)
            ground = haze + (colour(self.rng, self.look(), 0.75, 0.9) - haze) * (0.3 + 0.7 * near)
            relief = 1 + (0.06 + 0.2 * near) * (self.rough[top:] + 0.7 * self.fibre[top:])
            self.pixels[:, top:] += cover * (
                ground * np.clip(relief, 0.3, 2) - self.pixels[:, top:]
            )

    def leaf(self, leaf: Leaf, mark: float = 0.0) -> None:
        """Paints one shape and its shadow, lit as the scene is.

        `mark` is what the stimuli map gets.
        """
        rows, columns = leaf.extent(self.height, self.width)
        if rows.start >= rows.stop or columns.start >= columns.stop:
            return
        window = (rows, columns)
        u, v = leaf.coordinates(rows, columns)
        distance = leaf.distance(u, v) + 0.07 * self.smooth[window]
        cover = np.clip((1 - distance) / leaf.softness() + 0.5, 0, 1)
        lit = u * self.light[1] + v * self.light[0]
        crisp = 1 / (1 + leaf.blur / 3)
        shadow = np.clip(1.25 - distance - 0.15 * lit, 0, 0.3) * crisp
        relief = (
            1.05
            + 0.35 * lit
            - 0.3 * distance**3
            + crisp * (0.13 * self.rough[window] + 0.11 * self.fibre[window])
        )
        paint = (leaf.inner + (leaf.outer - leaf.inner) * np.clip(distance, 0, 1)) * relief
        area = self.pixels[:, rows, columns]
        area *= 1 - 1.8 * shadow
        area += cover * (paint - area)
        self.stimuli[window] += cover * (mark - self.stimuli[window])

    def close_up(self, count: int) -> None:
        """Paints dead leaves: radii of density r**-3, a few in focus before many that are not."""
        far = Scene(self.rng, self.height // 4 + 1, self.width // 4 + 1, self.mood, self.purity)
        far.sky()
        far.leaves(count, blur=0.12)
        for plane, blurred in zip(self.pixels, far.pixels, strict=True):
            plane[:] = np.asarray(
                Image.fromarray(blurred).resize((self.width, self.height), Image.Resampling.BICUBIC)
            )
        self.leaves(count // 4, blur=0.02)

    def leaves(self, count: int, blur: float) -> None:
        """Paints shapes anywhere, from far and dim to near and bright.

        `blur` (of the short side) is the farthest's.
        """
        radii = self.side / np.sqrt(self.rng.uniform(1 / 0.4**2, 1 / 0.05**2, count))
        for near, radius in zip(np.linspace(0, 1, count).tolist(), radii.tolist(), strict=True):
            look = self.look()
            y, x = self.rng.uniform(-0.05, 1.05, 2) * (self.height, self.width)
            inner = colour(self.rng, look, 0.6 + 0.4 * near)
            outer = colour(self.rng, look, 0.4 + 0.4 * near)
            angle = self.rng.uniform(0, np.pi)
            soft = (1.2 - near) * blur * self.side
            self.leaf(Leaf(float(y), float(x), radius, angle, soft, look, inner, outer))

    def meadow(self, horizon: float, count: int) -> None:
        """Scatters shapes over the ground, smaller towards the horizon."""
        for near in np.sort(self.rng.uniform(0.05, 1, count)).tolist():
            look = self.look()
            y = (horizon + 0.1 + (1 - horizon) * near) * self.height
            x = self.rng.uniform(0, 1) * self.width
            radius = self.side * near * self.rng.uniform(0.02, 0.09)
            paint = colour(self.rng, look, 0.9)
            angle = look.angle + self.rng.normal(0, 0.3)
            self.leaf(Leaf(y, x, radius, angle, 0.0, look, paint, paint * 0.8))

    def subject(self) -> None:
        """Paints shapes of the class, and some of another, in focus, around a central point."""
        rng = self.rng
        y = rng.uniform(0.4, 0.65) * self.height
        x = rng.uniform(0.33, 0.67) * self.width
        class_shapes = max(1, rng.poisson(self.mood.shapes * 0.8))
        undertone_shapes = rng.poisson(self.undertone.shapes * 0.5)
        for mood in [self.undertone] * undertone_shapes + [self.mood] * class_shapes:
            self.subject_shape(mood, y, x)

    def subject_shape(self, mood: Mood, y: float, x: float) -> None:
        """Paints one shape near the point, with a heart if it has deep lobes."""
        rng = self.rng
        mark = float(mood is self.mood)
        radius = self.side * mood.size * rng.uniform(0.6, 1.25)
        at = y + rng.normal(0, 0.12) * self.height, x + rng.normal(0, 0.17) * self.width
        inner = colour(rng, mood, 1.15)
        outer = colour(rng, mood, 0.95)
        angle = mood.angle + rng.normal(0, 0.2)
        self.leaf(Leaf(*at, radius, angle, 0.0, mood, inner, outer), mark)
        if mood.depth > 0.25:
            heart = mood._replace(depth=0.0, stretch=1.0)
            self.leaf(Leaf(*at, radius * 0.25, 0.0, 0.0, heart, outer * 0.55, outer * 0.35), mark)


def develop(scene: Scene) -> NDArray[np.uint8]:
    """Exposes the scene: vignette, tone curve, sensor noise; uint8 [height, width, 3]."""
    rng = scene.rng
    y = np.linspace(-1, 1, scene.height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, scene.width, dtype=np.float32)[None]
    exposure = rng.normal(1.0, 0.12) * (1 - rng.uniform(0.02, 0.2) * (y * y + x * x))
    pixels = np.clip(scene.pixels * exposure, 0, 1.4)
    pixels = 1.4 * pixels - 0.3 * pixels**3 - 0.06
    pixels += rng.uniform(0.005, 0.025) * rng.standard_normal(
        (scene.height, scene.width), np.float32
    )
    return np.moveaxis(np.clip(pixels * 255 + 0.5, 0, 255).astype(np.uint8), 0, -1)


def paint(rng: np.random.Generator, height: int, width: int, mood: Mood, purity: float) -> Scene:
    """One picture of the class, a landscape or a close-up."""
    scene = Scene(rng, height, width, mood, purity)
    if rng.random() < 0.5:
        horizon = rng.uniform(0.3, 0.55)
        scene.sky()
        scene.ridges(horizon, int(rng.integers(2, 5)))
        scene.meadow(horizon, int(rng.integers(20, 90)))
    else:
        scene.close_up(int(rng.integers(20, 80)))
    scene.subject()
    return scene
