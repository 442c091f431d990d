"""How often the images of a class are taken for another.

The matrix is sparse, [classes, classes], rows being the true classes: it has no more cells than
there are images.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import coo_array, csr_array

from .predictions import MOST_CLASSES

MOST_SHOWN = 30  # classes whose matrix can be read
CHOSEN = 15  # classes that are shown where there are more
MOST_CONFUSIONS = 4


def count(labels: np.ndarray, predicted: np.ndarray, classes: int) -> csr_array:
    """Counts images by true and predicted class.

    Args:
        labels: int [n], the true classes.
        predicted: int [n].
        classes: their number.

    Returns:
        int64 [classes, classes], its cells in order.
    """
    return _matrix(np.ones(len(labels), np.int64), labels, predicted, classes)


def _matrix(
    images: np.ndarray, labels: np.ndarray, predicted: np.ndarray, classes: int
) -> csr_array:
    matrix = coo_array((images, (labels, predicted)), shape=(classes, classes)).tocsr()
    matrix.sum_duplicates()
    return matrix


def as_json(matrix: csr_array) -> dict[str, list[list[int]]]:
    """The matrix as a key of a JSON object.

    Of up to `MOST_CLASSES` classes that is `confusion_matrix`, all rows; of more it is
    `confusion_triples`: [true class, predicted class, images] for every pair that occurs, classes
    being numbers, from 0.
    """
    if matrix.shape[0] <= MOST_CLASSES:
        return {"confusion_matrix": matrix.toarray().tolist()}
    cells = matrix.tocoo()
    triples = np.column_stack([cells.row, cells.col, cells.data])
    return {"confusion_triples": triples.tolist()}


def from_json(values: dict[str, Any], classes: int) -> csr_array:
    """The matrix of a JSON object in either form; as of `count`."""
    if "confusion_matrix" in values:
        return csr_array(np.array(values["confusion_matrix"], np.int64))
    labels, predicted, images = np.array(values["confusion_triples"], np.int64).T
    return _matrix(images, labels, predicted, classes)


@dataclasses.dataclass(frozen=True)
class Confusion:
    """A class, what it was taken for, how often, and of how many images of the class."""

    label: str
    predicted: str
    images: int
    of: int


def confusions(matrix: csr_array, class_names: Sequence[str]) -> list[Confusion]:
    """The most frequent mistakes, the most frequent first.

    Args:
        matrix: as of `count`.
        class_names: by label.
    """
    of = matrix.sum(axis=1)
    return [
        Confusion(class_names[i], class_names[j], int(images), int(of[i]))
        for i, j, images in _mistakes(matrix)[:MOST_CONFUSIONS]
    ]


def _mistakes(matrix: csr_array) -> np.ndarray:
    """True class, predicted class and images of every mistake, frequent ones first: int [n, 3]."""
    cells = matrix.tocoo()
    mistakes = np.column_stack([cells.row, cells.col, cells.data])[cells.row != cells.col]
    return mistakes[np.argsort(-mistakes[:, 2], kind="stable")]


@dataclasses.dataclass(frozen=True)
class Table:
    """A confusion matrix that can be read.

    Attributes:
        rows: names of true classes.
        columns: the same names; where classes are left out, one more column stands for them.
        images: int64 [rows, columns].
        note: which classes these are, if not all.
    """

    rows: list[str]
    columns: list[str]
    images: np.ndarray
    note: str = ""


def table(matrix: csr_array, class_names: Sequence[str]) -> Table:
    """The whole matrix, or, of more than `MOST_SHOWN` classes, the most confused of them.

    Args:
        matrix: as of `count`.
        class_names: by label.
    """
    classes = len(class_names)
    if classes <= MOST_SHOWN:
        return Table(list(class_names), list(class_names), matrix.toarray())
    labels = _most_confused(matrix)
    rows = matrix[labels]
    inside = rows[:, labels].toarray()
    outside = rows.sum(axis=1) - inside.sum(axis=1)
    names = [class_names[label] for label in labels]
    columns = [*names, f"{classes - CHOSEN:,} others"]
    note = f"the {CHOSEN} most confused of {classes:,} classes"
    return Table(names, columns, np.column_stack([inside, outside]), note)


def _most_confused(matrix: csr_array) -> list[int]:
    """The classes of the most frequent mistakes; if they are too few, then the largest classes."""
    pairs = _mistakes(matrix)[:, :2].ravel()
    largest = np.argsort(-matrix.sum(axis=1), kind="stable")
    return list(dict.fromkeys([*pairs.tolist(), *largest.tolist()]))[:CHOSEN]
