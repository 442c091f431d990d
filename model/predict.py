"""`python -m model.predict --run RUN IMAGE...`: probabilities of any pictures."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

import dataclasses
import json
from pathlib import Path
from typing import Any

import click
import numpy as np

from sentiflow import cli, pipeline
from sentiflow.pipeline import InputError
from sentiflow.terminal import echo

from .scores import files, maps, predictions
from .training import checkpoint
from .training.record import MODELS


@click.command(cls=cli.Command)
@click.option(
    "--run",
    "folder",
    type=click.Path(path_type=Path),
    required=True,
    help="Run folder of model.train.",
)
@click.option(
    "--model",
    type=click.Choice(list(MODELS)),
    default="final",
    help="After the last, or the best epoch.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list and nothing else.")
@click.option(
    "--explain",
    "drawings",
    type=click.Path(path_type=Path, file_okay=False, writable=True),
    help="Folder for one PNG a picture: where it speaks for the most probable classes.",
)
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path))
def main(
    folder: Path, model: Any, as_json: bool, drawings: Path | None, images: tuple[Path, ...]
) -> None:
    """Probabilities of every class for pictures, given as files or folders.

    Of more than 100 classes, those of the ten most probable.

    A picture that cannot be read is reported on stderr and the others are predicted; the exit
    status is then 1.
    """
    record, network = checkpoint.load(folder, model=model)
    if drawings:
        _make_folder(drawings)
    explained = maps.class_maps(network) if drawings else network
    names = record.dataset.class_names
    rows: list[dict[str, Any]] = []
    unread = 0
    paths = files.find_images(images)
    for file, outcome in files.predict_outputs(record, explained, paths):
        if isinstance(outcome, str):
            unread += 1
            echo(f"Error: {outcome}", err=True)
            continue
        probabilities = outcome[0]
        row = _row(file, probabilities, names)
        if drawings:
            drawing = drawings / maps.picture_name(file)
            pixels = _read_pixels(file, record.inputs)
            maps.draw(pixels, probabilities, outcome[1], names, drawing)
            row["explanation"] = str(drawing)
        rows.append(row)
        if not as_json:
            echo(_line(row))
    if not rows and not unread:
        raise InputError(f"There are no pictures in {', '.join(map(str, images))}.")
    if as_json:
        click.echo(json.dumps(rows))
    if unread:
        raise SystemExit(1)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"{folder} cannot be made: {error.strerror}. Name another folder with --explain."
        ) from None


def _read_pixels(file: Path, settings: pipeline.Settings) -> np.ndarray:
    return pipeline.read_image(file, dataclasses.replace(settings, preprocess=None))


def _row(file: Path, probabilities: np.ndarray, class_names: list[str]) -> dict[str, Any]:
    """What `--json` prints of a picture; of many classes, the most probable ones."""
    labels = predictions.shown_labels(probabilities)
    shares = {class_names[i]: round(float(probabilities[i]), 6) for i in labels}
    label = class_names[probabilities.argmax()]
    return {"file": str(file), "label": label, "probabilities": shares}


def _line(row: dict[str, Any]) -> str:
    ranked = sorted(row["probabilities"].items(), key=lambda item: -item[1])
    shares = "  ".join(f"{name} {value:.3f}" for name, value in ranked)
    drawing = f"  -> {row['explanation']}" if "explanation" in row else ""
    return f"{row['file']}: {shares}{drawing}"


if __name__ == "__main__":
    main()
