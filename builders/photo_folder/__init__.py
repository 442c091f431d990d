"""A folder of a user's own photographs."""

from .photo_folder_dataset_builder import Builder, PhotoFolderConfig

__all__ = ["Builder", "PhotoFolderConfig"]
