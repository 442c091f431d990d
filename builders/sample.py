"""Draws synthetic photographs in both datasets' original layouts: `python -m builders.sample DIR`.

The pictures stand in for EmotionROI and Twitter I, which may not be redistributed: same folders,
list files, counts, sizes and oddities. A file's bytes depend on the arguments alone, never on the
number of workers.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context, parent_process
from pathlib import Path
from typing import Any, NamedTuple

import click
import numpy as np
from PIL import Image, ImageFilter
from rich.console import Console
from rich.progress import track

from sentiflow.machine import cores

from .scene import MOODS, develop, paint

MARK = ".sample"  # the file that says that the folder is ours, and what drew it
DATASETS = ("emotionroi", "twitter1")
EMOTIONROI_SIZE, TWITTER1_SIZE = 1980, 1269  # images
TEST_SHARE = 99 / 330  # of every EmotionROI class: its last numbers
SMALL_SHARE = 67 / 1269  # of Twitter I: images whose short side is under 292 pixels
# Twitter I by exact agreement level: (negative, positive) images; pairs of byte-identical files
# that the level adds; lists; and the share of a picture's surroundings that shows its class (the
# annotators disagree where it is low).
AGREEMENT = {5: (301, 581), 4: (126, 108), 3: (73, 80)}
DUPLICATES = {5: 5, 4: 3, 3: 5}
LISTS = {5: "twitter_five_agrees.txt", 4: "twitter_four_agrees.txt", 3: "twitter_three_agrees.txt"}
PURITY = {5: 0.4, 4: 0.3, 3: 0.2}
QUALITIES = (85, 94, 95, 96, 97)  # JPEG
SENTIMENTS = (
    ("anger", "disgust", "fear", "sadness"),
    ("joy", "surprise"),
)  # of Twitter I's labels 0 and 1


class Photo(NamedTuple):
    """One file to draw. Its bytes depend on the seed and on everything but the paths."""

    path: str  # relative to the output folder
    dataset: str
    number: int  # of the picture: byte-identical files share it
    mood: str
    purity: float  # share of the surroundings in the class's own look, 0 to 1
    stimuli_path: str = ""
    small: bool = False
    grey: bool = False
    progressive: bool = False


def size_of(rng: np.random.Generator, photo: Photo) -> tuple[int, int]:
    """Height and width in pixels, distributed like the real dataset's."""
    if photo.dataset == "emotionroi":
        long = int(rng.choice([500, 640, 1024], p=[0.87, 0.09, 0.04]))
        short = round(
            long * float(rng.choice([2 / 3, 3 / 4, 9 / 16, 1], p=[0.6, 0.28, 0.06, 0.06]))
        )
        return (long, short) if rng.random() < 0.25 else (short, long)
    ratio = float(np.clip(np.exp(rng.normal(np.log(0.83), 0.33)), 0.55, 2.0))  # height / width
    width = int(rng.choice([599, 600, int(rng.integers(400, 599))], p=[0.5, 0.25, 0.25]))
    if photo.small:
        width = int(rng.integers(100, 292) / min(1.0, ratio))
        return max(100, int(width * ratio)), width
    return max(292, round(width * ratio)), width


def jpeg(picture: Image.Image, **options: Any) -> bytes:
    """The picture as a JPEG file."""
    file = io.BytesIO()
    picture.save(file, "JPEG", **options)
    return file.getvalue()


def draw(seed: int, photo: Photo) -> tuple[bytes, bytes]:
    """The photograph and its stimuli map, as JPEG files."""
    rng = np.random.default_rng([seed, DATASETS.index(photo.dataset), photo.number])
    scene = paint(rng, *size_of(rng, photo), MOODS[photo.mood], photo.purity)
    picture = Image.fromarray(develop(scene)).convert("L" if photo.grey else "RGB")
    options: dict[str, Any] = {
        "quality": int(rng.choice(QUALITIES)),
        "progressive": photo.progressive,
    }
    if not photo.grey:
        options["subsampling"] = "4:2:0" if rng.random() < 0.4 else "4:4:4"
    stimuli = Image.fromarray((255 * scene.stimuli).astype(np.uint8)).filter(
        ImageFilter.GaussianBlur(scene.side / 25)
    )
    return jpeg(picture, **options), jpeg(stimuli, quality=85)


