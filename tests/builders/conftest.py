"""What the tests of the builders share."""

import shutil
from pathlib import Path

import pytest
from archive_files import DUMMY


@pytest.fixture
def manual_dir(tmp_path):
    """A copy of EmotionROI's dummy data to be changed."""
    return Path(shutil.copytree(DUMMY["emotionroi"], tmp_path / "manual"))
