"""EmotionROI: photographs in six emotions."""

from __future__ import annotations

from pathlib import Path

import tensorflow_datasets.public_api as tfds

from sentiflow.builders.reading.sources import Source
from sentiflow.builders.writing.config import DividedConfig
from sentiflow.builders.writing.preparation import CheckedBuilder

from . import layouts

_HOMEPAGE = "http://chenlab.ece.cornell.edu/downloads.html"


class EmotionROIConfig(DividedConfig):
    """`split` may be official (lists), folders, or stratified (80/15/5 of images/)."""

    divisions = layouts.LAYOUTS


class Builder(CheckedBuilder):
    """TFDS builder of EmotionROI."""

    BUILDER_CONFIGS = [  # noqa: RUF012  # TFDS declares it a plain attribute
        EmotionROIConfig(storage="original"),
        EmotionROIConfig(storage="raw"),
        EmotionROIConfig(storage="jpeg"),
    ]
    MANUAL_DOWNLOAD_INSTRUCTIONS = (
        f"Download EmotionROI.zip (see {_HOMEPAGE}) and unpack it into `manual_dir`.\n"
        f"    The folder may hold {layouts.LOOKED_FOR}"
    )

    def _info(self) -> tfds.core.DatasetInfo:
        features = {
            "image": self.builder_config.feature(),
            "label": tfds.features.ClassLabel(names=list(layouts.LABELS)),
            "filename": tfds.features.Text(),
        }
        if self.builder_config.storage == "original":  # none or one, a grey image
            features[layouts.MAPS] = tfds.features.Sequence(
                tfds.features.Image(shape=(None, None, 1))
            )
        return self.dataset_info_from_configs(
            features=tfds.features.FeaturesDict(features),
            supervised_keys=("image", "label"),
            homepage=_HOMEPAGE,
            metadata=tfds.core.MetadataDict(self.builder_config.metadata()),
        )

    def _read_source(self, manual_dir: Path) -> Source:
        config = self.builder_config
        return layouts.read(
            manual_dir, config.split, maps=config.storage == "original", homepage=_HOMEPAGE
        )
