"""Twitter I: photographs from tweets, positive or negative."""

from .twitter1_dataset_builder import Builder

__all__ = ["Builder"]
