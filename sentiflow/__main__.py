"""The front door: `sentiflow COMMAND`, or `python -m sentiflow COMMAND`.

A command is loaded when it is run, so that help and completion need no large library.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from types import ModuleType
from typing import Any, NamedTuple

import click
from click.shell_completion import get_completion_class

from . import startup
from .cli import Group

SHELLS = ("bash", "zsh", "fish")


class Entry(NamedTuple):
    """A command that a module of a room provides by the name `main`.

    Attributes:
        name: as it is typed.
        module: below `sentiflow`; `__main__` of it where it is a package.
        help: one line for the list.
        prepared: whether it loads TensorFlow, which wants a prepared process.
        extra: the optional part of the installation that it cannot do without.
    """

    name: str
    module: str
    help: str
    prepared: bool = True
    extra: str | None = None


DATA = (
    Entry("sample", "builders.sample", "Draw synthetic photographs to try it out.", False),
    Entry("build", "build", "Prepare a dataset: TFDS' own `build`, of a name or folder.", False),
    Entry("preview", "pipeline.preview", "Draw a contact sheet of what a model sees."),
    Entry("verify", "pipeline.verify", "Compare a prepared dataset with its checksums."),
)
TRAINING = (
    Entry("train", "model.train", "Train a network; the defaults are experiment 1."),
    Entry("evaluate", "model.evaluate", "Score a trained network on a split."),
    Entry("predict", "model.predict", "Classify any pictures."),
    Entry("experiments", "model.experiments", "Train the nine experiments, or an ablation."),
    Entry("report", "model.report", "Write report.html of runs again."),
)
DOCTOR = Entry("doctor", "doctor", "Show versions and devices, and what is missing.", False)
LOADERS = (
    Entry("throughput", "bench.throughput", "Time every loader at the same work.", extra="bench"),
    Entry("training", "bench.training", "Feed the real training step.", extra="bench"),
    Entry("race", "bench.race", "Train one network twice: with `fit`, with ours.", extra="bench"),
    Entry("limits", "bench.limits", "Time what no loader can beat here.", extra="bench"),
    Entry("memory", "bench.memory", "Watch memory while the dataset grows.", extra="bench"),
    Entry("start", "bench.start", "Time a process up to its first batch.", extra="bench"),
    Entry("scaling", "bench.scaling", "Vary batch, image, dataset and cores.", extra="bench"),
    Entry("stages", "bench.stages", "Find where a pipeline loses its time."),
)
BUILDS = (
    Entry("build", "bench.build", "Time how fast datasets are built."),
    Entry("growth", "bench.growth", "Watch a build's memory while the set grows."),
    Entry("cost", "bench.cost", "Tell what a set of any size costs."),
)
PAGES = (
    Entry("campaign", "bench.campaign", "Make faults on purpose, and see what comes of them."),
    Entry("smoke", "bench.smoke", "Fail if speed was lost.", extra="bench"),
    Entry("demo", "bench.demo", "Go the whole road once, on samples.", extra="bench"),
    Entry("docs", "bench.docs", "Write tables into Markdown files."),
    Entry("report", "bench.report", "Print rows as a Markdown table.", False),
)


class Door(click.Command):
    """Stands for a command until it is run, completed, or asked for its own help."""

    def __init__(self, entry: Entry) -> None:
        super().__init__(entry.name, short_help=entry.help)
        self.entry = entry

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,
    ) -> click.Context:
        """The context of the command itself, which click then runs."""
        return self.load().make_context(info_name, args, parent, **extra)

    def load(self) -> click.Command:
        """Loads the command, in a process that is prepared for it."""
        startup.stop_at_once()
        if self.entry.prepared:
            startup.prepare(extra=self.entry.extra)
        command: click.Command = _load_module(f"sentiflow.{self.entry.module}").main
        startup.stop_in_order()
        return command


class Sections(Group):
    """A group that lists its commands under headings, without loading them."""

    def __init__(self, sections: dict[str, Sequence[click.Command]], **settings: Any) -> None:
        self.sections = sections
        commands = [command for section in sections.values() for command in section]
        super().__init__(commands=commands, **settings)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes a list for each section, of names and one line each."""
        widest = max(len(name) for name in self.commands)
        for heading, commands in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl(
                    [
                        (f"{command.name:{widest}}", command.get_short_help_str())
                        for command in commands
                    ]
                )


def _load_module(name: str) -> ModuleType:
    module = importlib.import_module(name)
    return importlib.import_module(f"{name}.__main__") if hasattr(module, "__path__") else module


@click.command(short_help="Print the script that completes commands in a shell.")
@click.argument("shell", type=click.Choice(SHELLS))
def completion(shell: str) -> None:
    """Prints the script that completes commands and options in SHELL.

    For bash, add to ~/.bashrc: eval "$(sentiflow completion bash)"
    """
    complete = get_completion_class(shell)
    if complete is not None:
        click.echo(complete(main, {}, "sentiflow", "_SENTIFLOW_COMPLETE").source())


bench = Sections(
    {
        "Loaders": [Door(entry) for entry in LOADERS],
        "Builds": [Door(entry) for entry in BUILDS],
        "Guards and pages": [Door(entry) for entry in PAGES],
    },
    name="bench",
    short_help="Measure what loaders, builds and machines reach.",
    help="Measures what loaders, builds and machines reach.",
)
main = Sections(
    {
        "Data": [Door(entry) for entry in DATA],
        "Training": [Door(entry) for entry in TRAINING],
        "Machine": [bench, Door(DOCTOR), completion],
    },
    name="sentiflow",
    help="Image-sentiment classifiers, trained at the speed of the accelerator.",
)

if __name__ == "__main__":
    main()
