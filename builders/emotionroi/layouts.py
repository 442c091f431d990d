"""The forms in which EmotionROI lies on disks, and the splits that each gives."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from sklearn.model_selection import train_test_split

from builders.sources import Bad, Entry, Source, find, inside, read_lines, repeats, same_content
from builders.storage import DatasetError

LABELS = ("anger", "disgust", "fear", "joy", "sadness", "surprise")
LOOKED_FOR = (
    "EmotionROI/images/{anger,...,surprise}/ with EmotionROI/training_testing_split/{training,testing}.txt"
    " (official split), or EmotionROI/{train,val,test}/{anger,...,surprise}/ (split by folders), or"
    " EmotionROI/images/{anger,...,surprise}/ alone (seeded 80/15/5 split)."
)
SEED = 0  # of the stratified split
_FOLDERS = ("", "EmotionROI", "EmotionROI/EmotionROI")  # the archive may unpack nested
_LISTS = {"train": "training.txt", "test": "testing.txt"}
_SPLIT_FOLDERS = {"train": "train", "validation": "val", "test": "test"}
_SUFFIXES = {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".webp", ".tif", ".tiff", ".ppm"}
_SMALLEST_CLASS = 20  # different images, so that 5 % of them is one

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

    looked_for = f"{LOOKED_FOR} Wanted: {', '.join(wanted)}. The data: EmotionROI.zip, see {homepage}"
    layout, root = find(manual_dir, _FOLDERS, recognise, looked_for=looked_for)
    source: Source = LAYOUTS[layout][1](root)
    check_copies = _refuse_copies if layout == "folders" else _report_copies
    check_copies(source)
    if maps and layout != "folders":
        _add_maps(source, root / "ground_truth")
    counts = ", ".join(f"{name} {len(entries)}" for name, entries in source.splits.items())
    source.notes.insert(0, f"EmotionROI: {layout} split of {root}: {counts} images.")
    source.facts["layout"] = layout
    return source


def _has_lists(root: Path) -> bool:
    return (root / "training_testing_split").is_dir() and (root / "images").is_dir()


def _has_split_folders(root: Path) -> bool:
    return any((root / "train" / label).is_dir() for label in LABELS)


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
    for split in _LISTS:
        source.splits[split] = [Entry(name, root / "images" / name, label) for name, label in names[split].items()]
    return source


def _names(path: Path, bad: list[Bad]) -> dict[str, str]:
    """Names in a list, in its order, with the label that each begins with; what cannot be used is added to `bad`."""
    names: dict[str, str] = {}
    for line in read_lines(path):
        name = inside(line)
        label = (name or "").partition("/")[0]
        if name is None:
            bad.append(Bad(line, f"{path.name} leads out of the image folder"))
        elif label not in LABELS:
            bad.append(Bad(line, f"unknown class {label!r} in {path.name}"))
        elif name in names:
            bad.append(Bad(name, f"listed twice in {path.name} (skip keeps it once)"))
        else:
            names[name] = label
    return names


def _read_split_folders(root: Path) -> Source:
    source = Source({}, [], {}, [])
    for split, folder in _SPLIT_FOLDERS.items():
        if (root / folder).is_dir():
            source.splits[split] = _class_folders(root / folder, root, source, required=split == "train")
    return source


def _read_images(root: Path) -> Source:
    source = Source({}, [], {"seed": SEED}, [])
    entries = _class_folders(root / "images", root / "images", source, required=True)
    source.splits = _stratified(entries)
    return source


def _class_folders(folder: Path, root: Path, source: Source, *, required: bool) -> list[Entry]:
    """Entries of `folder`/{class}/; unknown and empty class folders, and missing ones if required, are bad."""
    found = {path.name: path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")}
    for name in found.keys() - set(LABELS):
        source.bad.append(Bad(f"{found[name].relative_to(root)}/", "unknown class folder"))
    entries = []
    for label in LABELS:
        files = _image_files(found[label], root, source) if label in found else []
        if not files and (required or label in found):
            source.bad.append(Bad(f"{(folder / label).relative_to(root)}/", "no image in the class folder"))
        entries += [Entry(path.relative_to(root).as_posix(), path, label) for path in files]
    return entries


def _image_files(folder: Path, root: Path, source: Source) -> list[Path]:
    """Files named like images, in order. Others are clutter and counted; folders and odd names are bad."""
    files = []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not (path.is_dir() or path.suffix.lower() in _SUFFIXES):
            source.facts["ignored_files"] = source.facts.get("ignored_files", 0) + 1
        elif path.is_dir():
            source.bad.append(Bad(f"{path.relative_to(root)}/", "a folder inside a class folder"))
        elif not _is_text(path.name):
            source.bad.append(Bad(ascii(path.relative_to(root).as_posix()), "the file name is not UTF-8"))
        else:
            files.append(path)
    return files


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _stratified(entries: list[Entry]) -> dict[str, list[Entry]]:
    """Splits 80/15/5, each class alike; files with the same bytes stay together, under the label of the first."""
    groups = same_content([entry.path for entry in entries])
    firsts = sorted(set(groups))
    labels = [entries[i].label for i in firsts]
    rarest, count = min(Counter(labels).items(), key=lambda item: item[1], default=("images", 0))
    if count < _SMALLEST_CLASS:
        raise DatasetError(
            f"A stratified 80/15/5 split needs {_SMALLEST_CLASS} different images of every class. Received: {count} of"
            f" {rarest}. Add images, or arrange them in train, val and test folders."
        )
    options: dict[str, Any] = {"random_state": SEED, "shuffle": True}
    train, rest, _, rest_labels = train_test_split(firsts, labels, train_size=0.8, stratify=labels, **options)
    validation, test = train_test_split(rest, test_size=0.25, stratify=rest_labels, **options)
    chosen = {"train": set(train), "validation": set(validation), "test": set(test)}
    return {
        split: [entry for entry, group in zip(entries, groups, strict=True) if group in members]
        for split, members in chosen.items()
    }


def _copies(source: Source) -> list[list[tuple[str, Entry]]]:
    """Groups of files with the same bytes, each file with its split."""
    files = [(split, entry) for split, entries in source.splits.items() for entry in entries]
    return [[files[i] for i in group] for group in repeats(same_content([entry.path for _, entry in files]))]


def _report_copies(source: Source) -> list[list[tuple[str, Entry]]]:
    groups = _copies(source)
    straddling = [group for group in groups if len({split for split, _ in group}) > 1]
    source.facts |= {"duplicate_groups": len(groups), "duplicate_groups_across_splits": len(straddling)}
    source.notes += [f"Same bytes: {_listing(group)}." for group in groups]
    return groups


def _refuse_copies(source: Source) -> None:
    """As `_report_copies`; copies in a split before the last that has one, train first and test last, are bad."""
    for group in _report_copies(source):
        last = group[-1]
        for split, entry in group:
            if split != last[0]:
                source.bad.append(Bad(entry.filename, f"same bytes as {last[1].filename} (skip keeps the latter)"))
                source.splits[split].remove(entry)


def _listing(group: Iterable[tuple[str, Entry]]) -> str:
    return ", ".join(f"{entry.filename} ({split})" for split, entry in group)


def _add_maps(source: Source, folder: Path) -> None:
    """Gives every entry its emotion stimuli map, the file of the same relative name, where there is one."""
    count = 0
    for split, entries in source.splits.items():
        found = [(folder / entry.filename).is_file() for entry in entries]
        count += sum(found)
        source.splits[split] = [
            entry._replace(maps=(folder / entry.filename,)) if has else entry
            for entry, has in zip(entries, found, strict=True)
        ]
    source.facts["stimuli_maps"] = count
    source.notes.append(f"Emotion stimuli maps: {count} images have one.")


# In the order in which `auto` looks for them.
LAYOUTS: dict[str, tuple[Callable[[Path], bool], Reader]] = {
    "official": (_has_lists, _read_lists),
    "folders": (_has_split_folders, _read_split_folders),
    "stratified": (_has_images, _read_images),
}
