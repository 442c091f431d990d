"""Changed pictures, from their files to probabilities, compared with what Pillow makes of them."""

from __future__ import annotations

import io
import json
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from click.testing import CliRunner
from PIL import Image

from sentiflow import pipeline
from sentiflow.model import predict

from . import inputs
from .changes import change
from .inputs import SIDE, STORAGES
from .rows import Trial

MOST_PIXELS = 2**26  # that the builder takes, of a picture as it is and as it is resized
NARROW = 700  # times as long as wide, a picture may be too long for a storage
# Mean difference, in levels, from Pillow's pixels where the pixels cannot be the same.
RESIZED = 1.5  # of `original`: other arithmetic
COMPRESSED = 6.0  # of `jpeg`, whose quality is 95: these pictures are grainy
SAME_PROBABILITIES = 1e-4  # batches differ, and with them last bits

WINDOWS = pipeline.Settings(image_size=SIDE, preprocess=None, cache="none")
Pixels = np.ndarray | str  # uint8 [SIDE, SIDE, 3], or why there are none
# A window of Pillow's, and whether it is the whole picture, not resized; None: it cannot be read.
Expected = tuple[np.ndarray, bool] | None


class Form(NamedTuple):
    """A kind of file: the format's name for Pillow, a mode, and options of `Image.save`."""

    format: str
    mode: str = "RGB"
    options: dict[str, Any] = {}  # noqa: RUF012  # never changed in place


FORMS = {
    "JPEG, baseline": Form("JPEG", "RGB", {"quality": 90}),
    "JPEG, progressive": Form("JPEG", "RGB", {"progressive": True}),
    "JPEG, restart markers": Form("JPEG", "RGB", {"restart_marker_blocks": 2}),
    "JPEG, grey": Form("JPEG", "L"),
    "JPEG, CMYK": Form("JPEG", "CMYK"),
    "PNG": Form("PNG"),
    "PNG, palette": Form("PNG", "P"),
    "PNG, alpha": Form("PNG", "RGBA"),
    "GIF": Form("GIF", "P"),
    "GIF, clear colour": Form("GIF", "P", {"transparency": 3}),
    "WebP": Form("WEBP", "RGB", {"quality": 80}),
    "WebP, lossless": Form("WEBP", "RGB", {"lossless": True}),
    "TIFF": Form("TIFF"),
    "TIFF, LZW": Form("TIFF", "RGB", {"compression": "tiff_lzw"}),
    "BMP": Form("BMP"),
}


class Mutant(NamedTuple):
    """A changed picture.

    Attributes:
        name: of the file.
        form: one of `FORMS`.
        change: one of `changes.CHANGES`.
        data: the file's bytes.
    """

    name: str
    form: str
    change: str
    data: bytes


def mutate(seed: int, number: int) -> Mutant:
    """The changed picture of a number; forms take turns."""
    rng = np.random.default_rng([seed, number])
    form = list(FORMS)[number % len(FORMS)]
    name, data = change(encode(inputs.picture(rng), FORMS[form]), rng)
    return Mutant(f"{number:06}.{FORMS[form].format.lower()}", form, name, data)


def encode(picture: Image.Image, form: Form) -> bytes:
    """A picture as a file."""
    buffer = io.BytesIO()
    picture.convert(form.mode).save(buffer, form.format, **form.options)
    return buffer.getvalue()


def pictures(seed: int, first: int, count: int, run: str | None) -> Iterator[Trial]:
    """Builds, serves and predicts changed pictures.

    Args:
        seed: of the campaign.
        first: number of the first picture.
        count: pictures.
        run: folder of a finished run; None: they are not predicted.
    """
    mutants = [mutate(seed, number) for number in range(first, first + count)]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about damaged metadata and large pictures
        photos = Path(folder) / "photos"
        _write(photos, mutants)
        data_dir = Path(folder) / "data"
        storages = {storage: _serve(storage, photos, data_dir) for storage in STORAGES}
        expected = {mutant.name: pillow(mutant.data) for mutant in mutants}
        predictions = _predict(run, photos, expected, Path(folder)) if run else None
        for mutant in mutants:
            served = {storage: pixels.get(mutant.name) for storage, pixels in storages.items()}
            is_narrow = _is_narrow(mutant.data)
            faults = _faults(served, expected[mutant.name], is_narrow=is_narrow)
            stored = served["raw"] is not None
            if predictions is not None:
                faults += predictions.faults(mutant.name, stored=stored)
            outcome = "stored" if stored else "refused"
            where = f"{mutant.name}, {mutant.change}: "
            yield Trial(mutant.form, outcome, where + "; ".join(faults) if faults else "")


def _write(photos: Path, mutants: list[Mutant]) -> None:
    """The changed pictures, and one of each class that is sound, so that there is a dataset."""
    photos.mkdir()
    for number, label in enumerate(inputs.CLASSES):
        inputs.picture(np.random.default_rng(number)).save(photos / f"{label}.png")
    for mutant in mutants:
        (photos / mutant.name).write_bytes(mutant.data)
    sound = [(f"{label}.png", label, "train") for label in inputs.CLASSES]
    changed = [(mutant.name, inputs.CLASSES[0], "train") for mutant in mutants]
    inputs.write_list(photos, [*sound, *changed])


