"""Twitter I: photographs from tweets, positive or negative."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tensorflow_datasets.public_api as tfds

from sentiflow.builders.reading.sources import Source
from sentiflow.builders.writing.config import StorageConfig
from sentiflow.builders.writing.preparation import CheckedBuilder

from . import lists

_HOMEPAGE = "https://qzyou.github.io/projects/sa-ds/"


class Builder(CheckedBuilder):
    """TFDS builder of Twitter I."""

    BUILDER_CONFIGS = [  # noqa: RUF012  # TFDS declares it a plain attribute
        StorageConfig(storage="original"),
        StorageConfig(storage="raw"),
        StorageConfig(storage="jpeg"),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Download the Twitter dataset (see {_HOMEPAGE}) and unpack it into `manual_dir`.\n"
        f"    The folder may hold {lists.LOOKED_FOR}"
    )

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": self.builder_config.feature(),
            "label": tfds.features.ClassLabel(names=list(lists.LABELS.values())),
            "filename": tfds.features.Text(),
            "agreement": tfds.features.Scalar(dtype=np.int64),  # of five annotators: 5, 4 or 3
            # Whether the image is in the first 20 % of the (five, four, three)-agree list.
            "validation": tfds.features.Tensor(shape=(3,), dtype=np.bool_),
            "fold": tfds.features.Scalar(dtype=np.int64),  # 0..4
        }
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
            homepage=_HOMEPAGE,
            metadata=tfds.core.MetadataDict(self.builder_config.metadata()),
        )

    def _read_source(self, manual_dir: Path) -> Source:
        return lists.read(manual_dir, homepage=_HOMEPAGE)
