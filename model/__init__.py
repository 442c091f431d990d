"""The trainer: networks, training runs, their scores and reports, on TensorFlow or JAX."""

from sentiflow import pipeline  # noqa: F401  # first: it loads the backends in the order that they bear

# isort: split
import keras
import tensorflow as tf

if keras.backend.backend() == "jax":
    # TensorFlow only feeds the network here; it would take the memory of the GPU that JAX computes
    # on.
    tf.config.set_visible_devices([], "GPU")

from .networks.backbones import BACKBONES
from .networks.heads import HEADS
from .networks.network import build
from .settings import TrainSettings
from .training.checkpoint import load

__all__ = ["BACKBONES", "HEADS", "TrainSettings", "build", "load"]
