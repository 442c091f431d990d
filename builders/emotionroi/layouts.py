"""The forms in which EmotionROI lies on disks, and the splits that each gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sentiflow.builders.reading.entries import Entries
from sentiflow.builders.reading.folders import (
    class_folders,
    read_split_folders,
    report_ignored,
    split_folders,
)
from sentiflow.builders.reading.listed import ListedFiles
from sentiflow.builders.reading.sources import Bad, Source, find, inside, read_lines
from sentiflow.builders.reading.splits import (
    SEED,
    refuse_copies,
    report_copies,
    report_untrained,
    stratified,
)

LABELS = ("anger", "disgust", "fear", "joy", "sadness", "surprise")
LOOKED_FOR = (
    "EmotionROI/images/{anger,...,surprise}/ with"
    " EmotionROI/training_testing_split/{training,testing}.txt"
    " (official split), or EmotionROI/{train,val,test}/{anger,...,surprise}/ (split by folders), or"
    " EmotionROI/images/{anger,...,surprise}/ alone (seeded 80/15/5 split)."
)
MAPS = "stimuli_map"  # the feature that holds an image's map
_FOLDERS = ("", "EmotionROI", "EmotionROI/EmotionROI")  # the archive may unpack nested
_LISTS = {"train": "training.txt", "test": "testing.txt"}

Reader = Callable[[Path], Source]


def read(manual_dir: Path, split: str, *, maps: bool, homepage: str) -> Source:
    """Finds the dataset and reads its lists or folders.

    Args:
        manual_dir: the folder `EmotionROI`, or the folder that holds it.
        split: `auto`, or one of `LAYOUTS`.
        maps: whether the emotion stimuli maps are wanted.
        homepage: where to get the data, for the message.
    """
    wanted = tuple(LAYOUTS) if split == "auto" else (split,)

    def recognise(root: Path) -> tuple[str, Path] | None:
        return next(((layout, root) for layout in wanted if LAYOUTS[layout][0](root)), None)

    looked_for = (
        f"{LOOKED_FOR} Wanted: {', '.join(wanted)}. The data: EmotionROI.zip, see {homepage}"
    )
    layout, root = find(manual_dir, _FOLDERS, recognise, looked_for=looked_for)
    source: Source = LAYOUTS[layout][1](root)
    check_copies = refuse_copies if layout == "folders" else report_copies
    check_copies(source)
    report_untrained(source, LABELS)
    report_ignored(source)
    if maps:
        _add_maps(source, root / "ground_truth")
    counts = ", ".join(f"{name} {len(entries)}" for name, entries in source.splits.items())
    source.notes.insert(0, f"EmotionROI: {layout} split of {root}: {counts} images.")
    source.facts["layout"] = layout
    return source


def _has_lists(root: Path) -> bool:
    return (root / "training_testing_split").is_dir() and (root / "images").is_dir()


def _has_split_folders(root: Path) -> bool:
    folders = split_folders(root) if root.is_dir() else []
    training = [folder for split, folder in folders if split == "train"]
    return any((folder / label).is_dir() for folder in training for label in LABELS)


def _has_images(root: Path) -> bool:
    return any((root / "images" / label).is_dir() for label in LABELS)


def _read_lists(root: Path) -> Source:
    source = Source({}, [], {}, [])
    names = {}
    for split, list_name in _LISTS.items():
        names[split] = _names(root / "training_testing_split" / list_name, source.bad)
    for name in sorted(names["train"].keys() & names["test"].keys()):
        source.bad.append(Bad(name, "in both training.txt and testing.txt (skip keeps it in test)"))
        del names["train"][name]
    files = ListedFiles(root / "images")
    for split in _LISTS:
        source.splits[split] = Entries.collect(
            files.entry(name, label) for name, label in names[split].items()
        )
    return source


def _names(path: Path, bad: list[Bad]) -> dict[str, str]:
    """Names in a list, in its order, with the label that each begins with.

    What cannot be used is added to `bad`.
    """
    names: dict[str, str] = {}
    for text, location in read_lines(path):
        name = inside(text.replace("\\", "/"))
        label = (name or "").partition("/")[0]
        if name is None:
            bad.append(Bad(text, "leads out of the image folder", location))
        elif label not in LABELS:
            bad.append(Bad(text, f"unknown class {label!r}", location))
        elif name in names:
            bad.append(Bad(name, "listed twice (skip keeps it once)", location))
        else:
            names[name] = label
    return names


def _read_split_folders(root: Path) -> Source:
    return read_split_folders(root, LABELS)


def _read_images(root: Path) -> Source:
    source = Source({}, [], {"seed": SEED}, [])
    entries = class_folders(root / "images", root / "images", source, labels=LABELS, required=True)
    source.splits = stratified(entries)
    return source


def _add_maps(source: Source, folder: Path) -> None:
    """Gives every entry its stimuli map, the file of the same name, or none where there is none."""
    count = 0
    for split, entries in source.splits.items():
        paths = [folder / entry.filename for entry in entries]
        maps = [(path,) if path.is_file() else () for path in paths]
        count += sum(map(len, maps))
        source.splits[split] = Entries.collect(
            entry._replace(maps={MAPS: files}) for entry, files in zip(entries, maps, strict=True)
        )
    source.facts["stimuli_maps"] = count
    source.notes.append(f"Emotion stimuli maps: {count} images have one.")


# In the order in which `auto` looks for them.
LAYOUTS: dict[str, tuple[Callable[[Path], bool], Reader]] = {
    "official": (_has_lists, _read_lists),
    "folders": (_has_split_folders, _read_split_folders),
    "stratified": (_has_images, _read_images),
}
