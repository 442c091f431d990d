"""Draws synthetic photographs in both datasets' original layouts: `python -m builders.sample DIR`.

The pictures stand in for EmotionROI and Twitter I, which may not be redistributed: same folders,
list files, counts, sizes and oddities. A file's bytes depend on the arguments alone, never on the
number of workers.
"""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.progress import track

from sentiflow import cli
from sentiflow.files import is_partial
from sentiflow.machine import cores
from sentiflow.terminal import echo

from .archives import DATASETS, EMOTIONROI_SIZE, TWITTER1_SIZE, emotionroi, twitter1
from .drawing import draw_all, save

MARK = ".sample"  # the file that says that the folder is ours, and what drew it


def claim(folder: Path, mark: str) -> None:
    """Makes the folder ours.

    Raises:
        click.UsageError: it holds something else, or a sample drawn with other arguments.
    """
    if (folder / MARK).exists():
        if (present := (folder / MARK).read_text()) != mark:
            raise click.UsageError(
                f"{folder} holds another sample ({present}; not {mark}). Name another folder."
            )
    elif folder.exists() and not all(map(is_partial, folder.iterdir())):
        raise click.UsageError(
            f"{folder} holds files that are not a sample. Name a new or an empty folder."
        )
    save(folder / MARK, mark.encode())
    for leftover in filter(is_partial, folder.rglob("*")):  # of a run that was killed
        leftover.unlink(missing_ok=True)


@click.command(cls=cli.Command)
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--images",
    type=click.IntRange(24),
    help="Images per dataset.  [default: 1980 and 1269, the real counts]",
)
@click.option(
    "--dataset", type=click.Choice(["both", *DATASETS]), default="both", show_default=True
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    show_default=True,
    help="Another seed, other pictures.",
)
@click.option("--workers", type=click.IntRange(1), help="Processes.  [default: one per core]")
def main(folder: Path, images: int | None, dataset: str, seed: int, workers: int | None) -> None:
    """Draws synthetic photographs into FOLDER, in EmotionROI's and Twitter I's original layouts.

    The same arguments give the same bytes. A folder that holds anything else is refused; a run that
    was interrupted is completed by repeating it.
    """
    claim(folder, f"sentiflow sample 1, images {images or 'all'}, seed {seed}")
    for name in DATASETS if dataset == "both" else [dataset]:
        draw_dataset(folder, name, images, seed, workers or cores())
    echo(f"The sample photographs are in {folder}")


def draw_dataset(folder: Path, name: str, images: int | None, seed: int, workers: int) -> None:
    """Writes the lists and photographs of one dataset, those that are not there yet."""
    if name == "emotionroi":
        photos, lists = emotionroi(images or EMOTIONROI_SIZE)
    else:
        photos, lists = twitter1(images or TWITTER1_SIZE, seed)
    for path, text in lists.items():
        if not (folder / path).exists():
            save(folder / path, text.encode())
    drawn = draw_all(folder, seed, photos, workers)
    console = Console(stderr=True)
    for _ in track(drawn, description=f"Drawing {name}", total=len(photos), console=console):
        pass


if __name__ == "__main__":
    main()
