"""What the accelerator can do: `python -m bench.gpu.chip OUT WORK SCALE`.

A large matrix product is the most that its arithmetic gives, a large copy the most that its memory
gives. Between them stands the forward pass of the frozen backbone, which is nearly all of a
training step's work.
"""

from __future__ import annotations

from sentiflow import startup

startup.command(__name__)

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import keras
import numpy as np

from sentiflow.model.networks import backbones, folding, precision

from . import rows
from .context import Context, read_context
from .rows import Measurement

PART = "chip"


def main() -> None:
    """Times the product, the copy, and the forward pass.

    The last as it is, and with BatchNormalization folded.
    """
    context = read_context()
    product = time_product(context)
    time_copy(context)
    number_format = precision.resolve("auto")
    with precision.policy(number_format):
        keras.utils.set_random_seed(0)
        backbone = make_backbone(context)
        unsettle(backbone)
        plain = [time_forward(context, backbone, size, product) for size in context.scale.batches]
        folded = folding.fold(backbone, dtype=number_format)
        features = [
            time_forward(context, folded, size, product, variant="folded")
            for size in context.scale.batches
        ]
    compare(context, backbone, plain[0], features[0])


def make_backbone(context: Context) -> keras.Model:
    """The frozen backbone, with random weights."""
    return backbones.make_backbone(context.train_settings(), image_size=context.scale.image_size)


def time_product(context: Context) -> float:
    """The product of two square bfloat16 matrices; returns 10^12 operations/s."""
    side = context.scale.side
    keys = jax.random.split(jax.random.key(0))
    left, right = (jax.random.normal(key, (side, side), "bfloat16") for key in keys)
    multiply = jax.jit(lambda x, y: x @ y)
    taken, spread = time_on_device(context, lambda: multiply(left, right))
    tflops = 2 * side**3 / taken / 1e12
    product = Measurement(part=PART, name="product", tflops=tflops, spread=spread, share=1.0)
    rows.keep(context.out, product)
    return tflops


def time_on_device(context: Context, call: Callable[[], Any]) -> tuple[float, float]:
    """Seconds of a call that ends on the accelerator, and their spread."""
    return rows.time_calls(call, jax.block_until_ready, seconds=context.scale.seconds)


def time_copy(context: Context) -> None:
    """A copy within the accelerator's memory.

    Bytes that are read and bytes that are written count.
    """
    source = jax.random.bits(jax.random.key(0), (context.scale.copy_mib * 2**18,), "uint32")
    copy = jax.jit(jax.numpy.copy)
    taken, spread = time_on_device(context, lambda: copy(source))
    gigabytes = 2 * source.nbytes / taken / 1e9
    measured = Measurement(part=PART, name="copy", gigabytes_per_second=gigabytes, spread=spread)
    rows.keep(context.out, measured)


def time_forward(
    context: Context, backbone: keras.Model, batch_size: int, product: float, *, variant: str = ""
) -> np.ndarray:
    """Times the backbone alone in inference mode, on noise that is on the device already.

    Returns:
        Its features, float32 [b, h, w, c].
    """
    images = noise(context, batch_size)
    weights = [variable.value for variable in backbone.variables]
    lowered = jax.jit(partial(forward, backbone)).lower(weights, images)
    began = time.perf_counter()
    compiled = lowered.compile()
    compile_seconds = time.perf_counter() - began
    taken, spread = time_on_device(context, lambda: compiled(weights, images))
    tflops = batch_size * count_operations(backbone) / taken / 1e12
    measured = Measurement(
        part=PART,
        name="forward",
        batch_size=batch_size,
        variant=variant,
        images_per_second=batch_size / taken,
        spread=spread,
        tflops=tflops,
        share=tflops / product,
        compile_seconds=compile_seconds,
    )
    rows.keep(context.out, measured)
    return np.asarray(compiled(weights, images)).astype(np.float32)


def noise(context: Context, batch_size: int) -> jax.Array:
    """As wide as pixels are around their mean: float32 [b, s, s, 3]."""
    size = context.scale.image_size
    return 50 * jax.random.normal(jax.random.key(0), (batch_size, size, size, 3), "float32")


def forward(backbone: keras.Model, weights: list[Any], images: Any) -> Any:
    """The backbone's features of images, as a function of its weights."""
    with keras.StatelessScope(state_mapping=list(zip(backbone.variables, weights, strict=True))):
        return backbone(images, training=False)


def count_operations(backbone: keras.Model) -> int:
    """Floating-point operations of the convolutions for one image.

    A multiplication and an addition are two.
    """
    convolutions = [layer for layer in backbone.layers if isinstance(layer, folding.LINEAR)]
    return sum(
        2 * math.prod(layer.kernel.shape) * math.prod(layer.output.shape[1:3])
        for layer in convolutions
    )


def unsettle(backbone: keras.Model) -> None:
    """Gives BatchNormalization statistics as training leaves them.

    Fresh ones change nothing that is folded.
    """
    generator = np.random.default_rng(0)
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            shape = layer.moving_mean.shape
            layer.moving_mean.assign(generator.normal(0, 0.1, shape))
            layer.moving_variance.assign(generator.uniform(0.5, 1.5, shape))


def compare(context: Context, backbone: keras.Model, plain: np.ndarray, folded: np.ndarray) -> None:
    """How far folding and the number format move features.

    They are compared with those of the backbone in float32 on the host.
    """
    with precision.policy("float32"):
        exact = make_backbone(context)
    exact.set_weights(backbone.get_weights())
    host = jax.devices("cpu")[0]
    images = jax.device_put(np.asarray(noise(context, len(plain))), host)
    weights = [jax.device_put(np.asarray(variable.value), host) for variable in exact.variables]
    truth = np.asarray(jax.jit(partial(forward, exact))(weights, images))
    errors = f"{_error(plain, truth):.2e} as they are, {_error(folded, truth):.2e} folded"
    words = (f"relative error of features against float32: {errors}",)
    rows.keep(context.out, Measurement(part=PART, name="error", variant="folded", words=words))


def _error(features: np.ndarray, truth: np.ndarray) -> float:
    return float(np.linalg.norm(features - truth) / np.linalg.norm(truth))


if __name__ == "__main__":
    main()
