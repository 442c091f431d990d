"""Windows of storage `raw`, cut out of the mapped shards: the page cache holds the pixels."""

from __future__ import annotations

from .. import readahead
from ..pixels import as_tensor
from ..records import Records
from ..settings import StreamSettings
from .layout import Layout, Pixels
from .mapping import map_records


class Mapped(Pixels):
    """The pixels of mapped shards. Nothing is read before it is asked for."""

    def __init__(self, records: Records, settings: StreamSettings) -> None:
        """Maps the shards.

        Raises:
            InputError: the system refuses.
        """
        area, start = map_records(records, at_random=readahead.IS_POSSIBLE)
        super().__init__(as_tensor(area), Layout(start, records.shape), settings)
