"""`sentiflow build DATASET`: TFDS' own command line on one of our builders, without its log."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import click

from . import builders, cli, startup
from .options import InputError

SUFFIX = "_dataset_builder.py"


# Options that follow the dataset are left to TFDS.
@click.command(cls=cli.OneLineErrors, context_settings={"allow_interspersed_args": False})
@click.argument("dataset")
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="[TFDS_OPTIONS]...")
def main(dataset: str, options: tuple[str, ...]) -> None:
    """Prepares DATASET: the name of a builder, such as emotionroi, or the folder of one.

    TFDS_OPTIONS are those of `tfds build`, such as --manual_dir, --data_dir and --config; see:
    sentiflow build DATASET --help
    """
    sys.argv = ["tfds", "build", str(find_folder(dataset)), *options]
    startup.stop_at_once()
    startup.load_quietly()
    # TFDS asks for its log itself, and Beam warns while it is imported.
    logging.disable(logging.WARNING)
    from tensorflow_datasets.scripts.cli.main import launch_cli

    startup.leave_libraries_to_the_end()
    startup.stop_in_order()
    launch_cli()


def names() -> list[str]:
    """The datasets that have a builder here."""
    folder = Path(builders.__path__[0])
    return sorted(path.parent.name for path in folder.glob(f"*/*{SUFFIX}"))


def find_folder(dataset: str) -> Path:
    """The folder of a builder.

    Args:
        dataset: a name that `names` knows, or the path of a folder.

    Raises:
        InputError: there is no such builder.
    """
    if dataset in names():
        return Path(builders.__path__[0]) / dataset
    folder = Path(dataset)
    if not any(folder.glob(f"*{SUFFIX}")):
        rule = f"dataset must be {', '.join(names())}, or a folder with NAME{SUFFIX}"
        raise InputError(f"{rule}. Received: {dataset!r}")
    return folder
