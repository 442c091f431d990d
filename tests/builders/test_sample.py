"""The synthetic photographs.

The same every time, in the real datasets' layouts and counts, and learnable.
"""

import hashlib
import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image, JpegImagePlugin
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sentiflow.builders.sample import __main__ as command
from sentiflow.builders.sample import archives, drawing
from sentiflow.builders.sample.moods import MOODS
from sentiflow.builders.sample.scene import noise


def run(folder: Path, *options: str) -> Result:
    return CliRunner().invoke(command.main, [str(folder), *options])


def read(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def picture(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def lines(path: Path) -> list[list[str]]:
    return [line.split() for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sample") / "new"
    for dataset in archives.DATASETS:  # into one folder, one after the other
        result = run(folder, "--images", "24", "--workers", "1", "--dataset", dataset)
        assert result.exit_code == 0, result.output
    return folder


def test_same_bytes_for_any_number_of_workers(drawn: Path, tmp_path: Path) -> None:
    assert run(tmp_path, "--images", "24", "--workers", "2", "--dataset", "twitter1").exit_code == 0
    expected = {
        path: content for path, content in read(drawn).items() if not path.startswith("EmotionROI")
    }
    assert read(tmp_path) == expected


def test_seed_changes_every_picture() -> None:
    photo = archives.emotionroi(24)[0][0]
    assert drawing.draw(1, photo) == drawing.draw(1, photo)
    assert drawing.draw(1, photo)[0] != drawing.draw(2, photo)[0]


def test_interrupted_run_is_completed(drawn: Path, tmp_path: Path) -> None:
    before = read(drawn)
    (drawn / "EmotionROI/images/joy/2.jpg").unlink()
    (drawn / "EmotionROI/ground_truth/joy/3.jpg").unlink()
    (drawn / "twitter_four_agrees.txt").unlink()
    (drawn / "EmotionROI/images/joy/.partial.2.jpg").write_bytes(b"half")
    assert run(drawn, "--images", "24", "--workers", "1").exit_code == 0
    assert read(drawn) == before


def test_refuses_a_folder_that_holds_something_else(tmp_path: Path) -> None:
    photo = tmp_path / "EmotionROI/images/anger/1.jpg"
    photo.parent.mkdir(parents=True)
    photo.write_bytes(b"real")
    result = run(tmp_path, "--images", "24")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert "holds files that are not a sample" in result.stderr
    assert read(tmp_path) == {"EmotionROI/images/anger/1.jpg": b"real"}


@pytest.mark.parametrize(
    "options", [("--seed", "5", "--images", "24"), ("--images", "23"), ("--imges", "24"), ()]
)
def test_usage_errors_are_one_line(drawn: Path, options: tuple[str, ...]) -> None:
    before = read(drawn)
    result = run(drawn, *options)
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)
    assert read(drawn) == before


def test_a_file_in_the_way_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = run(tmp_path / "file/sample", "--images", "24")
    assert (result.exit_code, result.stderr.count("\n")) == (2, 1)


def test_emotionroi_layout(drawn: Path) -> None:
    root = drawn / "EmotionROI"
    names = {str(path.relative_to(root / "images")) for path in root.glob("images/*/*.jpg")}
    train, test = (
        [line[0] for line in lines(root / f"training_testing_split/{s}ing.txt")]
        for s in ("train", "test")
    )
    assert names == {f"{mood}/{number}.jpg" for mood in MOODS for number in range(1, 5)}
    assert sorted(train + test) == sorted(names)
    assert sorted(test) == [f"{mood}/4.jpg" for mood in MOODS]
    photos = {name: picture((root / "images" / name).read_bytes()) for name in names}
    assert {photo.mode for photo in photos.values()} == {"RGB", "L"}
    for name, photo in photos.items():
        stimuli = picture((root / "ground_truth" / name).read_bytes())
        assert (stimuli.mode, stimuli.size) == ("L", photo.size)
        assert np.asarray(stimuli).max() > 50


def test_emotionroi_real_counts() -> None:
    photos, lists = archives.emotionroi(archives.EMOTIONROI_SIZE)
    test = lists["EmotionROI/training_testing_split/testing.txt"].split()
    assert Counter(photo.mood for photo in photos) == dict.fromkeys(MOODS, 330)
    assert test == [f"{mood}/{number}.jpg" for mood in MOODS for number in range(232, 331)]
    assert len(lists["EmotionROI/training_testing_split/training.txt"].split()) == 1386
    assert sum(photo.grey for photo in photos) == 6


@pytest.mark.parametrize("seed", [0, 7])
def test_twitter_real_counts(seed: int) -> None:
    photos, lists = archives.twitter1(archives.TWITTER1_SIZE, seed)
    five, four, three = (
        [tuple(line.split()) for line in lists[file].splitlines()]
        for file in archives.LISTS.values()
    )
    assert [Counter(label for _, label in rows) for rows in (five, four, three)] == [
        {"1": 581, "0": 301},
        {"1": 689, "0": 427},
        {"1": 769, "0": 500},
    ]
    assert set(five) < set(four) < set(three)
    for rows in (five, four, three):
        first = [int(label) for _, label in rows[: len(rows) // 5]]
        assert 0.5 < np.mean(first) < 0.75
    assert [duplicates(photos, rows) for rows in (five, four, three)] == [(5, 0), (8, 0), (13, 1)]
    assert sum(photo.small for photo in photos) == 67
    assert sum(photo.progressive for photo in photos) == 1


def duplicates(photos: list[archives.Photo], rows: list[tuple[str, ...]]) -> tuple[int, int]:
    """Pairs of one picture under two names, and those with conflicting labels."""
    number = {Path(photo.path).name: photo.number for photo in photos}
    groups: dict[int, list[str]] = {}
    for name, label in rows:
        groups.setdefault(number[name], []).append(label)
    pairs = [labels for labels in groups.values() if len(labels) > 1]
    return len(pairs), sum(len(set(labels)) > 1 for labels in pairs)


@pytest.mark.parametrize("n", [24, 25, 40, 101, 1000])
def test_twitter_keeps_its_structure_when_small(n: int) -> None:
    photos, lists = archives.twitter1(n, 3)
    rows = [
        [tuple(line.split()) for line in lists[file].splitlines()]
        for file in archives.LISTS.values()
    ]
    assert set(rows[0]) < set(rows[1]) < set(rows[2])
    assert [len(level) for level in rows] == pytest.approx(
        [882 * n / 1269, 1116 * n / 1269, n], abs=0.51
    )
    pairs = [duplicates(photos, level) for level in rows]
    assert pairs[0][0] >= 1
    assert [conflicts for _, conflicts in pairs] == [0, 0, 1]


def test_twitter_files(drawn: Path) -> None:
    rows = lines(drawn / "twitter_three_agrees.txt")
    files = {path.name: path.read_bytes() for path in (drawn / "Agg_AMT_Candidates").iterdir()}
    assert {name for name, _ in rows} == set(files)
    label = dict(rows)
    same: dict[str, list[str]] = {}
    for name, content in files.items():
        same.setdefault(hashlib.sha256(content).hexdigest(), []).append(name)
    pairs = [names for names in same.values() if len(names) > 1]
    assert len(pairs) == 3
    assert sum(label[first] != label[second] for first, second in pairs) == 1
    photos = [picture(content) for content in files.values()]
    assert {photo.mode for photo in photos} == {"RGB"}
    assert sum("progressive" in photo.info for photo in photos) == 1
    assert {JpegImagePlugin.get_sampling(photo) for photo in photos} == {0, 2}  # 4:4:4 and 4:2:0


def test_sizes_are_the_real_ones() -> None:
    rng = np.random.default_rng(0)
    photos = archives.twitter1(archives.TWITTER1_SIZE, 0)[0]
    height, width = np.array([drawing.size_of(rng, photo) for photo in photos]).T
    assert (width.min() >= 100, width.max(), height.min() >= 100) == (True, 600, True)
    assert 1100 < height.max() <= 1200
    assert (np.minimum(width, height) < 292).sum() == pytest.approx(67, abs=1)
    assert np.median(width) == 599
    assert np.median(height) == pytest.approx(453, abs=20)
    height, width = np.array(
        [drawing.size_of(rng, photo) for photo in archives.emotionroi(1000)[0]]
    ).T
    assert np.median(np.maximum(width, height)) == 500
    assert 0.15 < (height > width).mean() < 0.35


@pytest.mark.parametrize("slope", [0.8, 1.2, 1.8])
def test_noise_has_the_asked_spectrum(slope: float) -> None:
    (surface,) = noise(np.random.default_rng(0), 256, 256, slope)
    assert surface.mean() == pytest.approx(0, abs=1e-4)
    assert surface.std() == pytest.approx(1, abs=1e-3)
    amplitude = np.abs(np.fft.fft2(surface))
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256)[None])
    inside = (frequency > 0.02) & (frequency < 0.5)
    fitted = np.polyfit(np.log(frequency[inside]), np.log(amplitude[inside]), 1)[0]
    assert fitted == pytest.approx(-slope, abs=0.05)


def histogram(photo: Image.Image) -> np.ndarray:
    """Shares of 64 colours: float64 [64]."""
    colours = np.asarray(photo.convert("RGB").resize((48, 48))).reshape(-1, 3) // 64
    return np.bincount(colours @ [16, 4, 1], minlength=64) / len(colours)


def test_classes_are_learnable_but_overlap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "size_of", lambda rng, photo: (64, 96))
    photos = sorted(archives.emotionroi(300)[0], key=lambda photo: photo.number)
    labels = [photo.mood for photo in photos]
    features = [histogram(picture(drawing.draw(0, photo)[0])) for photo in photos]
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000)).fit(
        features[:200], labels[:200]
    )
    assert 0.4 < model.score(features[200:], labels[200:]) < 0.95
