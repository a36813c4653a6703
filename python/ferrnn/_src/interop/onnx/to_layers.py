"""Layers without states as ONNX nodes, with a function for each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ferrnn._src.interop.onnx.functions import applied
from ferrnn._src.interop.onnx.to_attention import OF_PRODUCTS
from ferrnn._src.interop.onnx.to_categories import OF_CATEGORIES
from ferrnn._src.interop.onnx.to_frames import OF_PLACES, features_last
from ferrnn._src.interop.onnx.writing import Builder
from ferrnn._src.layers.activation import ELU, Activation, LeakyReLU, PReLU, ReLU, Softmax
from ferrnn._src.layers.data_normalization import Normalization
from ferrnn._src.layers.dense import Dense
from ferrnn._src.layers.dropout import (
    AlphaDropout,
    Dropout,
    GaussianDropout,
    GaussianNoise,
    SpatialDropout1D,
    SpatialDropout2D,
)
from ferrnn._src.layers.embedding import Embedding
from ferrnn._src.layers.joining import Concatenate
from ferrnn._src.layers.layer_normalization import LayerNormalization
from ferrnn._src.layers.merge import Add, Average, Maximum, Minimum, Multiply, Subtract
from ferrnn._src.layers.normalization import BatchNormalization
from ferrnn._src.layers.passing import ActivityRegularization, Identity, Rescaling
from ferrnn._src.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from ferrnn._src.layers.scaling import GroupNormalization, RMSNormalization, UnitNormalization

# The arguments of functions besides the builder: the layer and its inputs, with ranks in `shapes`.
Shapes = list[tuple[Any, ...]]


def _dense(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    y = b.op("MatMul", x[0], b.constant(layer.kernel.numpy(), f"{layer.name}/kernel"))
    if layer.bias is not None:
        y = b.op("Add", y, b.constant(layer.bias.numpy(), f"{layer.name}/bias"))
    return applied(b, layer.activation, y, layer.name)


def _embedding(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    table = b.constant(layer.embeddings.numpy(), f"{layer.name}/embeddings")
    return b.op("Gather", table, b.op("Cast", x[0], to=7), axis=0)


def _activation(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    return applied(b, layer.activation, x[0], layer.name)


def _relu(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    start, slope = float(layer.threshold or 0.0), float(layer.negative_slope or 0.0)
    if start:
        bound = b.constant(start)
        below = b.op("Mul", b.op("Sub", x[0], bound), b.constant(slope))
        y = b.op("Where", b.op("GreaterOrEqual", x[0], bound), x[0], below)
    else:
        y = b.op("LeakyRelu", x[0], alpha=slope)
    return y if layer.max_value is None else b.op("Min", y, b.constant(layer.max_value))


def _leaky(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    return b.op("LeakyRelu", x[0], alpha=float(layer.negative_slope))


def _prelu(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    return b.op("PRelu", x[0], b.constant(layer.alpha.numpy(), f"{layer.name}/alpha"))


def _elu(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    return b.op("Elu", x[0], alpha=float(layer.alpha))


def _softmax(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    if isinstance(layer.axis, int):
        return b.op("Softmax", x[0], axis=layer.axis)
    axes = _axes(layer, len(shapes[0]))
    powers = b.op("Exp", b.op("Sub", x[0], b.op("ReduceMax", x[0], axes=axes, keepdims=1)))
    return b.op("Div", powers, b.op("ReduceSum", powers, b.integers(*axes), keepdims=1))


def _nothing(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    return x[0]


def _layer_normalization(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    rank = len(shapes[0])
    axes = _axes(layer, rank)
    if layer.rms_scaling or axes != list(range(axes[0], rank)):
        return _normalized(b, layer, x[0], shapes[0])
    sizes = [shapes[0][axis] for axis in axes]
    gamma = np.ones(sizes) if layer.gamma is None else layer.gamma.numpy()
    more = [] if layer.beta is None else [b.constant(layer.beta.numpy(), f"{layer.name}/beta")]
    scale = b.constant(gamma, f"{layer.name}/gamma")
    settings = {"axis": axes[0], "epsilon": float(layer.epsilon)}
    return b.op("LayerNormalization", x[0], scale, *more, **settings)


def _axes(layer: Any, rank: int) -> list[int]:
    given = [layer.axis] if isinstance(layer.axis, int) else layer.axis
    return sorted(int(axis) % rank for axis in given)


def _broadcast(axes: list[int], shape: tuple[Any, ...]) -> list[int]:
    """The shape of weights along axes of an input of this shape."""
    return [size if at in axes else 1 for at, size in enumerate(shape)]


def _normalized(b: Builder, layer: Any, x: str, shape: tuple[Any, ...]) -> str:
    """Normalization over axes that ONNX's operator does not take, or without centering."""
    axes = _axes(layer, len(shape))
    centered = b.op("Sub", x, b.op("ReduceMean", x, axes=axes, keepdims=1))
    scaled = b.op("Div", x if layer.rms_scaling else centered, _root(b, layer, centered, axes))
    return _gamma_and_beta(b, layer, scaled, _broadcast(axes, shape))


def _root(b: Builder, layer: Any, x: str, axes: list[int]) -> str:
    """`sqrt(mean(x^2) + epsilon)`."""
    squares = b.op("ReduceMean", b.op("Mul", x, x), axes=axes, keepdims=1)
    return b.op("Sqrt", b.op("Add", squares, b.constant(layer.epsilon)))


def _gamma_and_beta(b: Builder, layer: Any, x: str, shape: list[int]) -> str:
    for operator, weight, name in (("Mul", layer.gamma, "gamma"), ("Add", layer.beta, "beta")):
        if weight is not None:
            value = weight.numpy().reshape(shape)
            x = b.op(operator, x, b.constant(value, f"{layer.name}/{name}"))
    return x


