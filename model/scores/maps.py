"""Where a picture says it: class activation maps, and how they look on the photograph."""

from __future__ import annotations

import hashlib
from pathlib import Path

import keras
import matplotlib
import numpy as np
from keras import layers
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure
from PIL import Image

from sentiflow.files import write_atomically

from ..networks.heads import CLASS_MAPS

# Perceptually uniform, and dark where there is nothing to see.
COLORS = matplotlib.colormaps["inferno"]

# How much of an overlay is the map's colour; the rest is the photograph, in grey, or its own
# colours would be taken for the map's.
OPACITY = 0.6

# Classes whose maps are drawn, the most probable first.
CLASSES_DRAWN = 3

DPI = 150


def class_maps(network: keras.Model) -> keras.Model:
    """The network with its class activation maps: how much each part of a picture favours a class.

    Heads that make class-wise maps, `wscnet` (in its detection branch) and `wildcat`, give these.
    For others it is what follows the pooling, applied to every cell of what is pooled. Where that
    is the dense layer alone, as in `gap` and `linear`, these are the maps of Zhou, Khosla,
    Lapedriza, Oliva, Torralba: "Learning Deep Features for Discriminative Localization", CVPR 2016,
    with the layer's bias, so that a class's logit is the mean of its map. Grad-CAM (Selvaraju et
    al., ICCV 2017) gives the same maps for such heads, but for the bias, a positive factor, and the
    negative values, which it sets to zero.

    Args:
        network: made by `model.build`; its layers are shared.

    Returns:
        A model from float32 [b, s, s, 3] to probabilities, float32 [b, classes], and maps, float32
        [b, h, w, classes], h and w being those of the backbone's feature map.
    """
    names = {layer.name for layer in network.layers}
    if CLASS_MAPS in names:
        maps = network.get_layer(CLASS_MAPS).output
    else:
        maps = network.get_layer("pooled").input
        order = [layer.name for layer in network.layers]
        for layer in network.layers[order.index("pooled") + 1 : order.index("logits") + 1]:
            maps = layer(maps)
    return keras.Model(
        network.inputs, [network.output, layers.Activation("linear", dtype="float32")(maps)]
    )


def heat(values: np.ndarray, size: int) -> np.ndarray:
    """A map as it is shown and scored: enlarged bilinearly, its values stretched to [0, 1].

    Args:
        values: float [h, w].
        size: side of the result, in pixels.

    Returns:
        float32 [size, size] in [0, 1]; all zeros if the map has one value everywhere.
    """
    picture = Image.fromarray(values.astype(np.float32)).resize(
        (size, size), Image.Resampling.BILINEAR
    )
    enlarged = np.asarray(picture)
    low, high = enlarged.min(), enlarged.max()
    return (enlarged - low) / (high - low) if high > low else np.zeros_like(enlarged)


def overlay(photo: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Draws a map over its photograph, which is seen through it in grey: the brighter, the hotter.

    Args:
        photo: uint8 [s, s, 3].
        values: float [h, w].

    Returns:
        uint8 [s, s, 3].
    """
    grey = np.asarray(Image.fromarray(photo).convert("L"))[..., None]
    mixed = (1 - OPACITY) * grey + OPACITY * 255 * COLORS(heat(values, len(photo)))[..., :3]
    return np.round(mixed).astype(np.uint8)


def draw(
    photo: np.ndarray,
    probabilities: np.ndarray,
    maps: np.ndarray,
    class_names: list[str],
    path: Path,
) -> None:
    """A photograph beside the overlays of its most probable classes, as PNG.

    Args:
        photo: uint8 [s, s, 3], as the model sees it.
        probabilities: float [classes].
        maps: float [h, w, classes].
        class_names: by class.
        path: file to write.
    """
    top = np.argsort(-probabilities, kind="stable")[:CLASSES_DRAWN]
    pictures = [photo, *(overlay(photo, maps[..., label]) for label in top)]
    titles = [
        "as the model sees it",
        *(f"{class_names[label]}  {probabilities[label]:.1%}" for label in top),
    ]
    figure = Figure(figsize=(2.9 * len(pictures) + 0.8, 3.2), layout="constrained")
    axes = figure.subplots(1, len(pictures))
    for axis, picture, title in zip(axes, pictures, titles, strict=True):
        axis.imshow(picture)
        axis.set_axis_off()
        axis.set_title(title, fontsize=11, parse_math=False, wrap=True)
    bar = figure.colorbar(ScalarMappable(cmap=COLORS), ax=axes, shrink=0.8, ticks=(0, 1), aspect=30)
    bar.ax.set_yticklabels(["lowest", "highest"])
    bar.outline.set_visible(False)
    write_atomically(path, lambda target: figure.savefig(target, dpi=DPI))


def picture_name(file: Path) -> str:
    """Name of the PNG that explains a picture file.

    Files of the same name in different folders have different ones.
    """
    digest = hashlib.sha256(str(file.resolve()).encode(errors="surrogateescape")).hexdigest()[:10]
    # A name may have 255 bytes; a character, at most 4.
    return f"{file.name[:50]}-{digest}.png"
