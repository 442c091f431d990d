"""A user's own photographs, in class folders or named by a list."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tensorflow_datasets.public_api as tfds

from sentiflow.builders.reading.sources import Source
from sentiflow.builders.writing.config import DividedConfig
from sentiflow.builders.writing.errors import DatasetError, report_errors_in_one_line
from sentiflow.builders.writing.preparation import CheckedBuilder
from sentiflow.terminal import printable

from . import layouts


def _folder_name(manual_dir: Path) -> str:
    """By which one set of photographs is told from another; valid text, as metadata must be."""
    return printable(str(manual_dir.resolve()))


class PhotoFolderConfig(DividedConfig):
    """`split` may be list (a list file), folders, or stratified (80/15/5 of the class folders)."""

    divisions = layouts.LAYOUTS


class Builder(CheckedBuilder):
    """TFDS builder of a folder of photographs; its classes are known once the folder is read."""

    BUILDER_CONFIGS = [  # noqa: RUF012  # TFDS declares it a plain attribute
        PhotoFolderConfig(storage="original"),
        PhotoFolderConfig(storage="raw"),
        PhotoFolderConfig(storage="jpeg"),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = f"""Give the folder of your photographs as `manual_dir`.
    The folder may hold {layouts.LOOKED_FOR}"""

    def download_and_prepare(self, **kwargs: Any) -> None:
        """See the base class.

        A folder other than the one that was prepared is refused instead of ignored.
        """
        config = kwargs.get("download_config")
        if config and config.manual_dir:
            self._check_folder(Path(config.manual_dir))
        super().download_and_prepare(**kwargs)

    def _check_folder(self, manual_dir: Path) -> None:
        """Refuses a folder other than the one that was prepared, if any was."""
        metadata = self.data_path / "metadata.json"
        if not metadata.exists():
            return
        built = json.loads(metadata.read_text(encoding="utf-8"))["folder"]
        given = _folder_name(manual_dir)
        if built != given:
            report_errors_in_one_line()
            raise DatasetError(
                f"{self.data_path} was built from {built}."
                " Give another --data_dir for every set of photographs."
                f" Received: --manual_dir {given}"
            )

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": self.builder_config.feature(),
            "label": tfds.features.ClassLabel(),
            "filename": tfds.features.Text(),
        }
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
            metadata=tfds.core.MetadataDict(self.builder_config.metadata()),
        )

    def _read_source(self, manual_dir: Path) -> Source:
        source, labels = layouts.read(manual_dir, self.builder_config.split)
        self.info.features["label"].names = labels
        source.facts["folder"] = _folder_name(manual_dir)
        return source
