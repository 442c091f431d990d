"""The input path: from prepared TFRecords to the batches that a model sees."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .dataset import Dataset, open
    from .device_view import see_windows
    from .loading import load
    from .pictures import read_image
    from .settings import InputError, Settings, steps
    from .stored import Description
    from .view import normalise
    from .waiting import ahead, clocked, timed
else:
    from sentiflow.face import lazy

    __getattr__ = lazy(
        __name__,
        {
            "dataset": ("Dataset", "open"),
            "device_view": ("see_windows",),
            "loading": ("load",),
            "pictures": ("read_image",),
            "settings": ("InputError", "Settings", "steps"),
            "stored": ("Description",),
            "view": ("normalise",),
            "waiting": ("ahead", "clocked", "timed"),
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
    "normalise",
    "open",
    "read_image",
    "see_windows",
    "steps",
    "timed",
]
