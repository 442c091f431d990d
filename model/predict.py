"""`python -m model.predict --run RUN IMAGE...`: probabilities of any pictures."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np

import pipeline
from model import run
from pipeline import InputError, cli

# What counts as a picture in a folder; a file that is named is tried whatever its suffix.
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def find_images(paths: Iterable[Path]) -> Iterator[Path]:
    """Files as given, folders as the files below them that bear a picture's suffix, in order of name."""
    for path in paths:
        if path.is_dir():
            yield from sorted(item for item in path.rglob("*") if item.suffix.lower() in SUFFIXES and item.is_file())
        else:
            yield path


def predict(record: run.Record, network: keras.Model, files: Iterable[Path]) -> Iterator[tuple[Path, np.ndarray | str]]:
    """Predicts pictures in batches, so that memory stays bounded.

    Yields:
        In order of the files: (file, probabilities float32 [classes]), or (file, reason) where it cannot be read.
    """
    files = iter(files)
    while batch := list(itertools.islice(files, record.inputs.batch_size)):
        outcomes: list[np.ndarray | str] = [_read(file, record.inputs) for file in batch]
        images = [outcome for outcome in outcomes if not isinstance(outcome, str)]
        probabilities = iter(network.predict_on_batch(np.stack(images)) if images else ())
        for file, outcome in zip(batch, outcomes, strict=True):
            yield file, outcome if isinstance(outcome, str) else next(probabilities)


def _read(file: Path, settings: pipeline.Settings) -> np.ndarray | str:
    try:
        return pipeline.read_image(file, settings)
    except InputError as error:
        return str(error)


@click.command(cls=cli.Command)
@click.option("--run", "folder", type=click.Path(path_type=Path), required=True, help="Run folder of model.train.")
@click.option(
    "--model", type=click.Choice(list(run.MODELS)), default="final", help="After the last, or the best epoch."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list and nothing else.")
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
def main(folder: Path, model: Any, as_json: bool, images: tuple[Path, ...]) -> None:
    """Probabilities of every class for pictures, given as files or folders.

    A picture that cannot be read is reported on stderr and the rest is predicted; the exit status is then 1.
    """
    record, network = run.load(folder, model=model)
    names, rows, bad = record.dataset["class_names"], [], 0
    for file, outcome in predict(record, network, find_images(images)):
        if isinstance(outcome, str):
            bad += 1
            click.echo(f"Error: {outcome}", err=True)
            continue
        shares = {name: round(float(value), 6) for name, value in zip(names, outcome, strict=True)}
        rows.append({"file": str(file), "label": names[outcome.argmax()], "probabilities": shares})
        if not as_json:
            ranked = sorted(shares.items(), key=lambda item: -item[1])
            click.echo(f"{file}: " + "  ".join(f"{name} {value:.3f}" for name, value in ranked))
    if not rows and not bad:
        raise InputError(f"There are no pictures in {', '.join(map(str, images))}.")
    if as_json:
        click.echo(json.dumps(rows))
    if bad:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
