"""The reference system's training, as it would be run today: `bench.race` runs it as a process.

`keras_preprocessing`'s generator with one worker, Keras' `fit`, which evaluates the held-out split
after every epoch, and that evaluation once more at the end. Backbone, head, weights and optimiser
are those of `model.train`.
"""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sentiflow import startup

startup.command(__name__)

import keras
import numpy as np
from keras.applications import imagenet_utils
from keras_preprocessing.image import ImageDataGenerator

from sentiflow.model.networks import precision
from sentiflow.model.settings import TrainSettings
from sentiflow.model.training import start
from sentiflow.pipeline import Settings

from ..contestants import original
from ..contestants.task import INTERPOLATION, Task


def train(task: Task, settings: TrainSettings, *, held_out: str, out: Path) -> float:
    """Trains, evaluates and saves a network.

    Args:
        task: of the generator, over the training photographs.
        settings: of the run.
        held_out: folder of class folders of the held-out photographs.
        out: folder for the network.

    Returns:
        Accuracy on the held-out photographs.
    """
    inputs = Settings(batch_size=task.batch_size, image_size=task.image_size, seed=task.seed)
    record = start.make_record(settings, inputs)
    with precision.policy(record.environment.precision):
        model = start.build_model(record, settings)
        set_preprocessing(task, record.inputs.preprocess)
        photographs = read_held_out(task, held_out)
        steps = len(photographs)
        model.fit(
            original.one_worker(task),
            epochs=settings.epochs,
            steps_per_epoch=task.images // task.batch_size,
            validation_data=_endless(photographs),
            validation_steps=steps,
            verbose=0,
        )
        figures = model.evaluate(_endless(photographs), steps=steps, return_dict=True, verbose=0)
        model.save(out / "model.keras")
    return float(figures["accuracy"])


def set_preprocessing(task: Task, mode: str | None) -> None:
    """Has the generator make the values that the backbone was trained on, not always ResNet's."""
    function = None
    if mode not in (None, "none"):
        function = functools.partial(imagenet_utils.preprocess_input, mode=mode)
    original.directory_iterator(task).image_data_generator.preprocessing_function = function


def read_held_out(task: Task, folder: str) -> Any:
    """The generator's batches of centre crops, in order."""
    preprocess = original.directory_iterator(task).image_data_generator.preprocessing_function
    return ImageDataGenerator(preprocessing_function=preprocess).flow_from_directory(
        folder,
        target_size=(task.image_size, task.image_size),
        batch_size=task.batch_size,
        class_mode="sparse",
        interpolation=f"{INTERPOLATION}:center",
        shuffle=False,
    )


def _endless(photographs: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    while True:
        for number in range(len(photographs)):
            images, labels = photographs[number]
            yield images, labels.astype(np.int32)


def main() -> None:
    """Takes the arguments of `train` as JSON; prints the accuracy."""
    values = json.loads(sys.argv[1])
    accuracy = train(
        Task(**values["task"]),
        TrainSettings.read(values["train"]),
        held_out=values["held_out"],
        out=Path(values["out"]),
    )
    print(json.dumps({"accuracy": accuracy, "backend": keras.backend.backend()}))


if __name__ == "__main__":
    main()