def save(path: Path, content: bytes) -> None:
    """Writes the whole file or, when killed, none of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    part.write_bytes(content)
    os.replace(part, path)


def draw_files(folder: Path, seed: int, photo: Photo) -> None:
    """Draws the photograph, and its stimuli map where the dataset has them, unless they are there."""
    wanted = [folder / path for path in (photo.path, photo.stimuli_path) if path]
    if not all(path.exists() for path in wanted):
        for path, content in zip(wanted, draw(seed, photo), strict=False):
            save(path, content)


def emotionroi(n: int) -> tuple[list[Photo], dict[str, str]]:
    """The photographs of EmotionROI with n images, and the text of its list files."""
    photos, lists = [], {"training": "", "testing": ""}
    for k, mood in enumerate(MOODS):
        count = n // len(MOODS) + (k < n % len(MOODS))
        for i in range(count):
            name, index = f"{mood}/{i + 1}.jpg", k + len(MOODS) * i
            image, stimuli = f"EmotionROI/images/{name}", f"EmotionROI/ground_truth/{name}"
            grey = index % 331 == 5  # six of 1,980
            photos.append(
                Photo(image, "emotionroi", index, mood, 0.45, stimuli_path=stimuli, grey=grey)
            )
            lists["training" if i < count - round(TEST_SHARE * count) else "testing"] += f"{name}\n"
    return photos, {
        f"EmotionROI/training_testing_split/{name}.txt": text for name, text in lists.items()
    }


def agreement_cells(n: int) -> list[tuple[int, int]]:
    """The (exact agreement level, label) of every image of Twitter I with n images, in the real proportions."""
    kinds = [(level, label) for level in AGREEMENT for label in (0, 1)]
    ends = np.cumsum([AGREEMENT[level][label] for level, label in kinds])
    counts = np.diff(np.round(ends * n / TWITTER1_SIZE).astype(int), prepend=0)
    return [kind for kind, count in zip(kinds, counts, strict=True) for _ in range(count)]


def duplicate_pairs(rng: np.random.Generator, cells: Sequence[tuple[int, int]]) -> dict[int, int]:
    """Which images repeat which others; one pair, of three-agree only, has conflicting labels."""
    free, pairs = rng.permutation(len(cells)).tolist(), {}
    for level, count in DUPLICATES.items():
        for k in range(max(1, round(count * len(cells) / TWITTER1_SIZE))):
            copy = next(i for i in free if cells[i][0] == level)
            free.remove(copy)
            differ = level == 3 and k == 0
            pairs[copy] = next(
                i
                for i in free
                if cells[i][0] >= level and (cells[i][1] != cells[copy][1]) == differ
            )
            free.remove(pairs[copy])
    return pairs


def twitter1(n: int, seed: int) -> tuple[list[Photo], dict[str, str]]:
    """The photographs of Twitter I with n images, and the text of its list files."""
    rng = np.random.default_rng([seed, DATASETS.index("twitter1")])
    cells = agreement_cells(n)
    pairs = duplicate_pairs(rng, cells)
    single = rng.permutation(sorted(set(range(n)) - set(pairs) - set(pairs.values()))).tolist()
    small = set(single[1 : 1 + round(n * SMALL_SHARE)])
    names = [f"{number:05d}.jpg" for number in rng.permutation(n)]
    photos = []
    for i, name in enumerate(names):
        index = pairs.get(i, i)
        level, label = cells[index]
        mood = SENTIMENTS[label][index % len(SENTIMENTS[label])]
        path, flags = (
            f"Agg_AMT_Candidates/{name}",
            {"small": index in small, "progressive": index == single[0]},
        )
        photos.append(Photo(path, "twitter1", index, mood, PURITY[level], **flags))
    order = rng.permutation(n).tolist()
    lines = {
        level: [f"{names[i]} {cells[i][1]}\n" for i in order if cells[i][0] >= level]
        for level in LISTS
    }
    return photos, {LISTS[level]: "".join(lines[level]) for level in LISTS}


class Command(click.Command):
    """A command whose errors are one line and exit status 2."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the command line and ends the process."""
        try:
            sys.exit(super().main(*args, **{**kwargs, "standalone_mode": False}))
        except click.Abort:
            sys.exit(130)
        except click.ClickException as error:
            click.echo(f"Error: {error.format_message()}", err=True)
        except OSError as error:
            click.echo(f"Error: {error}", err=True)
        sys.exit(2)


def claim(folder: Path, mark: str) -> None:
    """Makes the folder ours.

    Raises:
        click.UsageError: it holds something else, or a sample drawn with other arguments.
    """
    if (folder / MARK).exists():
        if (found := (folder / MARK).read_text()) != mark:
            raise click.UsageError(
                f"{folder} holds another sample ({found}; not {mark}). Name another folder."
            )
    elif folder.exists() and any(not path.name.endswith(".part") for path in folder.iterdir()):
        raise click.UsageError(
            f"{folder} holds files that are not a sample. Name a new or an empty folder."
        )
    save(folder / MARK, mark.encode())
    for part in folder.rglob("*.part"):  # of a run that was killed
        part.unlink(missing_ok=True)


def end_with_parent() -> None:
    """Leaves Ctrl-C to the parent, and ends this worker when the parent is gone, however it ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()

    def follow() -> None:
        if parent:
            parent.join()
            os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def draw_all(folder: Path, seed: int, photos: Sequence[Photo], workers: int) -> Iterator[None]:
    """Draws the photographs, yielding after each."""
    task = partial(draw_files, folder, seed)
    if workers == 1:
        yield from map(task, photos)
        return
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=end_with_parent) as pool:
        yield from pool.map(task, photos, chunksize=4)


@click.command(cls=Command)
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
    plans = {"emotionroi": lambda: emotionroi(images or EMOTIONROI_SIZE)}
    plans["twitter1"] = lambda: twitter1(images or TWITTER1_SIZE, seed)
    for name in DATASETS if dataset == "both" else [dataset]:
        photos, lists = plans[name]()
        for path, text in lists.items():
            if not (folder / path).exists():
                save(folder / path, text.encode())
        drawn = draw_all(folder, seed, photos, workers or cores())
        for _ in track(
            drawn, description=f"Drawing {name}", total=len(photos), console=Console(stderr=True)
        ):
            pass
    click.echo(f"The sample photographs are in {folder}")


if __name__ == "__main__":
    main()
