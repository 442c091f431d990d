"""What a training shows: a bar on a terminal, and lines everywhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

import keras
from rich import progress as rich_progress
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

from sentiflow.terminal import printable

from .history import EpochRow


class Progress:
    """The one bar of a command, on a terminal alone, and the lines above it.

    Args:
        console: where both go.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self._bars = rich_progress.Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )

    def __enter__(self) -> Progress:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bars.stop()

    @property
    def visible(self) -> bool:
        """Whether there is a bar."""
        return not self._bars.disable

    def say(self, line: str) -> None:
        """Prints a line."""
        self.console.out(printable(line), highlight=False)

    def add(self, description: str = "", *, total: int | None = None) -> Bar:
        """Adds a bar below those that are shown."""
        return Bar(self._bars, description, total)


class Bar:
    """One of the bars of a `Progress`."""

    def __init__(self, bars: rich_progress.Progress, description: str, total: int | None) -> None:
        self._bars = bars
        self._task = bars.add_task(description, total=total, note="")

    def restart(self, description: str, *, total: int) -> None:
        """Begins at 0 again."""
        self._bars.reset(self._task, total=total, description=description, note="")

    def update(
        self,
        *,
        description: str | None = None,
        completed: float | None = None,
        note: str | None = None,
    ) -> None:
        """Changes what is given."""
        fields = {} if note is None else {"note": note}
        self._bars.update(self._task, description=description, completed=completed, **fields)  # type: ignore[arg-type]

    def advance(self, count: int) -> None:
        """Moves on."""
        self._bars.advance(self._task, count)

    def remove(self) -> None:
        """Takes the bar away."""
        self._bars.remove_task(self._task)


class EpochBar:
    """The bar of one run: how far its epoch is, and how fast that goes.

    Args:
        progress: that shows it.
        images: in an epoch.
        epochs: of the run.
        waited: returns the seconds that training has waited for input so far.
    """

    def __init__(
        self, progress: Progress, *, images: int, epochs: int, waited: Callable[[], float]
    ) -> None:
        self._progress = progress
        self._images = images
        self._epochs = epochs
        self._waited = waited
        self._bar = progress.add()

    def begin(self, epoch: int) -> None:
        """Begins an epoch, counted from 1."""
        self._bar.restart(f"epoch {epoch}/{self._epochs}", total=self._images)
        self._done = 0.0
        self._began = time.perf_counter()
        self._waited_before = self._waited()

    def move(self, images: float) -> None:
        """So many more images of the epoch are done."""
        if not self._progress.visible:
            return
        self._done += images
        seconds = time.perf_counter() - self._began
        waiting = (self._waited() - self._waited_before) / seconds
        note = f"{self._done / seconds:.0f} images/s, waiting {waiting:.0%}"
        self._bar.update(completed=self._done, note=note)

    def remove(self) -> None:
        """Takes the bar away."""
        self._bar.remove()


class Recorder(keras.callbacks.Callback):
    """Times the training part of every epoch, and hands the epoch's row to `on_row`.

    Args:
        images: images in an epoch.
        waited: returns the seconds that training has waited for input so far.
        on_row: receives the row of `history.csv`; True ends the training.
        progress: where the bar and the lines go.
    """

    def __init__(
        self,
        *,
        images: int,
        waited: Callable[[], float],
        on_row: Callable[[EpochRow], bool],
        progress: Progress,
    ) -> None:
        super().__init__()
        self.images = images
        self.waited = waited
        self.on_row = on_row
        self.progress = progress
        self.seconds: float | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Shows the bar."""
        epochs = self.params["epochs"]
        self.bar = EpochBar(self.progress, images=self.images, epochs=epochs, waited=self.waited)

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Removes the bar."""
        self.bar.remove()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the epoch's clock."""
        self.bar.begin(epoch + 1)
        self.seconds = None
        self.began = time.perf_counter()
        self.waited_before = self.waited()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Moves the bar."""
        self.bar.move(self.images / self.params["steps"])

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Stops the clock: evaluation is not training."""
        self._stop_clock()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Hands the row on and prints its line."""
        self._stop_clock()
        row = epoch_row(
            epoch + 1,
            logs or {},
            self.model,
            images=self.images,
            seconds=self.seconds or 0.0,
            waited=self.waiting,
        )
        self.progress.say(epoch_line(row, self.params["epochs"]))
        if self.on_row(row):
            self.model.stop_training = True

    def _stop_clock(self) -> None:
        if self.seconds is None:
            # Reading a variable waits for the steps that an asynchronous backend has only
            # dispatched.
            self.model.optimizer.iterations.numpy()
            self.seconds = time.perf_counter() - self.began
            self.waiting = self.waited() - self.waited_before


def epoch_row(
    epoch: int,
    logs: dict[str, Any],
    model: keras.Model,
    *,
    images: int,
    seconds: float,
    waited: float,
) -> EpochRow:
    """The row of `history.csv` about an epoch.

    Args:
        epoch: from 1.
        logs: `loss`, `accuracy`, `val_loss` and `val_accuracy`.
        model: compiled; its optimiser tells the learning rate.
        images: that the epoch trained on.
        seconds: that this took.
        waited: seconds of these that passed in waiting for input.
    """
    return EpochRow(
        epoch=epoch,
        loss=float(logs["loss"]),
        accuracy=float(logs["accuracy"]),
        val_loss=float(logs["val_loss"]),
        val_accuracy=float(logs["val_accuracy"]),
        learning_rate=float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)),
        seconds=round(seconds, 3),
        images_per_second=round(images / seconds, 1),
        waiting_share=round(min(1.0, waited / seconds), 4),
    )


def epoch_line(row: EpochRow, epochs: int) -> str:
    """One line of text about an epoch, from its row of `history.csv`."""
    return (
        f"epoch {row.epoch:>{len(str(epochs))}}/{epochs}"
        f"  loss {row.loss:.4f}  accuracy {row.accuracy:.4f}"
        f"  val_loss {row.val_loss:.4f}  val_accuracy {row.val_accuracy:.4f}"
        f"  {row.images_per_second:.0f} images/s  waiting {row.waiting_share:.1%}"
    )
