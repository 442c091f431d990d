"""The whole road once, on sample photographs: `python -m bench.demo`, which is what `make demo` runs."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__, extra="bench")

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import click
from rich.console import Console

from sentiflow import cli
from sentiflow.pipeline import InputError

from .harness.inputs import DEMO, build, sample_folders

# Small pictures, and a backbone whose features are of use even with random weights, where others
# cannot be had.
BACKBONE = (
    "--backbone",
    "densenet121",
    "--image_size",
    "96",
    "--standardise",
    "--learning_rate",
    "0.003",
)
CONTESTANTS = "original-1,original-all,sentiflow-memory,sentiflow-none-raw256,sentiflow-none-jpeg256,sentiflow-none-original"


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
    """Draws, builds, previews, trains and measures in ./demo; what is there already is used again."""
    started = time.monotonic()
    console = Console()
    photos, data = map(str, sample_folders(images))
    run = DEMO / "run"
    command("sentiflow.builders.sample", photos, "--images", str(images))
    build("emotionroi", None, manual_dir=photos, data_dir=data)
    build("twitter1", "raw256", manual_dir=photos, data_dir=data)
    command("sentiflow.pipeline.preview", "--data_dir", data, "--out", str(DEMO / "preview.png"))
    weights = train(run, "--data_dir", data, "--epochs", str(epochs))
    files = ("--json", str(DEMO / "throughput.json"), "--plot", str(DEMO / "throughput.png"))
    command(
        "sentiflow.bench.throughput",
        "--data_dir",
        data,
        "--seconds",
        str(seconds),
        "--contestants",
        CONTESTANTS,
        *files,
    )
    console.rule("demo")
    for line in summary(run, weights, data, seconds=time.monotonic() - started):
        console.print(line, highlight=False, soft_wrap=True)


def train(run: Path, *options: str) -> str:
    """Trains with Keras' ImageNet weights, or without any when they are not to be had; says which."""
    arguments = (
        "sentiflow.model.train",
        "--dataset",
        "emotionroi/original",
        "--out",
        str(run),
        *BACKBONE,
        *options,
    )
    resume = ("--resume",) if (run / "settings.json").exists() else ()
    weights = (
        json.loads((run / "settings.json").read_text())["train"]["weights"]
        if resume
        else "imagenet"
    )
    try:
        command(*arguments, "--weights", weights, *resume)
    except InputError:
        if weights != "imagenet" or (run / "settings.json").exists():
            raise
        print("The ImageNet weights are not to be had; going on with random ones.", flush=True)
        weights = "none"
        command(*arguments, "--weights", weights)
    return weights


def summary(run: Path, weights: str, data: str, *, seconds: float) -> list[str]:
    """What was built, trained and measured, and where the pictures are."""
    metrics = json.loads((run / "metrics.json").read_text())
    split = next(name for name in ("test", "validation") if name in metrics)
    rows = json.loads((DEMO / "throughput.json").read_text())
    timed = [row for row in rows if row["work"] == "augmented" and row["status"] == "ok"]
    first, best = timed[0], max(timed, key=lambda row: row["images_per_second"])
    return [
        f"built     EmotionROI and Twitter I, each from sample photographs: {data}",
        f"trained   a head on densenet121 with {'ImageNet' if weights == 'imagenet' else 'random'} weights; "
        f"accuracy {metrics[split]['accuracy']:.2f} on split {split}, where guessing has {1 / 6:.2f}: {run}",
        f"measured  {best['contestant']}: {best['images_per_second']:,.0f} images/s, {best['ratio_to_original']:.0f} "
        f"times {first['contestant']} ({first['images_per_second']:,.0f}): {DEMO / 'throughput.json'}",
        f"pictures  {DEMO / 'preview.png'}, {DEMO / 'throughput.png'}, {run / 'curves.png'}",
        f"report    {run / 'report.html'}",
        f"in {seconds / 60:.1f} minutes",
    ]


def command(module: str, *arguments: str) -> None:
    """Runs `python -m module`, its output shown.

    Raises:
        InputError: it failed.
    """
    shown = " ".join(("python -m", module, *arguments))
    print(f"\n$ {shown}", flush=True)
    environment = {"TF_CPP_MIN_LOG_LEVEL": "3", **os.environ}
    if subprocess.run([sys.executable, "-m", module, *arguments], env=environment).returncode:
        raise InputError(f"`{shown}` failed; see above.")


if __name__ == "__main__":
    main()
