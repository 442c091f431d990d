"""What a run shows while it trains: a bar on a terminal, and one line per epoch everywhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .run import Row


class Recorder(keras.callbacks.Callback):
    """Times the training part of every epoch, and hands the epoch's row to `on_row`, which says whether to stop.

    Args:
        images: images in an epoch.
        waited: returns the seconds that training has waited for input so far.
        on_row: receives the row of `history.csv`; True ends the training.
        console: where the bar and the lines go.
    """

    def __init__(
        self,
        *,
        images: int,
        waited: Callable[[], float],
        on_row: Callable[[Row], bool],
        console: Console,
    ) -> None:
        super().__init__()
        self.images, self.waited, self.on_row, self.console = images, waited, on_row, console
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        rates = (
            TextColumn("{task.fields[rate]:.0f} images/s, waiting {task.fields[waiting]:.0%}"),
        )
        self.bar = Progress(
            *columns, *rates, console=console, transient=True, disable=not console.is_terminal
        )
        self.task = self.bar.add_task("", total=None, rate=0.0, waiting=0.0)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Shows the bar."""
        self.bar.start()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Removes the bar."""
        self.bar.stop()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Starts the epoch's clock."""
        self.bar.reset(
            self.task,
            total=self.params["steps"],
            description=f"epoch {epoch + 1}/{self.params['epochs']}",
        )
        self.seconds: float | None = None
        self.began, self.waited_before = time.perf_counter(), self.waited()

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        """Moves the bar."""
        if self.bar.disable:
            return
        seconds = time.perf_counter() - self.began
        rate = (batch + 1) / self.params["steps"] * self.images / seconds
        waiting = (self.waited() - self.waited_before) / seconds
        self.bar.update(self.task, completed=batch + 1, rate=rate, waiting=waiting)

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
        self.console.out(epoch_line(row, self.params["epochs"]), highlight=False)
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
) -> Row:
    """The row of `history.csv` about an epoch.

    Args:
        epoch: from 1.
        logs: `loss`, `accuracy`, `val_loss` and `val_accuracy`.
        model: compiled; its optimiser tells the learning rate.
        images: that the epoch trained on.
        seconds: that this took.
        waited: seconds of these that passed in waiting for input.
    """
    names = ("loss", "accuracy", "val_loss", "val_accuracy")
    return {
        "epoch": epoch,
        **{name: float(logs[name]) for name in names},
        "learning_rate": float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)),
        "seconds": round(seconds, 3),
        "images_per_second": round(images / seconds, 1),
        "waiting_share": round(min(1.0, waited / seconds), 4),
    }


def epoch_line(row: Row, epochs: int) -> str:
    """One line of text about an epoch, from its row of `history.csv`."""
    return (
        f"epoch {row['epoch']:>{len(str(epochs))}}/{epochs}"
        f"  loss {row['loss']:.4f}  accuracy {row['accuracy']:.4f}"
        f"  val_loss {row['val_loss']:.4f}  val_accuracy {row['val_accuracy']:.4f}"
        f"  {row['images_per_second']:.0f} images/s  waiting {row['waiting_share']:.1%}"
    )
