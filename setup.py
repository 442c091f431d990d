"""The packages: rooms that lie side by side in a checkout, and inside `sentiflow` once installed.

All other settings are in setup.cfg.
"""

from setuptools import find_packages, setup

ROOMS = ("builders", "pipeline", "model", "bench")

folders = find_packages(include=[pattern for room in ROOMS for pattern in (room, f"{room}.*")])
setup(
    packages=["sentiflow", *(f"sentiflow.{folder}" for folder in folders)],
    package_dir={f"sentiflow.{room}": room for room in ROOMS},
)
