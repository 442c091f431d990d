"""Fields of settings, which are frozen dataclasses, and the rules that their values must keep.

A field says its default, its help text, and which values it may have. From the same fields the
command lines are made (`sentiflow.cli`).
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import types
import typing
from collections.abc import Iterable
from typing import Any, Literal

from . import faults

MOST_NAMED = 20  # items of a list that a message shows


class InputError(ValueError):
    """Input that the user can mend.

    The message is one line that names the culprit, the rule and the remedy.
    """

    def __init__(self, message: str) -> None:
        super().__init__(faults.without_addresses(message))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interval:
    """The numbers that a field may be.

    Attributes:
        at_least: the smallest.
        above: what the smallest must exceed.
        at_most: the largest.
        below: what the largest must stay under.
        unit: of all of them, such as "degrees".
    """

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    unit: str = ""

    def holds(self, value: float) -> bool:
        """Whether a number lies in the interval."""
        return (
            (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        low = _first(self.at_least, self.above)
        high = _first(self.at_most, self.below)
        if high is None:
            text = f"at least {low}" if self.above is None else f"above {low}"
        else:
            opening = "[" if self.above is None else "("
            closing = "]" if self.below is None else ")"
            text = f"in {opening}{low}, {high}{closing}"
        return f"{text} {self.unit}".rstrip()


def option(
    default: Any,
    help: str,  # as click names it
    *,
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    unit: str = "",
    group: str = "",
) -> Any:
    """A field of settings; its choices, where it has any, are those of its `Literal` hint.

    Args:
        default: a value.
        help: a sentence for the command line.
        at_least: see `Interval`, as for all further arguments.
        above: the same.
        at_most: the same.
        below: the same.
        unit: the same.
        group: heading that the option stands under in the command line's help.
    """
    bounds = {"at_least": at_least, "above": above, "at_most": at_most, "below": below}
    bounded = any(bound is not None for bound in bounds.values())
    interval = Interval(**bounds, unit=unit) if bounded else None
    metadata = {"help": help, "interval": interval, "group": group}
    return dataclasses.field(default=default, metadata=metadata)


def check(settings: Any) -> None:
    """Checks every field of settings against its choices and its interval.

    Raises:
        InputError: a value is none of the choices, or outside of the interval.
    """
    types_of_fields = hints(settings.__class__)
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        hint = types_of_fields[field.name]
        allowed = choices(hint)
        values = value if typing.get_origin(hint) is tuple else (value,)
        interval = field.metadata.get("interval")
        for item in values:
            if allowed and item not in allowed and not (item is None and is_optional(hint)):
                require(False, f"{field.name} must be one of {', '.join(map(str, allowed))}", item)
            if interval is not None and item is not None:
                require(interval.holds(item), f"{field.name} must be {interval}", item)


def parse_pairs(
    texts: Iterable[str], *, option: str, example: str, owner: str, known: Iterable[str]
) -> dict[str, Any]:
    """Turns `key=value` texts into values by key; values are Python literals or texts.

    Args:
        texts: what the option was given.
        option: its name.
        example: such as "alpha=0.25".
        owner: what has the keys, such as "the backbone".
        known: the keys that there are.

    Raises:
        InputError: a text has no `=`, or its key is none of those.
    """
    keys = list(known)
    values: dict[str, Any] = {}
    for text in texts:
        key, separator, value = text.partition("=")
        if not separator:
            raise InputError(f"{option} must be key=value, e.g. {example}. Received: {text}")
        if key not in keys:
            listed = ", ".join(keys) or "none"
            raise InputError(f"{owner} has no option {key}; it has {listed}. Received: {text}")
        values[key] = _literal(value)
    return values


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text


def require(holds: bool, rule: str, received: object) -> None:
    """Raises InputError with the rule and the value unless the rule holds."""
    if not holds:
        raise InputError(f"{rule}. Received: {received!r}")


def brief(value: object) -> str:
    """A value as a message shows it: of a long list, the beginning."""
    if not isinstance(value, list) or len(value) <= MOST_NAMED:
        return str(value)
    return f"{value[:MOST_NAMED]} and {len(value) - MOST_NAMED:,} more"


@functools.cache
def hints(settings: type) -> dict[str, Any]:
    """The type of every field of a dataclass, by name."""
    return typing.get_type_hints(settings)


def choices(hint: Any) -> tuple[Any, ...]:
    """The values that a hint's `Literal` names, in a union or a tuple too.

    There are none where there is no `Literal`.
    """
    if typing.get_origin(hint) is Literal:
        return typing.get_args(hint)
    if is_union(hint) or typing.get_origin(hint) is tuple:
        return tuple(value for part in typing.get_args(hint) for value in choices(part))
    return ()


def is_union(hint: Any) -> bool:
    """Whether a hint is one of several, such as `int | None`."""
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def is_optional(hint: Any) -> bool:
    """Whether a hint allows None."""
    return is_union(hint) and type(None) in typing.get_args(hint)


def _first(bound: float | None, alternative: float | None) -> float | None:
    return alternative if bound is None else bound
