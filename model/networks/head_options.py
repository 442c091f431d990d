"""Options that one head has alone: a dataclass each, from whose fields `--head_options` is read."""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

from sentiflow.options import check, option, require


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoOptions:
    """What heads have that have no options of their own."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class WscnetOptions:
    """Options of the head `wscnet`.

    Raises:
        InputError: a value is none of the choices.
    """

    pooling: Literal["average", "max"] = option("average", "How it pools its maps and features.")

    def __post_init__(self) -> None:
        check(self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class WildcatOptions:
    """Options of the head `wildcat`.

    Raises:
        InputError: a value is outside its range.
    """

    kmax: float = option(0.2, "Highest values of a map to average: their number, or a fraction.")
    kmin: float = option(0.2, "Lowest values of a map to average: number, fraction, or 0.")
    alpha: float = option(0.7, "Weight of the lowest values.", at_least=0, at_most=1)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            require(isinstance(value, int | float), f"{field.name} must be a number", value)
        check(self)
        positive = _is_share(self.kmax) and self.kmax > 0
        require(positive, "kmax must be in (0, 1), or a whole number", self.kmax)
        require(_is_share(self.kmin), "kmin must be in [0, 1), or a whole number", self.kmin)


def _is_share(value: float) -> bool:
    """Whether a value is a fraction, or a number of things."""
    return 0 <= value < 1 or (value >= 1 and float(value).is_integer())


# Heads that are not here have none.
HEAD_OPTIONS: dict[str, type[NoOptions | WscnetOptions | WildcatOptions]] = {
    "wscnet": WscnetOptions,
    "wildcat": WildcatOptions,
}


def options_class(head: str) -> type[NoOptions | WscnetOptions | WildcatOptions]:
    """The class of a head's own options."""
    return HEAD_OPTIONS.get(head, NoOptions)


# Fields of `TrainSettings` in run folders of version 0.1.0: the head, and its option today.
FORMER_OPTIONS = {
    "wscnet_pooling": ("wscnet", "pooling"),
    "wildcat_kmax": ("wildcat", "kmax"),
    "wildcat_kmin": ("wildcat", "kmin"),
    "wildcat_alpha": ("wildcat", "alpha"),
}


def current_options(head: str, former: dict[str, Any]) -> list[str]:
    """What former fields say of a head, as `head_options`; defaults are left out."""
    defaults = options_class(head)()
    options = {
        key: former[name]
        for name, (owner, key) in FORMER_OPTIONS.items()
        if owner == head and name in former
    }
    return [f"{key}={value}" for key, value in options.items() if value != getattr(defaults, key)]
