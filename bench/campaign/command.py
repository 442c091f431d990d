"""A command of this software whose `--backbone` may be `small`: MODULE ARGUMENTS."""

from __future__ import annotations

import importlib
import sys

from sentiflow import startup

startup.command(__name__)

from .inputs import register_backbone

if __name__ == "__main__":
    register_backbone()
    importlib.import_module(f"sentiflow.{sys.argv[1]}").main(sys.argv[2:])
