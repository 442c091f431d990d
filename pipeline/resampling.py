"""Windows of scaled pictures, as Pillow scales them, at the speed of the processor's vectors.

Pillow filters first across and then down, each pass rounded to whole levels and cut off at 0 and
255; at the edges of drawings, where the filter overshoots, that is 29 levels from what one pass of
both gives. So here are two passes as well, by `cykooz_resizer` (the crate fast_image_resize), of
no more than the window. Its weights have fewer bits than Pillow's: values are within two levels.
Where there is no wheel of it, Pillow itself scales the window, in three times the time.
"""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

try:
    import cykooz_resizer as simd
except ImportError:  # a processor for which there is no wheel
    simd = None

# By name: the filter in Pillow, in `cykooz_resizer`, and its reach in pixels of the smaller side.
FILTERS = {
    "lanczos": (Image.Resampling.LANCZOS, "lanczos3", 3.0),
    "bicubic": (Image.Resampling.BICUBIC, "catmull_rom", 2.0),
    "bilinear": (Image.Resampling.BILINEAR, "bilinear", 1.0),
}

# Pixels, the shorter side of a picture. Of smaller ones, so much enlarged, up to 0.05 % of the
# values are two levels off by these weights.
_SMALLEST = 32


def window(
    pixels: np.ndarray, shape: np.ndarray, corner: np.ndarray, size: np.ndarray, *, name: str
) -> np.ndarray:
    """A part of a scaled picture; the rest of it is not computed.

    Args:
        pixels: the picture, uint8 [h, w, 3].
        shape: height and width of the whole picture when it is scaled, pixels.
        corner: row and column where the part begins.
        size: height and width of the part.
        name: of the filter, a key of `FILTERS`.

    Returns:
        uint8 [*size, 3].
    """
    scale = pixels.shape[:2] / shape
    begin = corner * scale
    sides = np.minimum(size * scale, pixels.shape[:2] - begin)  # products may lie beyond the border
    if simd is None or min(pixels.shape[:2]) < _SMALLEST:
        box = (begin[1], begin[0], begin[1] + sides[1], begin[0] + sides[0])
        height, width = map(int, size)
        picture = Image.fromarray(pixels)
        return np.asarray(picture.resize((width, height), FILTERS[name][0], box))
    return _two_passes(pixels, begin, sides, size, name)


def _two_passes(
    pixels: np.ndarray, begin: np.ndarray, sides: np.ndarray, size: np.ndarray, name: str
) -> np.ndarray:
    """As `window`, of the box of `sides` that starts at `begin`, in pixels of the picture."""
    rows, columns = map(int, size)
    # The rows that the filter reaches, and one more on each side for rounding.
    reach = FILTERS[name][2] * max(sides[0] / rows, 1.0) + 1
    top = max(math.floor(begin[0] - reach), 0)
    bottom = min(math.ceil(begin[0] + sides[0] + reach), len(pixels))
    height, width = bottom - top, pixels.shape[1]
    strip = simd.ImageData(width, height, simd.PixelType.U8x3, pixels[top:bottom].tobytes())
    across = simd.ImageData(columns, height, simd.PixelType.U8x3)
    down = simd.ImageData(columns, rows, simd.PixelType.U8x3)
    resizer = simd.Resizer()
    resizer.resize(strip, across, _options(name, begin[1], 0.0, sides[1], height))
    resizer.resize(across, down, _options(name, 0.0, begin[0] - top, columns, sides[0]))
    return np.frombuffer(down.get_buffer(), np.uint8).reshape(rows, columns, 3)


def _options(name: str, left: float, top: float, width: float, height: float) -> simd.ResizeOptions:
    algorithm = simd.ResizeAlg.convolution(simd.FilterType[FILTERS[name][1]])
    box = simd.CropBox(left, top, width, height)
    return simd.ResizeOptions(resize_alg=algorithm, crop_box=box)
