"""Windows cut from a copy of all resized images in RAM, whatever the storage."""

from __future__ import annotations

from ..pixels import as_tensor
from ..records import Records
from ..settings import StreamSettings
from . import resized
from .layout import Layout, Pixels


class Ram(Pixels):
    """Pixels that were read, decoded and resized once, on all cores."""

    def __init__(self, records: Records, settings: StreamSettings) -> None:
        """Reads every image, and shows progress on a terminal.

        Raises:
            InputError: the pixels do not fit into the free memory.
        """
        shapes = resized.shapes(records, settings)
        data = resized.read_all(records, shapes, settings)
        layout = Layout(3 * resized.starts(shapes), shapes)
        super().__init__(as_tensor(data.reshape(-1)), layout, settings)
