"""The input path: from prepared TFRecords to the batches that a model sees."""

import os

# TensorFlow's C++ chatter would bury the one line that a command has to say; errors reach Python as exceptions.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from pipeline.ahead import ahead
from pipeline.graph import filenames, load, read_image, timed
from pipeline.records import Description, describe
from pipeline.settings import InputError, Settings, steps

__all__ = [
    "Description",
    "InputError",
    "Settings",
    "ahead",
    "describe",
    "filenames",
    "load",
    "read_image",
    "steps",
    "timed",
]
