"""The trainer: networks, training runs, their evaluation and predictions. Keras 3, on TensorFlow or JAX."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # as in pipeline, which is imported later

# First of all imports: TensorFlow loads its symbols globally, so a JAX backend has to be loaded before it.
import keras

if keras.backend.backend() == "jax":
    import tensorflow as tf

    # TensorFlow only feeds the network here; it would take the memory of the GPU that JAX computes on.
    tf.config.set_visible_devices([], "GPU")

from model.network import BACKBONES, HEADS, build
from model.run import load
from model.settings import TrainSettings

__all__ = ["BACKBONES", "HEADS", "TrainSettings", "build", "load"]
