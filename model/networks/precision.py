"""Which number format a run computes in. Variables, softmax and loss are float32 in all of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def resolve(precision: str) -> str:
    """Turns `auto` into bfloat16 where the device multiplies it in hardware, else float32."""
    if precision != "auto":
        return precision
    return "bfloat16" if _device_has_bfloat16() else "float32"


@contextmanager
def policy(precision: str) -> Iterator[None]:
    """Layers and models made inside compute in `precision`.

    The model itself must be made inside too: Keras scales the loss under float16 only if the
    model's own policy is `mixed_float16`.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(POLICIES[precision])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def device() -> str:
    """The kind of device the backend computes on: `CPU`, `GPU` or `TPU`."""
    if keras.backend.backend() == "jax":
        import jax

        return jax.devices()[0].platform.upper()
    import tensorflow as tf

    kinds = {item.device_type for item in tf.config.list_physical_devices()}
    return next((kind for kind in ("TPU", "GPU") if kind in kinds), "CPU")


def _device_has_bfloat16() -> bool:
    kind = device()
    if kind == "GPU":
        return all(capability >= (8, 0) for capability in compute_capabilities())
    return kind == "TPU" or (kind == "CPU" and cpu_has_amx())


def compute_capabilities() -> list[tuple[int, int]]:
    """NVIDIA compute capability (major, minor) of every GPU; (0, 0) where none is stated."""
    if keras.backend.backend() == "jax":
        import jax

        stated = [
            str(getattr(item, "compute_capability", "0.0")).partition(".") for item in jax.devices()
        ]
        return [(int(major), int(minor or 0)) for major, _, minor in stated]
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    return [
        tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0))
        for gpu in gpus
    ]


def cpu_has_amx() -> bool:
    """Whether the processor multiplies bfloat16 matrices in hardware."""
    info = Path("/proc/cpuinfo")
    return info.exists() and "amx_bf16" in info.read_text()