def _along(vector: Any, axis: int, rank: int) -> Any:
    """Numbers as a constant along one axis."""
    shape = [1] * rank
    shape[axis % rank] = -1
    return np.reshape(vector, shape)


def _batch_normalization(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    rank = len(shapes[0])
    deviation = np.sqrt(layer.moving_variance.numpy().astype("f8") + layer.epsilon)
    scale = (1.0 if layer.gamma is None else layer.gamma.numpy()) / deviation
    shift = -layer.moving_mean.numpy() * scale
    shift = shift if layer.beta is None else shift + layer.beta.numpy()
    scaled = b.op("Mul", x[0], b.constant(_along(scale, layer.axis, rank), f"{layer.name}/scale"))
    return b.op("Add", scaled, b.constant(_along(shift, layer.axis, rank), f"{layer.name}/shift"))


def _merged(operator: str) -> Callable[[Builder, Any, list[str], Shapes], str]:
    def merged(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
        rank = max(len(shape) for shape in shapes)
        made, *others = (
            b.op("Unsqueeze", each, b.integers(*range(1, 1 + rank - len(shape))))
            if len(shape) < rank
            else each
            for each, shape in zip(x, shapes, strict=True)
        )
        for each in others:
            made = b.op(operator, made, each)
        return b.op("Mul", made, b.constant(1 / len(x))) if type(layer) is Average else made

    return merged


def _concatenated(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    return b.op("Concat", *x, axis=int(layer.axis))


def _reshaped(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    return b.op("Reshape", x[0], b.integers(0, *layer.target_shape))


def _flat(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    rank = len(shapes[0])
    first = layer.data_format == "channels_first" and rank > 2
    turned = features_last(b, x[0], rank) if first else x[0]
    return b.op("Reshape", turned, b.integers(0, -1))


def _repeated(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    return b.op("Tile", b.op("Unsqueeze", x[0], b.integers(1)), b.integers(1, layer.n, 1))


def _permuted(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    return b.op("Transpose", x[0], perm=[0, *map(int, layer.dims)])


def _scaled(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    mean, spread = layer.mean_and_spread()
    shift = b.constant(mean, f"{layer.name}/mean")
    deviation = b.constant(spread, f"{layer.name}/deviation")
    if layer.invert:
        return b.op("Add", b.op("Mul", x[0], deviation), shift)
    return b.op("Div", b.op("Sub", x[0], shift), deviation)


def _grouped(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    """Moves channels first, and flattens each group of channels and all places into one row."""
    rank = len(shapes[0])
    axis = layer.axis % rank
    turned = [0, axis, *(at for at in range(1, rank) if at != axis)]
    y = b.op("Transpose", x[0], perm=turned)
    grouped = b.op("Reshape", y, b.integers(0, layer.groups, -1))
    centered = b.op("Sub", grouped, b.op("ReduceMean", grouped, axes=[-1], keepdims=1))
    scaled = b.op("Div", centered, _root(b, layer, centered, [-1]))
    made = b.op("Reshape", scaled, b.op("Shape", y))
    made = b.op("Transpose", made, perm=[turned.index(at) for at in range(rank)])
    return _gamma_and_beta(b, layer, made, _broadcast([axis], shapes[0]))


def _rms(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    axes = _axes(layer, len(shapes[0]))
    scale = layer.scale.numpy().reshape(_broadcast(axes, shapes[0]))
    scaled = b.op("Div", x[0], _root(b, layer, x[0], axes))
    return b.op("Mul", scaled, b.constant(scale, f"{layer.name}/scale"))


def _unit(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    total = b.op("ReduceSum", b.op("Mul", x[0], x[0]), b.integers(*axes), keepdims=1)
    norm = b.op("Max", b.op("Sqrt", total), b.constant(1e-12))
    return b.op("Div", x[0], norm)


def _rescaled(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    scaled = b.op("Mul", x[0], b.constant(layer.scale, f"{layer.name}/scale"))
    return b.op("Add", scaled, b.constant(layer.offset, f"{layer.name}/offset"))


WRITERS: dict[type, Callable[[Builder, Any, list[str], Shapes], str]] = {
    Dense: _dense,
    Embedding: _embedding,
    Activation: _activation,
    ReLU: _relu,
    LeakyReLU: _leaky,
    PReLU: _prelu,
    ELU: _elu,
    Softmax: _softmax,
    Dropout: _nothing,
    SpatialDropout1D: _nothing,
    SpatialDropout2D: _nothing,
    AlphaDropout: _nothing,
    Identity: _nothing,
    ActivityRegularization: _nothing,
    GaussianNoise: _nothing,
    GaussianDropout: _nothing,
    LayerNormalization: _layer_normalization,
    BatchNormalization: _batch_normalization,
    RMSNormalization: _rms,
    GroupNormalization: _grouped,
    UnitNormalization: _unit,
    Rescaling: _rescaled,
    Normalization: _scaled,
    Add: _merged("Add"),
    Subtract: _merged("Sub"),
    Multiply: _merged("Mul"),
    Average: _merged("Add"),
    Maximum: _merged("Max"),
    Minimum: _merged("Min"),
    Concatenate: _concatenated,
    Reshape: _reshaped,
    Flatten: _flat,
    RepeatVector: _repeated,
    Permute: _permuted,
    **OF_PLACES,
    **OF_PRODUCTS,
    **OF_CATEGORIES,
}
# Layers that compute each row of the last axis independently.
OF_ROWS = frozenset({
    Dense, Activation, ReLU, LeakyReLU, ELU, Dropout, GaussianNoise, GaussianDropout,
    LayerNormalization, BatchNormalization, RMSNormalization, Softmax,
})  # fmt: skip
