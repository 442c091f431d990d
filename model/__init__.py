"""The trainer: networks, training runs, their scores and reports, on TensorFlow or JAX."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .networks.backbones import BACKBONES
    from .networks.heads import HEADS
    from .networks.network import build
    from .settings import TrainSettings
    from .training.checkpoint import load
else:
    from sentiflow.face import lazy

    __getattr__ = lazy(
        __name__,
        {
            "networks.backbones": ("BACKBONES",),
            "networks.heads": ("HEADS",),
            "networks.network": ("build",),
            "settings": ("TrainSettings",),
            "training.checkpoint": ("load",),
        },
    )

__all__ = ["BACKBONES", "HEADS", "TrainSettings", "build", "load"]
