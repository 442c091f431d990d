"""Which contestants a command measures, and whether the dataset is large enough for it."""

from __future__ import annotations

from collections.abc import Sequence

from sentiflow.options import InputError, require

from ..contestants import CONTESTANTS
from ..contestants.task import Contestant
from .settings import Settings


def choose(names: str, works: Sequence[str], *, emulated: bool = False) -> list[Contestant]:
    """The contestants of a comma-separated list; for an empty one, all that do any of the works.

    Args:
        names: of contestants.
        works: to do.
        emulated: whether emulated accelerators take the batches; those who leave the view to them
            are contestants then.

    Raises:
        InputError: a name is unknown, or its contestant does none of the works.
    """
    able = [
        name
        for name, entry in CONTESTANTS.items()
        if set(entry.works) & set(works) and (emulated or not entry.leaves_view)
    ]
    listed = [name.strip() for name in names.split(",") if name.strip()]
    for name in listed:
        if name not in able:
            raise InputError(f"{_rule(name, works, able)}. Received: {name!r}")
    return [CONTESTANTS[name] for name in listed or able]


def _rule(name: str, works: Sequence[str], able: Sequence[str]) -> str:
    if name not in CONTESTANTS:
        return f"contestants must be among {', '.join(able)}"
    if CONTESTANTS[name].leaves_view:
        return "contestants must do the view; this one leaves it to accelerators that are emulated"
    does = f"{' and '.join(CONTESTANTS[name].works)} alone"
    return f"contestants must do work {' or '.join(works)}; this one does {does}"


def require_batch(settings: Settings, images: int) -> None:
    """Raises an InputError if the split's images do not fill one batch."""
    rule = f"batch_size must be at most {images}, the images of split {settings.split!r}"
    require(images >= settings.batch_size, rule, settings.batch_size)
