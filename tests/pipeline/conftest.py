"""What the tests of the pipeline share: prepared datasets that may be changed."""

import shutil
from pathlib import Path

import pytest


@pytest.fixture
def copied(data_dir, tmp_path):
    """A copy of the data_dir."""
    return Path(shutil.copytree(data_dir, tmp_path / "data"))


@pytest.fixture
def copied_raw256(data_dir, tmp_path):
    """A copy of the data_dir that holds EmotionROI as `raw256` alone."""
    name = "emotionroi/raw256"
    folder = shutil.copytree(Path(data_dir) / name, tmp_path / "data" / name)
    return folder.parents[1]
