"""Command lines made from settings dataclasses; every user error is one line and exit status 2."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from . import faults, startup
from .options import InputError, choices, hints, is_union
from .terminal import echo

T = TypeVar("T")


class Option(click.Option):
    """A click option that stands under a heading in the help.

    Attributes:
        group: the heading; empty: that of all options without one.
    """

    def __init__(self, *args: Any, group: str = "", **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.group = group


class OneLineErrors(click.Command):
    """A click command that prints errors of its user, and of a disk, as one line."""

    def main(self, *args: Any, standalone_mode: bool = True, **kwargs: Any) -> Any:
        """Runs the command; such an error ends with status 2, and an interruption with 130."""
        startup.stop_in_order()
        settings: dict[str, Any] = {**kwargs, "standalone_mode": False}
        if not standalone_mode:
            return super().main(*args, **settings)
        try:
            result = super().main(*args, **settings)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            raise SystemExit(error.exit_code) from None
        except Exception as error:
            _end(error)
            raise
        finally:
            startup.was_interrupted()  # not during what follows
        # Without standalone mode click hands back the exit status of `--help` instead of leaving.
        raise SystemExit(result if isinstance(result, int) else 0)


class Command(OneLineErrors):
    """A command whose options may be written with dashes: `--batch-size` for `--batch_size`."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("context_settings", {}).update(
            token_normalize_func=lambda name: name.replace("-", "_"),
            show_default=True,
            max_content_width=120,
        )
        super().__init__(*args, **kwargs)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the options, those of each group under its heading."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is not None:
                groups.setdefault(getattr(parameter, "group", ""), []).append(record)
        for group, records in groups.items():
            with formatter.section(group.capitalize() or "Options"):
                formatter.write_dl(records)


class Group(OneLineErrors, click.Group):
    """A group of commands, whose errors are one line too."""


def options(settings: type, exclude: tuple[str, ...] = ()) -> Callable[[T], T]:
    """Decorator that adds one option for each field of a dataclass.

    Type and default are the field's, the help is in its metadata.
    """

    def decorate(function: T) -> T:
        for field in reversed(dataclasses.fields(settings)):
            if field.name not in exclude:
                function = _option(field, hints(settings)[field.name])(function)
        return function

    return decorate


def build(settings: type[T], values: dict[str, Any]) -> T:
    """Makes the dataclass from those of the parsed `values` that are its fields."""
    names = {field.name for field in dataclasses.fields(settings)}  # type: ignore[arg-type]
    return settings(**{name: value for name, value in values.items() if name in names})


def _give_output_up() -> None:
    """Drops what was printed and cannot be written; Python would try it again when it ends."""
    with contextlib.suppress(OSError, ValueError):  # a test's output has no descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _end(error: Exception) -> None:
    """Ends the process with a line; returns if it is no error of the user or of a disk."""
    if startup.was_interrupted() or isinstance(error, click.Abort):
        click.echo("Stopped.", err=True)
        raise SystemExit(startup.INTERRUPTED) from None
    if isinstance(error, (InputError, click.ClickException)):
        _fail(_message(error))
    fault = faults.find(error)
    if fault is None:
        return
    if not fault.filename:  # all that we write ourselves is named
        _give_output_up()
        fault = faults.at(Path("standard output"), fault)
    _fail(faults.line(fault))


def _fail(line: str) -> NoReturn:
    echo(f"Error: {line}", err=True)
    raise SystemExit(2) from None


def _message(error: InputError | click.ClickException) -> str:
    text = error.format_message() if isinstance(error, click.ClickException) else str(error)
    return " ".join(text.split())


def _option(field: dataclasses.Field[Any], hint: Any) -> Callable[[T], T]:
    default = (
        field.default if field.default_factory is dataclasses.MISSING else field.default_factory()
    )
    settings: dict[str, Any] = {
        "cls": Option,
        "group": field.metadata.get("group", ""),
        "help": field.metadata.get("help", ""),
    }
    if default is dataclasses.MISSING:
        settings["required"] = True
    else:
        settings["default"] = default
    if hint is bool:
        switch = f"--{field.name}/--no_{field.name}"
        return click.option(switch, **settings)  # type: ignore[return-value]
    kind = next(part for part in _alternatives(hint) if part is not type(None))
    repeated = typing.get_origin(kind) is tuple
    allowed = choices(hint)
    settings["type"] = (
        click.Choice(allowed) if allowed else typing.get_args(kind)[0] if repeated else kind
    )
    settings["multiple"] = repeated
    return click.option(f"--{field.name}", **settings)  # type: ignore[return-value]


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint) if is_union(hint) else (hint,)
