"""Tables and sentences for docs/gpu.md and README.md, from the rows of `bench/gpu.sh`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sentiflow.markdown import pipe_table

from ..show.diagnosis import BELIEVED, KEPT
from .rows import Measurement, read

PACKAGES = ("python", "jax", "keras", "tensorflow", "torch")
UNMEASURED = "*Not measured yet; `bench/gpu.sh OUT` makes the rows.*"
Column = tuple[str, Callable[[Measurement], str]]


def _number(name: str, form: str, scale: float = 1.0) -> Callable[[Measurement], str]:
    def cell(row: Measurement) -> str:
        value = getattr(row, name)
        return "-" if value is None else format(value * scale, form)

    return cell


RATE: Column = ("images/s", _number("images_per_second", ",.0f"))
SPREAD: Column = ("spread", _number("spread", ".0%"))
BUSY: Column = ("utilisation", _number("utilisation", ".1%"))
WAITING: Column = ("waiting", _number("waiting_share", ".1%"))
COMPILED: Column = ("compiler s", _number("compile_seconds", ".1f"))
MEMORY: Column = ("device MiB", _number("device_memory_mib", ",.0f"))
# A table each: its parts, its title, and its columns behind name and batch size.
TABLES: tuple[tuple[tuple[str, ...], str, tuple[Column, ...]], ...] = (
    (
        ("chip", "torch-forward"),
        "The chip, and the forward pass of the frozen backbone alone",
        (
            RATE,
            ("TFLOP/s", _number("tflops", ",.1f")),
            ("of the product", _number("share", ".1%")),
            ("GB/s", _number("gigabytes_per_second", ",.0f")),
            SPREAD,
            COMPILED,
        ),
    ),
    (
        ("step",),
        "The trainer's own step, by what feeds it",
        (
            RATE,
            BUSY,
            WAITING,
            ("CPU ms/image", _number("cpu_seconds_per_image", ".3f", 1000)),
            MEMORY,
            SPREAD,
        ),
    ),
    (("switches",), "What could be done otherwise", (RATE, BUSY, MEMORY, SPREAD)),
    (
        ("experiment", "nine"),
        "From the start of the process to the report",
        (
            ("seconds", _number("seconds", ".1f")),
            ("imports", _number("import_seconds", ".1f")),
            ("data", _number("data_seconds", ".1f")),
            COMPILED,
            ("training", _number("training_seconds", ".1f")),
            RATE,
        ),
    ),
    (
        ("torch-training",),
        "The same training as a PyTorch user writes it",
        (RATE, SPREAD, COMPILED),
    ),
    (
        ("prepare",),
        "Building",
        (("seconds", _number("seconds", ".1f")), ("images", _number("images", ",")), RATE),
    ),
)


def markdown(path: Path) -> str:
    """All that the page has to say of the rows in a file; without any, that none were measured."""
    rows = read(path)
    if not rows:
        return UNMEASURED
    parts = [machine(rows[0], *PACKAGES)]
    if path.with_suffix(".png").exists():
        parts.append(f"![The same rates as bars]({path.stem}.png)")
    parts.append("\n".join(f"* {sentence}" for sentence in sentences(rows)))
    for kinds, title, columns in TABLES:
        measured = [row for row in rows if row.part in kinds and row.status == "ok"]
        figures = [row for row in measured if not row.words]
        if figures:
            parts.append(f"**{title}**\n\n{_table(figures, columns)}")
    missing = [f"* {row.part}: {row.status}" for row in rows if row.status != "ok"]
    if missing:
        parts.append("\n".join(["**Not measured in that run**\n", *missing]))
    return "\n\n".join(parts)


def limit(path: Path) -> str:
    """The line among README's limits: that nothing was measured on a GPU, or what was."""
    rows = read(path)
    steps = [row for row in rows if row.part == "step" and row.name == "constant"]
    rates = [
        f"{row.images_per_second:,.0f} images/s in batches of {row.batch_size}"
        for row in steps
        if row.images_per_second
    ]
    if not rates:
        return (
            "* It has not run on a GPU yet: `bench/gpu.sh OUT` measures all that wants one, in "
            "nine minutes, and [docs/gpu.md](docs/gpu.md) has the result where there is one."
        )
    card = f"* On a GPU it was measured on one kind alone, {rows[0].machine['card']}"
    return f"{card}: {', '.join(rates)} ([docs/gpu.md](docs/gpu.md))."


def sentences(rows: Sequence[Measurement]) -> list[str]:
    """What limits each, in words."""
    on_steps = [sentence for size in _sizes(rows) for sentence in _on_step(rows, size)]
    return on_steps + [sentence for row in rows for sentence in _on_row(row)]


