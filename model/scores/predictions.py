"""What a network says of the images of a split, and the CSV file that keeps it.

Of up to `MOST_CLASSES` classes every probability is kept; of more, those of an image's most
probable classes, so that what is kept grows with the images and not with images times classes.
"""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from sentiflow.files import write_atomically
from sentiflow.options import InputError

# Up to so many classes, files and pages tell of every one; of more, they choose or sum up.
MOST_CLASSES = 100
# Classes that are kept of an image where there are more.
KEPT = 10

COLUMNS = ["filename", "label", "predicted"]


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Images of a split, in order, and what a network says of each.

    Attributes:
        filenames: names of the images.
        labels: int [n], the true classes.
        of_label: float [n], the probabilities of these.
        classes: int32 [n, kept], the most probable first.
        probabilities: float [n, kept], of `classes`.
    """

    filenames: list[str]
    labels: np.ndarray
    of_label: np.ndarray
    classes: np.ndarray
    probabilities: np.ndarray

    @classmethod
    def of(
        cls, filenames: Sequence[str], batches: Iterable[tuple[np.ndarray, np.ndarray]]
    ) -> Predictions:
        """Keeps of every batch what is kept, and lets it go.

        Args:
            filenames: names of all images.
            batches: at least one; probabilities, float [b, classes], and labels, int [b].
        """
        parts = [_keep(*batch) for batch in batches]
        return cls(list(filenames), *map(np.concatenate, zip(*parts, strict=True)))

    @property
    def predicted(self) -> np.ndarray:
        """The most probable class: int32 [n]."""
        return self.classes[:, 0]

    @property
    def confidence(self) -> np.ndarray:
        """The probability of that class: float [n]."""
        return self.probabilities[:, 0]

    @property
    def correct(self) -> np.ndarray:
        """Whether that class is the true one: bool [n]."""
        return self.predicted == self.labels

    @property
    def by_class(self) -> np.ndarray:
        """Probabilities in the order of the classes, where all are kept: float [n, classes]."""
        return np.take_along_axis(self.probabilities, np.argsort(self.classes, axis=1), axis=1)

    def write(self, path: Path, class_names: Sequence[str]) -> None:
        """Writes the file: a row for each image, in order.

        It holds file name, true class, predicted class, and the probability of every class. Where
        only the most probable classes are kept, it holds the probability of the true class instead,
        then these classes, each followed by its probability.
        """
        whole = self.classes.shape[1] == len(class_names)
        shares = _all_shares(self) if whole else _kept_shares(self, class_names)
        pairs = range(1, self.classes.shape[1] + 1)
        kept = [name for i in pairs for name in (f"class_{i}", f"probability_{i}")]
        columns = class_names if whole else ["probability_of_label", *kept]

        def write(target: Path) -> None:
            with target.open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow([*COLUMNS, *columns])
                rows = zip(self.filenames, self.labels, self.predicted, shares, strict=True)
                for name, label, predicted, cells in rows:
                    writer.writerow([name, class_names[label], class_names[predicted], *cells])

        write_atomically(path, write)


def most_probable(probabilities: np.ndarray) -> np.ndarray:
    """The classes that are kept of each image, the most probable first.

    Args:
        probabilities: float [n, classes].

    Returns:
        int32 [n, kept].
    """
    falling = -probabilities
    if probabilities.shape[1] <= MOST_CLASSES:
        return np.argsort(falling, axis=1, kind="stable").astype(np.int32)
    # The copy lets go of the other classes; in order, so that of equals the first is first.
    some = np.sort(np.argpartition(falling, KEPT, axis=1)[:, :KEPT].astype(np.int32), axis=1)
    order = np.argsort(np.take_along_axis(falling, some, axis=1), axis=1, kind="stable")
    return np.take_along_axis(some, order, axis=1)


def shown_labels(probabilities: np.ndarray) -> list[int]:
    """The classes that are shown of one image: all in order, or the most probable of many.

    Args:
        probabilities: float [classes].
    """
    if len(probabilities) <= MOST_CLASSES:
        return list(range(len(probabilities)))
    return most_probable(probabilities[None])[0].tolist()


def _keep(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, ...]:
    classes = most_probable(probabilities)
    of_label = probabilities[np.arange(len(labels)), labels]
    return labels, of_label, classes, np.take_along_axis(probabilities, classes, axis=1)


def _all_shares(predictions: Predictions) -> Iterator[list[str]]:
    for row in predictions.by_class:
        yield [f"{value:.6f}" for value in row]


def _kept_shares(predictions: Predictions, class_names: Sequence[str]) -> Iterator[list[str]]:
    rows = zip(predictions.of_label, predictions.classes, predictions.probabilities, strict=True)
    for of_label, classes, shares in rows:
        pairs = zip(classes, shares, strict=True)
        named = [text for i, share in pairs for text in (class_names[i], f"{share:.6f}")]
        yield [f"{of_label:.6f}", *named]


def read_predictions(path: Path, class_names: Sequence[str]) -> Predictions:
    """Reads the file.

    Args:
        path: what `Predictions.write` wrote.
        class_names: those that it was written with.

    Raises:
        FileNotFoundError: it is not there.
        InputError: it is damaged, or of other classes.
    """
    try:
        return _read(path, class_names)
    except (ValueError, LookupError, csv.Error) as error:
        rule = f"{path} is damaged, or of other classes ({error})"
        raise InputError(f"{rule}; write it anew with model.evaluate.") from None


def _read(path: Path, class_names: Sequence[str]) -> Predictions:
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    numbers = {name: label for label, name in enumerate(class_names)}
    filenames = [row[0] for row in rows]
    labels = np.array([numbers[row[1]] for row in rows], np.int64)
    cells = [row[len(COLUMNS) :] for row in rows]
    if header[len(COLUMNS) :] == list(class_names):
        shares = np.array(cells, np.float64).reshape(-1, len(class_names))
        return Predictions.of(filenames, [(shares, labels)])
    of_label = np.array([row[0] for row in cells], np.float64)
    classes = np.array([[numbers[name] for name in row[1::2]] for row in cells], np.int32)
    kept = np.array([row[2::2] for row in cells], np.float64)
    return Predictions(filenames, labels, of_label, classes, kept)
