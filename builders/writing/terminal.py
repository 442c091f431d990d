"""What a build shows: notes of ours, a bar, and one line for each storage.

`tfds build` belongs to TFDS, which would log its steps, and print all that it knows of a dataset.
"""

from __future__ import annotations

import sys
from typing import Any

import tensorflow_datasets.public_api as tfds
from absl import logging

from sentiflow import startup

from .errors import disk_in_words, report_errors_in_one_line

_COMMAND = "tensorflow_datasets.scripts.cli.build"  # the module that `tfds build` consists of


class Info(tfds.core.DatasetInfo):
    """The facts of a dataset, shown as one line: `tfds build` prints them in the end."""

    def __repr__(self) -> str:
        name = self.full_name.rpartition("/")[0]
        if not self.splits:
            return f"{name}: not built"
        counts = ", ".join(f"{split} {part.num_examples:,}" for split, part in self.splits.items())
        bad = (self.metadata or {}).get("bad_images", 0)
        return (
            f"{name}: {counts} images, {bad or 'no'} bad files or lines, {self.dataset_size},"
            f" in {self.data_dir}"
        )

    def initialize_from_bucket(self) -> None:
        """Nothing: TFDS' bucket has none of our datasets, and the search leaves a folder behind."""


class PlainBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):  # type: ignore[call-arg]
    """A TFDS builder that shows no more than a user needs, and errors in words."""

    def __init__(self, **options: Any) -> None:
        settle_command()
        with disk_in_words(options.get("data_dir") or "."):
            super().__init__(**options)

    def dataset_info_from_configs(self, **facts: Any) -> tfds.core.DatasetInfo:
        """See the base class."""
        texts = self.get_metadata()
        facts |= {"description": texts.description, "citation": texts.citation}
        return Info(builder=self, **facts)

    def download_and_prepare(self, **options: Any) -> None:
        """See the base class.

        Raises:
            DatasetError: the disk refuses it.
        """
        with disk_in_words(self.data_dir):
            super().download_and_prepare(**options)

    def _log_download_bytes(self) -> None:
        """Nothing is downloaded."""

    def _log_download_done(self) -> None:
        """The command prints the dataset's line itself."""


def settle_command() -> None:
    """If this process is `tfds build`, errors end it in one line, and nothing else is logged."""
    if _COMMAND in sys.modules:
        startup.leave_libraries_to_the_end()
        report_errors_in_one_line()
        logging.set_verbosity(logging.ERROR)
