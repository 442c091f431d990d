"""The names that a room shows, each loaded when it is first asked for.

So `import sentiflow.pipeline` loads no TensorFlow, and a command can prepare its process although
Python runs the `__init__` of its room before it.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any


def lazy(room: str, modules: Mapping[str, Sequence[str]]) -> Callable[[str], Any]:
    """A module's `__getattr__` (PEP 562).

    Args:
        room: `__name__` of the room.
        modules: by module of the room, the names that it provides. None may bear the name of a
            module of the room: Python sets that attribute itself.
    """
    origins = {name: module for module, names in modules.items() for name in names}

    def get(name: str) -> Any:
        if name not in origins:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{room}.{origins[name]}"), name)

    return get
