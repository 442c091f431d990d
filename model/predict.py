"""`python -m model.predict --run RUN IMAGE...`: probabilities of any pictures."""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

import dataclasses
import itertools
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click
import keras
import numpy as np

from sentiflow import cli, pipeline
from sentiflow.pipeline import InputError

from . import explain, run

# What counts as a picture in a folder; a file that is named is tried whatever its suffix.
SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


def find_images(paths: Iterable[Path]) -> Iterator[Path]:
    """Files as given, folders as the files below them that bear a picture's suffix, in order of name."""
    for path in paths:
        if path.is_dir():
            yield from sorted(
                item
                for item in path.rglob("*")
                if item.suffix.lower() in SUFFIXES and item.is_file()
            )
        else:
            yield path


def predict(
    record: run.Record, network: keras.Model, files: Iterable[Path]
) -> Iterator[tuple[Path, np.ndarray | str]]:
    """Predicts pictures in batches, so that memory stays bounded.

    Yields:
        In order of the files: (file, probabilities float32 [classes]), or (file, reason) where it
            cannot be read.
    """
    for file, outcome in outcomes(record, network, files):
        yield file, outcome if isinstance(outcome, str) else outcome[0]


def outcomes(
    record: run.Record, model: keras.Model, files: Iterable[Path]
) -> Iterator[tuple[Path, tuple[np.ndarray, ...] | str]]:
    """As `predict`, for a model of one output or a list of them: what each of them says of the picture."""
    files = iter(files)
    while batch := list(itertools.islice(files, record.inputs.batch_size)):
        pictures: list[np.ndarray | str] = [_read(file, record.inputs) for file in batch]
        images = [picture for picture in pictures if not isinstance(picture, str)]
        outputs = model.predict_on_batch(np.stack(images)) if images else []
        rows = zip(*(outputs if isinstance(outputs, list) else [outputs]), strict=True)
        for file, picture in zip(batch, pictures, strict=True):
            yield file, picture if isinstance(picture, str) else next(rows)


def _read(file: Path, settings: pipeline.Settings) -> np.ndarray | str:
    try:
        return pipeline.read_image(file, settings)
    except InputError as error:
        return str(error)


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
    type=click.Choice(list(run.MODELS)),
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

    A picture that cannot be read is reported on stderr and the rest is predicted; the exit status
    is then 1.
    """
    record, network = run.load(folder, model=model)
    if drawings:
        _make_folder(drawings)
    names, rows, bad = record.dataset["class_names"], [], 0
    for file, outcome in outcomes(record, explain.class_maps(network), find_images(images)):
        if isinstance(outcome, str):
            bad += 1
            click.echo(f"Error: {outcome}", err=True)
            continue
        probabilities, maps = outcome
        shares = {
            name: round(float(value), 6) for name, value in zip(names, probabilities, strict=True)
        }
        row = {"file": str(file), "label": names[probabilities.argmax()], "probabilities": shares}
        if drawings:
            drawing = drawings / explain.picture_name(file)
            explain.draw(_read_pixels(file, record.inputs), probabilities, maps, names, drawing)
            row["explanation"] = str(drawing)
        rows.append(row)
        if not as_json:
            click.echo(_line(row))
    if not rows and not bad:
        raise InputError(f"There are no pictures in {', '.join(map(str, images))}.")
    if as_json:
        click.echo(json.dumps(rows))
    if bad:
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


def _line(row: dict[str, Any]) -> str:
    ranked = sorted(row["probabilities"].items(), key=lambda item: -item[1])
    shares = "  ".join(f"{name} {value:.3f}" for name, value in ranked)
    return f"{row['file']}: {shares}" + (
        f"  -> {row['explanation']}" if "explanation" in row else ""
    )


if __name__ == "__main__":
    main()
