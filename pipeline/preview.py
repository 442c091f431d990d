"""A contact sheet of what the model sees, originals beside augmented views: `pipeline.preview`."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

import dataclasses
from pathlib import Path
from typing import Any

import click
import matplotlib
from matplotlib.figure import Figure

from sentiflow import cli
from sentiflow.files import write_atomically
from sentiflow.terminal import echo

from .dataset import open as open_dataset
from .pictures import Sheet
from .settings import Settings


@click.command(cls=cli.Command)
@click.option("--dataset", default="emotionroi/raw256", help="NAME/CONFIG of a prepared dataset.")
@click.option("--data_dir", default="data", help="The folder given to `tfds build --data_dir`.")
@click.option("--split", default="train", help="Split to draw the images from.")
@click.option("--images", default=6, type=click.IntRange(1, 50), help="Images, one a row.")
@click.option(
    "--views", default=5, type=click.IntRange(1, 20), help="Augmented views of each image."
)
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="PNG to write.",
)
@cli.options(Settings, exclude=("batch_size", "preprocess", "cache", "last_batch"))
def main(
    dataset: str, data_dir: str, split: str, images: int, views: int, out: Path, **values: Any
) -> None:
    """Draws a contact sheet: each image as stored, as validation and as training see it."""
    settings = dataclasses.replace(cli.build(Settings, values), preprocess="none", cache="none")
    data = open_dataset(dataset, data_dir=data_dir)
    with data.naming_damage():
        sheet = data.sheet(split, images=images, views=views, settings=settings)
    labels = data.labels(split, settings)
    files = data.files(split, settings)
    titles = [
        f"{data.class_names[labels[i]]} · {files[i].rpartition('/')[2]}" for i in sheet.positions
    ]
    figure = draw(sheet, titles)
    write_atomically(out, lambda target: figure.savefig(target, format="png", dpi=100))
    echo(f"{len(titles)} images of {dataset} ({split}), {views} training views each: {out}")


def draw(sheet: Sheet, titles: list[str]) -> Figure:
    """A figure with one row per image: as stored, the centre view, then views of training."""
    rows = len(titles)
    columns = len(sheet.columns)
    with matplotlib.rc_context({"font.size": 9, "axes.titlelocation": "left"}):
        figure = Figure(figsize=(1.9 * columns + 0.6, 1.98 * rows + 0.3), layout="constrained")
        widths = [1.4] + [1] * (columns - 1)
        axes = figure.subplots(rows, columns, squeeze=False, width_ratios=widths)
        for row, title in enumerate(titles):
            for axis, (heading, pictures) in zip(axes[row], sheet.columns.items(), strict=True):
                axis.imshow(pictures[row])
                axis.set_axis_off()
                axis.set_title(heading if row == 0 else "", color="0.35")
            name = f"stored\n{title}" if row == 0 else title
            axes[row][0].set_title(name, color="0.35", parse_math=False)
    return figure


if __name__ == "__main__":
    main()
