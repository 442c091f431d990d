"""Tables and sentences for docs/gpu.md and README.md, from the rows of `bench/gpu.sh`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from ..show.diagnosis import BELIEVED, KEPT
from ..show.table import pipes
from .rows import Measurement, read

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
    """Everything that the page has to say of the rows in a file; without any, that none were measured."""
    rows = read(path)
    if not rows:
        return UNMEASURED
    parts = [_machine(rows[0])]
    if path.with_suffix(".png").exists():
        parts.append(f"![The same rates as bars]({path.stem}.png)")
    parts.append("\n".join(f"* {sentence}" for sentence in sentences(rows)))
    for kinds, title, columns in TABLES:
        chosen = [row for row in rows if row.part in kinds and row.status == "ok" and not row.words]
        if chosen:
            parts.append(f"**{title}**\n\n{_table(chosen, columns)}")
    missing = [f"* {row.part}: {row.status}" for row in rows if row.status != "ok"]
    if missing:
        parts.append("\n".join(["**Not measured in that run**\n", *missing]))
    return "\n\n".join(parts)


def limit(path: Path) -> str:
    """The line among README's limits: that nothing was measured on a GPU, or what was."""
    rows = read(path)
    ceilings = [
        row
        for row in rows
        if row.part == "step" and row.name == "constant" and row.images_per_second
    ]
    if not ceilings:
        return (
            "* It has not run on a GPU yet: `bench/gpu.sh OUT` measures all that wants one, in nine minutes, and "
            "[docs/gpu.md](docs/gpu.md) has the result where there is one."
        )
    told = ", ".join(
        f"{row.images_per_second:,.0f} images/s in batches of {row.batch_size}" for row in ceilings
    )
    return f"* On a GPU it was measured on one kind alone, {rows[0].machine['card']}: {told} ([docs/gpu.md](docs/gpu.md))."


def sentences(rows: Sequence[Measurement]) -> list[str]:
    """What limits each, in words."""
    told = [sentence for size in _sizes(rows) for sentence in _on_step(rows, size)]
    for row in rows:
        if row.name == "profile":
            told.append(
                f"Batch {row.batch_size}, fed by tier device, by the profiler: {' '.join(row.words)}"
            )
        elif row.words:
            told += [f"{sentence[0].upper()}{sentence[1:]}." for sentence in row.words]
        elif row.part == "experiment":
            told.append(_on_experiment(row))
    return told


def _on_experiment(row: Measurement) -> str:
    shares = [
        (value or 0.0) / (row.seconds or 1.0)
        for value in (row.training_seconds, row.compile_seconds)
    ]
    start = f"Experiment 1 with a {row.variant} takes {row.seconds or 0.0:.0f} s"
    return f"{start}: training is {shares[0]:.0%} of that, the compiler {shares[1]:.0%}."


def _on_step(rows: Sequence[Measurement], batch_size: int) -> list[str]:
    """Sentences on the step at one batch size: against the forward pass, by feed, by switch, against PyTorch."""
    at_size = [row for row in rows if row.batch_size == batch_size and row.images_per_second]
    rates = {(row.part, row.name, row.variant): row.images_per_second or 0.0 for row in at_size}
    start, told = f"Batch {batch_size}", []
    ceiling, forward = rates.get(("step", "constant", "")), rates.get(("chip", "forward", ""))
    if ceiling and forward:
        rest = (
            "that limits it"
            if ceiling / forward >= KEPT
            else "head, update and calls from the host take the rest"
        )
        if ceiling / forward > BELIEVED:
            rest = "more than there is to it, so the machine was not left alone; measure again"
        share = f"{ceiling / forward:.1%} of the forward pass alone: {rest}"
        told.append(f"{start}: a constant batch is trained at {ceiling:,.0f} images/s, {share}.")
    feeds = [row for row in at_size if row.part == "step" and row.name != "constant"]
    told += [f"{start}, fed by {row.name}: {_cause(row)}." for row in feeds]
    switches = [row for row in at_size if row.part == "switches" and row.variant]
    told += [
        f"{start}, {row.variant}: {row.utilisation:.2f} times the constant batch as it is."
        for row in switches
    ]
    trained = rates.get(("step", "memory, raw", ""))
    rivals = (
        ("torch-forward", "forward pass", forward),
        ("torch-training", "trained from tier memory", trained),
    )
    for part, what, ours in rivals:
        best = max(
            (row.images_per_second or 0.0 for row in at_size if row.part == part), default=0.0
        )
        if best and ours:
            told.append(f"{start}, {what}: {ours / best:.2f} times PyTorch's {best:,.0f} images/s.")
    return told


def _cause(row: Measurement) -> str:
    busy, waiting = row.utilisation or 0.0, row.waiting_share or 0.0
    if busy >= KEPT:
        return f"{busy:.1%} busy, the accelerator limits it"
    if waiting >= (1 - busy) / 2:
        return f"{busy:.1%} busy, the input limits it, for which it waits {waiting:.1%} of the time"
    return f"{busy:.1%} busy, though it seldom waits for input: copies, calls from the host, or the view take the rest"


def _sizes(rows: Sequence[Measurement]) -> list[int]:
    return sorted({row.batch_size for row in rows if row.batch_size})


def _table(rows: Sequence[Measurement], columns: Sequence[Column]) -> str:
    used = [column for column in columns if any(column[1](row) != "-" for row in rows)]
    headings = ["what", "batch", *(heading for heading, _ in used)]
    lines = []
    for row in rows:
        name = f"{row.name}, {row.variant}" if row.variant else row.name
        lines.append([name, str(row.batch_size or "-"), *(cell(row) for _, cell in used)])
    return pipes(headings, lines)


def _machine(row: Measurement) -> str:
    machine = row.machine
    versions = ", ".join(
        f"{name} {machine[name]}" for name in ("python", "jax", "keras", "tensorflow", "torch")
    )
    return (
        f"{machine['card']} ({machine['card_memory']}), driver {machine['driver']}; {machine['cpu']}, "
        f"{machine['cores']} cores; {versions}; commit {row.commit or 'none'}"
    )