def _serve(storage: str, photos: Path, data_dir: Path) -> dict[str, Pixels]:
    """The windows of all pictures that a storage holds by file name, or why there are none."""
    data = inputs.build(storage, photos, data_dir, on_bad_image="skip")
    try:
        return dict(serve(data, "train"))
    except Exception:  # of any kind: that of each picture is looked at
        return {file: _window(data, file) for file in data.files("train", WINDOWS)}


def serve(data: pipeline.Dataset, split: str, tier: Any = "none") -> dict[str, np.ndarray]:
    """The windows of a split by file name, as its stream from a tier has them."""
    batches = data.load(split, settings=WINDOWS, cache=tier).as_numpy_iterator()
    images = np.concatenate([images for images, _ in batches])
    return dict(zip(data.files(split, WINDOWS), images, strict=True))


def _window(data: pipeline.Dataset, file: str) -> Pixels:
    try:
        return data.windows("train", [file], WINDOWS)[0]
    except Exception as error:  # of any kind: it is the result
        return kind_of(error)


def kind_of(error: Exception) -> str:
    """An error in a line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"


def pillow(data: bytes) -> Expected:
    """What a file must come to, by the reference system's description, without this software."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            width, height = image.size
            ratio = max(SIDE / 0.875 / width, SIDE / 0.875 / height)
            size = (int(width * ratio), int(height * ratio))
            if max(width * height, size[0] * size[1]) > MOST_PIXELS:
                return None
            picture = image.convert("RGB")
    except Exception:  # Pillow's decoders raise errors of many types
        return None
    whole = picture.size == (SIDE, SIDE)
    if not whole:
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    left, top = (max(round(side / 2) - SIDE // 2, 0) for side in picture.size)
    return np.asarray(picture.crop((left, top, left + SIDE, top + SIDE))), whole


def _is_narrow(data: bytes) -> bool:
    """Whether one side of a picture is so many times the other that storages may refuse it."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return max(image.size) > NARROW * min(image.size)
    except Exception:  # as in `pillow`
        return False


def _faults(served: dict[str, Pixels | None], expected: Expected, *, is_narrow: bool) -> list[str]:
    """What is not as promised about what the storages serve of a picture."""
    held = [storage for storage, pixels in served.items() if pixels is not None]
    if held and expected is None:
        return [f"{', '.join(held)}: stored, though Pillow cannot read it"]
    # A long and narrow picture may be longer than a JPEG can be, and too large for `original`, of
    # which larger windows are cut as well.
    longest = [["raw"], ["original", "raw"]] if is_narrow else []
    if held not in ([], list(served), *longest):
        return [f"stored by {', '.join(held)} alone"]
    if expected is None:
        return []
    pixels, whole = expected
    bounds = {"raw": 0.0, "original": 0.0 if whole else RESIZED, "jpeg": COMPRESSED}
    faults = [_difference(served[storage], pixels, bounds[storage]) for storage in held]
    return [f"{storage}: {fault}" for storage, fault in zip(held, faults, strict=True) if fault]


def _difference(served: Pixels | None, expected: np.ndarray, bound: float) -> str:
    if not isinstance(served, np.ndarray):
        return f"stored, but reading it ends in {served}"
    levels = np.abs(served.astype(int) - expected)
    if levels.mean() <= bound:
        return ""
    return f"{(levels > 0).mean():.1%} of values differ from Pillow's, by up to {levels.max()}"


class Predictions(NamedTuple):
    """Probabilities of files, and of Pillow's pixels of them as files that need no resizing."""

    of_files: dict[str, np.ndarray]
    of_windows: dict[str, np.ndarray]

    def faults(self, name: str, *, stored: bool) -> list[str]:
        """What is not as promised about a file that the builder has stored, or has not."""
        of_file = self.of_files.get(name)
        if (of_file is not None) != stored:
            return [f"the builder {'stores' if stored else 'refuses'} it, predict does not"]
        of_window = self.of_windows.get(f"{name}.png")
        if of_file is None or of_window is None:
            return []
        difference = float(np.abs(of_file - of_window).max())
        if difference <= SAME_PROBABILITIES:
            return []
        return [f"predicted otherwise than its pixels, by {difference:.4f}"]


def _predict(run: str, photos: Path, expected: dict[str, Expected], folder: Path) -> Predictions:
    windows = folder / "windows"
    windows.mkdir()
    for name, known in expected.items():
        if known is not None:
            Image.fromarray(known[0]).save(windows / f"{name}.png")
    of_files = _probabilities(run, [photos / name for name in expected])
    return Predictions(of_files, _probabilities(run, sorted(windows.iterdir())))


def _probabilities(run: str, files: list[Path]) -> dict[str, np.ndarray]:
    """What `predict` says of each file that it takes, by name.

    Raises:
        RuntimeError: it ended otherwise than it may.
    """
    if not files:
        return {}
    inputs.register_backbone()
    command = ["--run", run, "--json", *map(str, files)]
    result = CliRunner().invoke(predict.main, command)
    if result.exit_code not in (0, 1) or not isinstance(result.exception, SystemExit | None):
        raise RuntimeError(f"predict ended with {result.exception!r}: {result.stderr[-300:]}")
    rows = json.loads(result.stdout)
    return {Path(row["file"]).name: np.array(list(row["probabilities"].values())) for row in rows}
