"""The trainer: networks, training runs, their evaluation and predictions.

Everything is Keras 3, on TensorFlow or JAX.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .backbones import BACKBONES
    from .heads import HEADS
    from .network import build
    from .run import load
    from .settings import TrainSettings
else:
    from sentiflow.face import lazy

    __getattr__ = lazy(
        __name__,
        {
            "backbones": ("BACKBONES",),
            "heads": ("HEADS",),
            "network": ("build",),
            "run": ("load",),
            "settings": ("TrainSettings",),
        },
    )

__all__ = ["BACKBONES", "HEADS", "TrainSettings", "build", "load"]
