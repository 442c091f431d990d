"""What TFDS checks of every dataset, in all configurations."""

import tensorflow_datasets as tfds

from sentiflow.builders import emotionroi, photo_folder, twitter1


class EmotionROITest(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own checks, for every configuration."""

    DATASET_CLASS = emotionroi.Builder
    SPLITS = {"train": 12, "test": 6}  # noqa: RUF012


class Twitter1Test(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own checks, for every configuration."""

    DATASET_CLASS = twitter1.Builder
    SPLITS = {"agree5": 10, "agree4": 2, "agree3": 2}  # noqa: RUF012


class PhotoFolderTest(tfds.testing.DatasetBuilderTestCase):
    """TFDS's own checks, for every configuration."""

    DATASET_CLASS = photo_folder.Builder
    SPLITS = {"train": 4, "validation": 2, "test": 2}  # noqa: RUF012
