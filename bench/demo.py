"""The whole road once, on sample photographs: `python -m bench.demo`, which `make demo` runs."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__, extra="bench")

import json
import time
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from sentiflow import cli
from sentiflow.pipeline import InputError
from sentiflow.terminal import printable

from .harness.inputs import DEMO, build_storage, sample_folders
from .harness.modules import show_module

# Small pictures, and a backbone whose features are of use even with random weights, where others
# cannot be had.
BACKBONE = ("--backbone", "densenet121", "--image_size", "96")
TRAINING = ("--standardise", "--learning_rate", "0.003")
STREAMS = tuple(f"sentiflow-none-{storage}" for storage in ("raw256", "jpeg256", "original"))
CONTESTANTS = ("original-1", "original-all", "sentiflow-memory", *STREAMS)
THROUGHPUT = DEMO / "throughput.json"
GUESSING = 1 / 6  # accuracy, of six classes


@click.command(cls=cli.Command)
@click.option(
    "--images", default=360, type=click.IntRange(60), help="Photographs to draw for each dataset."
)
@click.option("--epochs", default=8, type=click.IntRange(1), help="Epochs to train.")
@click.option(
    "--seconds",
    default=3.0,
    type=click.FloatRange(0.1),
    help="Seconds to time each contestant for.",
)
def main(images: int, epochs: int, seconds: float) -> None:
    """Draws, builds, previews, trains and measures in ./demo.

    What is there already is used again.
    """
    started = time.monotonic()
    console = Console()
    run = DEMO / "run"
    photos, data_dir = map(str, sample_folders(images))
    show_module("sentiflow.builders.sample", photos, "--images", str(images))
    build_storage("emotionroi", None, manual_dir=photos, data_dir=data_dir)
    build_storage("twitter1", "raw256", manual_dir=photos, data_dir=data_dir)
    data = ("--data_dir", data_dir)
    show_module("sentiflow.pipeline.preview", *data, "--out", str(DEMO / "preview.png"))
    weights = train(run, *data, "--epochs", str(epochs))
    measure(*data, "--seconds", str(seconds))
    console.rule("demo")
    for line in summary(run, weights, data_dir, seconds=time.monotonic() - started):
        console.print(printable(line), highlight=False, soft_wrap=True, markup=False)


def train(run: Path, *options: str) -> str:
    """Trains with Keras' ImageNet weights, or without any when they are not to be had.

    Returns:
        What `--weights` was, "imagenet" or "none".
    """
    settings = run / "settings.json"
    arguments = ("--dataset", "emotionroi/original", "--out", str(run))
    command = ("sentiflow.model.train", *arguments, *BACKBONE, *TRAINING, *options)
    if settings.exists():
        weights = str(json.loads(settings.read_text())["train"]["weights"])
        show_module(*command, "--weights", weights, "--resume")
        return weights
    try:
        show_module(*command, "--weights", "imagenet")
        return "imagenet"
    except InputError:
        if settings.exists():
            raise
    print("The ImageNet weights are not to be had; going on with random ones.", flush=True)
    show_module(*command, "--weights", "none")
    return "none"


def measure(*options: str) -> None:
    """Times the contestants of the demonstration."""
    plot = str(THROUGHPUT.with_suffix(".png"))
    files = ("--json", str(THROUGHPUT), "--plot", plot)
    names = ("--contestants", ",".join(CONTESTANTS))
    show_module("sentiflow.bench.throughput", *options, *names, *files)


def summary(run: Path, weights: str, data_dir: str, *, seconds: float) -> list[str]:
    """What was built, trained and measured, and where the pictures are."""
    pictures = (DEMO / "preview.png", THROUGHPUT.with_suffix(".png"), run / "curves.png")
    return [
        f"built     EmotionROI and Twitter I, each from sample photographs: {data_dir}",
        f"trained   {_trained(run, weights)}: {run}",
        f"measured  {_measured()}: {THROUGHPUT}",
        f"pictures  {', '.join(map(str, pictures))}",
        f"report    {run / 'report.html'}",
        f"in {seconds / 60:.1f} minutes",
    ]


def _trained(run: Path, weights: str) -> str:
    metrics = json.loads((run / "metrics.json").read_text())
    split = next(name for name in ("test", "validation") if name in metrics)
    kind = "ImageNet" if weights == "imagenet" else "random"
    accuracy = f"accuracy {metrics[split]['accuracy']:.2f} on split {split}"
    start = f"a head on densenet121 with {kind} weights"
    return f"{start}; {accuracy}, where guessing has {GUESSING:.2f}"


def _measured() -> str:
    rows = json.loads(THROUGHPUT.read_text())
    timed = [row for row in rows if row["work"] == "augmented" and row["status"] == "ok"]
    first = timed[0]
    best: dict[str, Any] = max(timed, key=lambda row: row["images_per_second"])
    rate = f"{best['contestant']}: {best['images_per_second']:,.0f} images/s"
    compared = f"{first['contestant']} ({first['images_per_second']:,.0f})"
    return f"{rate}, {best['ratio_to_original']:.0f} times {compared}"


if __name__ == "__main__":
    main()
