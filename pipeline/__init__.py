"""The input path: from prepared TFRecords to the batches that a model sees."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .dataset import Dataset, Description, load, open
    from .graph import read_image, see_places, timed
    from .settings import InputError, Settings, steps
    from .waiting import ahead, clocked
else:
    from sentiflow.face import lazy

    __getattr__ = lazy(
        __name__,
        {
            "dataset": ("Dataset", "Description", "load", "open"),
            "graph": ("read_image", "see_places", "timed"),
            "settings": ("InputError", "Settings", "steps"),
            "waiting": ("ahead", "clocked"),
        },
    )

__all__ = [
    "Dataset",
    "Description",
    "InputError",
    "Settings",
    "ahead",
    "clocked",
    "load",
    "open",
    "read_image",
    "see_places",
    "steps",
    "timed",
]
