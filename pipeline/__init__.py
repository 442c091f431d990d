"""The input path: from prepared TFRecords to the batches that a model sees."""

from pipeline.graph import filenames, load, read_image, timed
from pipeline.records import Description, describe
from pipeline.settings import InputError, Settings, steps

__all__ = ["Description", "InputError", "Settings", "describe", "filenames", "load", "read_image", "steps", "timed"]