def _on_row(row: Measurement) -> list[str]:
    if row.name == "profile":
        start = f"Batch {row.batch_size}, fed by tier device, by the profiler"
        return [f"{start}: {' '.join(row.words)}"]
    if row.words:
        return [f"{sentence[0].upper()}{sentence[1:]}." for sentence in row.words]
    return [_on_experiment(row)] if row.part == "experiment" else []


def _on_experiment(row: Measurement) -> str:
    whole = row.seconds or 1.0
    training = (row.training_seconds or 0.0) / whole
    compiler = (row.compile_seconds or 0.0) / whole
    start = f"Experiment 1 with a {row.variant} takes {row.seconds or 0.0:.0f} s"
    return f"{start}: training is {training:.0%} of that, the compiler {compiler:.0%}."


def _on_step(rows: Sequence[Measurement], batch_size: int) -> list[str]:
    """Sentences on the step at one batch size."""
    at_size = [row for row in rows if row.batch_size == batch_size and row.images_per_second]
    sentences = [*_on_ceiling(at_size), *_on_feeds(at_size), *_on_rivals(at_size)]
    return [f"Batch {batch_size}{sentence}" for sentence in sentences]


def _rate(rows: Sequence[Measurement], part: str, name: str) -> float | None:
    """The rate of the trainer's own way of doing it, images/s; None where it was not measured."""
    measured = (row for row in rows if (row.part, row.name, row.variant) == (part, name, ""))
    return next((row.images_per_second for row in measured), None)


def _on_ceiling(rows: Sequence[Measurement]) -> Iterator[str]:
    """Of a constant batch against the forward pass alone."""
    ceiling = _rate(rows, "step", "constant")
    forward = _rate(rows, "chip", "forward")
    if not ceiling or not forward:
        return
    share = ceiling / forward
    if share > BELIEVED:
        remark = "more than there is to it, so the machine was not left alone; measure again"
    elif share >= KEPT:
        remark = "that limits it"
    else:
        remark = "head, update and calls from the host take the rest"
    rate = f"a constant batch is trained at {ceiling:,.0f} images/s"
    yield f": {rate}, {share:.1%} of the forward pass alone: {remark}."


def _on_feeds(rows: Sequence[Measurement]) -> Iterator[str]:
    """Of what feeds the step, and of what could be done otherwise."""
    for row in rows:
        if row.part == "step" and row.name != "constant":
            yield f", fed by {row.name}: {_cause(row)}."
    for row in rows:
        if row.part == "switches" and row.variant:
            yield f", {row.variant}: {row.utilisation:.2f} times the constant batch as it is."


def _on_rivals(rows: Sequence[Measurement]) -> Iterator[str]:
    """Of ours against PyTorch."""
    rivals = (
        ("torch-forward", "forward pass", _rate(rows, "chip", "forward")),
        ("torch-training", "trained from tier memory", _rate(rows, "step", "memory, raw")),
    )
    for part, title, ours in rivals:
        rates = [row.images_per_second or 0.0 for row in rows if row.part == part]
        if rates and ours:
            best = max(rates)
            yield f", {title}: {ours / best:.2f} times PyTorch's {best:,.0f} images/s."


def _cause(row: Measurement) -> str:
    utilisation = row.utilisation or 0.0
    waiting = row.waiting_share or 0.0
    busy = f"{utilisation:.1%} busy"
    if utilisation >= KEPT:
        return f"{busy}, the accelerator limits it"
    if waiting >= (1 - utilisation) / 2:
        return f"{busy}, the input limits it, for which it waits {waiting:.1%} of the time"
    causes = "copies, calls from the host, or the view take the rest"
    return f"{busy}, though it seldom waits for input: {causes}"


def _sizes(rows: Sequence[Measurement]) -> list[int]:
    return sorted({row.batch_size for row in rows if row.batch_size})


def _table(rows: Sequence[Measurement], columns: Sequence[Column]) -> str:
    used = [(heading, cell) for heading, cell in columns if any(cell(row) != "-" for row in rows)]
    headings = ["what", "batch", *(heading for heading, _ in used)]
    lines = []
    for row in rows:
        name = f"{row.name}, {row.variant}" if row.variant else row.name
        lines.append([name, str(row.batch_size or "-"), *(cell(row) for _, cell in used)])
    return pipe_table(headings, lines)


def machine(row: Measurement, *names: str) -> str:
    """The accelerator, its host and the versions of packages behind a row, in one line."""
    facts = row.machine
    versions = ", ".join(f"{name} {facts[name]}" for name in names)
    card = f"{facts['card']} ({facts['card_memory']}), driver {facts['driver']}"
    host = f"{facts['cpu']}, {facts['cores']} cores"
    return f"{card}; {host}; {versions}; commit {row.commit or 'none'}"
