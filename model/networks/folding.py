"""BatchNormalization of a frozen backbone multiplied into the convolutions in front of it.

In inference mode BatchNormalization is y = scale * x + shift with constants, and so is a part of a
linear layer: the convolution takes scale into its kernel and shift into its bias (Jacob et al.,
"Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference", CVPR
2018, section 3.2). A compiler can then make convolution, bias and activation one kernel, and no
pass over the activations is left for the normalisation.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers

# Depthwise first: it is a convolution too, and its kernel has its channels elsewhere.
LINEAR = (layers.DepthwiseConv2D, layers.Conv2D)


def fold(backbone: keras.Model, *, dtype: str | None = None) -> keras.Model:
    """A copy of the backbone, for inference alone, with BatchNormalization folded.

    Every one that follows a convolution is. Those in front of their convolution, as in ResNetV2,
    stay: zero padding lies between. Layers keep their names.

    Args:
        backbone: a functional model of layers; models among them are copied as they are.
        dtype: what the folded convolutions hold and compute, such as "bfloat16"; None for the
            policy of the original.

    Returns:
        A frozen model with the same inputs and outputs; it shares no weights with the original.
    """
    if isinstance(backbone, keras.Sequential):
        backbone = keras.Model(backbone.inputs, backbone.outputs, name=backbone.name)
    pairs = {convolution.name: normalisation for convolution, normalisation in _pairs(backbone)}
    folded = {normalisation.name for normalisation in pairs.values()}

    def copy(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if layer.name in pairs:
            config |= {"use_bias": True, "dtype": dtype or config["dtype"]}
        return layer.__class__.from_config(config)

    def call(layer: keras.Layer, *inputs: Any, **options: Any) -> Any:
        return inputs[0] if layer.name in folded else layer(*inputs, **options)

    result = keras.models.clone_model(backbone, clone_function=copy, call_function=call)
    for layer in backbone.layers:
        if layer.name in pairs:
            result.get_layer(layer.name).set_weights(_folded_weights(layer, pairs[layer.name]))
        elif layer.weights and layer.name not in folded:
            result.get_layer(layer.name).set_weights(layer.get_weights())
    result.trainable = False
    return result


def _pairs(backbone: keras.Model) -> list[tuple[keras.Layer, layers.BatchNormalization]]:
    """Each convolution whose output goes to one BatchNormalization alone, and that one."""
    takers: dict[str, list[keras.Layer]] = {}
    for layer in backbone.layers:
        for tensor in keras.tree.flatten(
            [] if isinstance(layer, layers.InputLayer) else layer.input
        ):
            takers.setdefault(tensor.name, []).append(layer)
    outputs = {tensor.name for tensor in backbone.outputs}
    pairs = []
    for layer in backbone.layers:
        if not isinstance(layer, LINEAR) or layer.activation is not keras.activations.linear:
            continue
        taken_by = takers.get(layer.output.name, [])
        if layer.output.name not in outputs and [type(taker) for taker in taken_by] == [
            layers.BatchNormalization
        ]:
            pairs.append((layer, taken_by[0]))
    return pairs


def _folded_weights(
    convolution: keras.Layer, normalisation: layers.BatchNormalization
) -> list[np.ndarray]:
    """Kernel and bias with the normalisation in them, float32, computed in float64."""
    kernel, *bias = (np.asarray(weight, np.float64) for weight in convolution.get_weights())
    mean, variance = (
        _float64(moment) for moment in (normalisation.moving_mean, normalisation.moving_variance)
    )
    scale = 1 / np.sqrt(variance + normalisation.epsilon)
    if normalisation.scale:
        scale = scale * _float64(normalisation.gamma)
    shift = ((bias[0] if bias else 0.0) - mean) * scale
    if normalisation.center:
        shift = shift + _float64(normalisation.beta)
    # A depthwise kernel is [height, width, channels, multiplier], its outputs counted through the
    # last two.
    depthwise = isinstance(convolution, layers.DepthwiseConv2D)
    scaled = kernel * (scale.reshape(kernel.shape[2:]) if depthwise else scale)
    return [scaled.astype(np.float32), shift.astype(np.float32)]


def _float64(variable: keras.Variable) -> np.ndarray:
    return keras.ops.convert_to_numpy(variable).astype(np.float64)
