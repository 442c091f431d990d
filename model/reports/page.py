"""Pages: templates filled with facts, as one self-contained `report.html`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import jinja2

from sentiflow.files import write_atomically
from sentiflow.machine import version

from . import comparison

REPORT = "report.html"

# What a page may do without.
DEFAULTS: dict[str, Any] = {
    "notes": [],
    "absent": None,
    "card": None,
    "sheet": None,
    "pictures": {},
}


def write_set(folder: Path) -> Path:
    """Writes the report of a set of experiments from its results.json and the folders of its runs.

    Returns:
        The file.

    Raises:
        InputError: there is no results.json, or it has no rows.
    """
    return write_page(folder, "set", comparison.compare(folder) | {"name": folder.resolve().name})


def write_page(folder: Path, template: str, facts: dict[str, Any]) -> Path:
    """Fills a template, `run` or `set`, and writes it into a folder as its report."""
    page = _templates().get_template(f"{template}.html.j2").render(DEFAULTS | facts)
    write_atomically(folder / REPORT, lambda target: target.write_text(page, encoding="utf-8"))
    return folder / REPORT


@functools.lru_cache
def _templates() -> jinja2.Environment:
    loader = jinja2.PackageLoader(__name__.rpartition(".")[0], "templates")
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": percent,
        "count": "{:,.0f}".format,
        "duration": _duration,
        "words": lambda name: name.replace("_", " "),
        "transposed": lambda columns: list(zip(*columns, strict=True)),
    }
    environment.globals["version"] = version("sentiflow")
    return environment


def percent(value: float) -> str:
    """A share in percent, with one digit behind the point."""
    return f"{value:.1%}"


def _duration(seconds: float) -> str:
    """Seconds as a reader takes them in: 8.2 s, 3 min 20 s, 2 h 5 min."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, remainder = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {remainder} s"
    return f"{minutes // 60} h {minutes % 60} min"
