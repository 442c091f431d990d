"""`python -m pipeline.preview`: a contact sheet of what the model really sees, originals beside augmented views."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

import dataclasses
import os
from typing import Any

import click
import keras  # noqa: F401  # before TensorFlow: see sentiflow.startup
import matplotlib
import numpy as np
import tensorflow as tf
from matplotlib.figure import Figure

from sentiflow import cli

from . import draws
from .bank import whole_image
from .dataset import open as open_dataset
from .graph import reader
from .records import Records
from .settings import InputError, Settings, StreamSettings
from .view import sample_parameters, view


@click.command(cls=cli.Command)
@click.option("--dataset", default="emotionroi/raw256", help="NAME/CONFIG of a prepared dataset.")
@click.option("--data_dir", default="data", help="The folder given to `tfds build --data_dir`.")
@click.option("--split", default="train", help="Split to draw the images from.")
@click.option("--images", default=6, type=click.IntRange(1, 50), help="Images, one a row.")
@click.option(
    "--views", default=5, type=click.IntRange(1, 20), help="Augmented views of each image."
)
@click.option("--out", required=True, type=click.Path(dir_okay=False), help="PNG to write.")
@cli.options(Settings, exclude=("batch_size", "preprocess", "cache", "last_batch"))
def main(
    dataset: str, data_dir: str, split: str, images: int, views: int, out: str, **values: Any
) -> None:
    """Draws a contact sheet: each image as stored, as validation sees it, and as training sees it epoch by epoch."""
    settings = dataclasses.replace(cli.build(Settings, values), preprocess="none", cache="none")
    data = open_dataset(dataset, data_dir=data_dir)
    records = data.records(split, settings)
    chosen = spread(records.label, min(images, len(records)))
    figure = contact_sheet(records, chosen, data.class_names, views=views, settings=settings)
    partial = f"{out}.partial"
    try:
        figure.savefig(partial, format="png", dpi=100)
        os.replace(partial, out)
    except OSError as error:
        raise InputError(f"{out} cannot be written: {error.strerror}") from None
    click.echo(f"{len(chosen)} images of {dataset} ({split}), {views} training views each: {out}")


def contact_sheet(
    records: Records, chosen: np.ndarray, class_names: list[str], *, views: int, settings: Settings
) -> Figure:
    """A figure with one row per chosen record: whole image, centre view, then the training views of `views` epochs."""
    sheet = pictures(records, chosen, views=views, settings=settings)
    titles = list(sheet)
    with matplotlib.rc_context({"font.size": 9, "axes.titlelocation": "left"}):
        figure = Figure(
            figsize=(1.9 * len(titles) + 0.6, 1.98 * len(chosen) + 0.3), layout="constrained"
        )
        axes = figure.subplots(
            len(chosen), len(titles), squeeze=False, width_ratios=[1.4] + [1] * (len(titles) - 1)
        )
        for row, i in enumerate(chosen):
            for axis, (title, column) in zip(axes[row], sheet.items(), strict=True):
                axis.imshow(column[row])
                axis.set_axis_off()
                axis.set_title(title if row == 0 else "", color="0.35")
            label = f"{class_names[records.label[i]]} · {records.filename[i].rpartition('/')[2]}"
            axes[row][0].set_title(f"stored\n{label}" if row == 0 else label, color="0.35")
    return figure


def pictures(
    records: Records, chosen: np.ndarray, *, views: int, settings: Settings
) -> dict[str, list[np.ndarray]]:
    """What a contact sheet shows of the chosen records, by the title of its column: each uint8 [h, w, 3]."""
    whole = whole_image(records, settings.evaluation())
    columns = {
        "stored": [whole(tf.constant(i, tf.int64)).numpy() for i in chosen],
        "validation": list(seen(records, chosen, 0, settings.evaluation())),
    }
    augmented = settings.training()
    return columns | {
        f"training, epoch {epoch}": list(seen(records, chosen, epoch, augmented))
        for epoch in range(views)
    }


def seen(records: Records, chosen: np.ndarray, epoch: int, settings: StreamSettings) -> np.ndarray:
    """The chosen records as an epoch of a stream sees them, before preprocessing: uint8 [n, s, s, 3]."""
    places = tf.constant(chosen, tf.int64)
    u = draws.uniforms(places, seed=settings.seed, epoch=tf.constant(epoch, tf.int64))
    windows = reader(records, settings)(places, u)
    # Not compiled: that takes longer than to work on a few pictures.
    return view.python_function(
        windows, preprocess="none", **sample_parameters(u, settings)
    ).numpy()


def spread(labels: np.ndarray, count: int) -> np.ndarray:
    """Positions of `count` images that take turns among the classes."""
    turn = np.empty(len(labels), np.int64)
    for label in np.unique(labels):
        turn[labels == label] = np.arange((labels == label).sum())
    return np.lexsort((labels, turn))[:count]


if __name__ == "__main__":
    main()
