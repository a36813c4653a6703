"""Layers with windows, over sequences and frames, as ONNX nodes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ferrnn._src.convolution.geometry import Geometry, places_of
from ferrnn._src.convolution.transposed import spread_lengths
from ferrnn._src.interop.onnx.functions import applied
from ferrnn._src.interop.onnx.writing import Builder
from ferrnn._src.layers.adaptive_pooling import AdaptiveAveragePooling1D, AdaptiveMaxPooling1D
from ferrnn._src.layers.conv1d import Conv1D
from ferrnn._src.layers.conv2d import Conv2D
from ferrnn._src.layers.conv_transpose import Conv1DTranspose, Conv2DTranspose
from ferrnn._src.layers.depthwise import (
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv1D,
    SeparableConv2D,
)
from ferrnn._src.layers.frame_resizing import Cropping2D, UpSampling2D, ZeroPadding2D, mixture
from ferrnn._src.layers.global_pooling import (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
)
from ferrnn._src.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    MaxPooling1D,
    MaxPooling2D,
)
from ferrnn._src.layers.resizing import Cropping1D, UpSampling1D, ZeroPadding1D
from ferrnn._src.tree.types import Array

# The arguments of functions besides the builder: the layer and its inputs, with ranks in `shapes`.
Shapes = list[tuple[Any, ...]]
Writer = Callable[[Builder, Any, list[str], Shapes], str]

_END = 2**62


def features_first(b: Builder, x: str, rank: int) -> str:
    """`[batch, features, *places]` of `[batch, *places, features]`."""
    return b.op("Transpose", x, perm=[0, rank - 1, *range(1, rank - 1)])


def features_last(b: Builder, x: str, rank: int) -> str:
    """The inverse of `features_first`."""
    return b.op("Transpose", x, perm=[0, *range(2, rank), 1])


def _turned(b: Builder, layer: Any, x: str, rank: int) -> str:
    return x if layer.data_format == "channels_first" else features_first(b, x, rank)


def _back(b: Builder, layer: Any, x: str, rank: int) -> str:
    return x if layer.data_format == "channels_first" else features_last(b, x, rank)


def padding(geometry: Geometry) -> dict[str, Any]:
    """The geometry of windows as ONNX attributes."""
    size, strides, dilation, kind = geometry
    settings: dict[str, Any] = {
        "kernel_shape": list(size),
        "strides": list(strides),
        "dilations": list(dilation),
    }
    if kind == "causal":
        settings["pads"] = [geometry.reach[0] - 1, 0]
    elif kind == "same" and max(strides) == 1:
        # Explicit padding for SAME_UPPER, which runtimes do not accept together with dilations.
        spare = [reach - 1 for reach in geometry.reach]
        before = [each // 2 for each in spare]
        settings["pads"] = [*before, *(all_ - b for all_, b in zip(spare, before, strict=True))]
    elif kind == "same":
        settings["auto_pad"] = "SAME_UPPER"
    return settings


def kernel_first(kernel: Array) -> Array:
    """`[filters, features, *size]` of a kernel `[*size, features, filters]`."""
    rank = kernel.ndim - 2
    return np.ascontiguousarray(kernel.transpose(rank + 1, rank, *range(rank)))


def _activated(b: Builder, layer: Any, x: str, rank: int) -> str:
    """The activation, on outputs in the layer's order, as some apply to the last axis."""
    return applied(b, layer.activation, _back(b, layer, x, rank), layer.name)


def _bias(b: Builder, layer: Any) -> list[str]:
    return [] if layer.bias is None else [b.constant(layer.bias.numpy(), f"{layer.name}/bias")]


def _convolution(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    rank = len(shapes[0])
    kernel = b.constant(kernel_first(layer.kernel.numpy()), f"{layer.name}/kernel")
    settings = {**padding(layer._geometry), "group": int(layer.groups)}
    turned = _turned(b, layer, x[0], rank)
    made = b.op("Conv", turned, kernel, *_bias(b, layer), **settings)
    return _activated(b, layer, made, rank)


def _apart(b: Builder, layer: Any, kernel: Array, x: str, more: list[str]) -> str:
    """A depthwise convolution, with features first."""
    *size, features, multiplier = kernel.shape
    rank = len(size)
    own = kernel.transpose(rank, rank + 1, *range(rank)).reshape(features * multiplier, 1, *size)
    constant = b.constant(np.ascontiguousarray(own), f"{layer.name}/kernel")
    settings = {**padding(layer._geometry), "group": int(features)}
    return b.op("Conv", x, constant, *more, **settings)


def _depthwise(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    rank = len(shapes[0])
    turned = _turned(b, layer, x[0], rank)
    made = _apart(b, layer, layer.kernel.numpy(), turned, _bias(b, layer))
    return _activated(b, layer, made, rank)


def _separable(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    rank = len(shapes[0])
    apart = _apart(b, layer, layer.depthwise_kernel.numpy(), _turned(b, layer, x[0], rank), [])
    kernel = b.constant(kernel_first(layer.pointwise_kernel.numpy()), f"{layer.name}/pointwise")
    made = b.op("Conv", apart, kernel, *_bias(b, layer))
    return _activated(b, layer, made, rank)


def _transposed(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    rank, geometry = len(shapes[0]), layer._geometry
    found, cut = spread_lengths([1] * (rank - 2), geometry, layer.output_padding)
    rows = zip(geometry.reach, cut, found, strict=True)
    left = [reach - before - count for reach, before, count in rows]
    settings = {
        "kernel_shape": list(geometry.size),
        "strides": list(geometry.strides),
        "dilations": list(geometry.dilation),
        "pads": [*cut, *(max(each, 0) for each in left)],
        "output_padding": [max(-each, 0) for each in left],
    }
    # In ONNX, the features of inputs come first, then the filters.
    kernel = b.constant(kernel_first(layer.kernel.numpy()), f"{layer.name}/kernel")
    turned = _turned(b, layer, x[0], rank)
    made = b.op("ConvTranspose", turned, kernel, *_bias(b, layer), **settings)
    return _activated(b, layer, made, rank)


def _pooling(operator: str) -> Writer:
    def pooled(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
        rank = len(shapes[0])
        settings = {"kernel_shape": list(layer.pool_size), "strides": list(layer.strides)}
        pad = "SAME_UPPER" if layer.padding == "same" else "VALID"
        made = b.op(operator, _turned(b, layer, x[0], rank), auto_pad=pad, **settings)
        return _back(b, layer, made, rank)

    return pooled


def _global_pooling(operator: str) -> Writer:
    def pooled(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
        first = 1 if layer.data_format == "channels_last" else 2
        axes = list(range(first, first + len(shapes[0]) - 2))
        return b.op(operator, x[0], axes=axes, keepdims=int(layer.keepdims))

    return pooled


def _pairs(value: Any) -> list[tuple[int, int]]:
    """Two numbers for each spatial axis."""
    if all(isinstance(each, int | np.integer) for each in value):
        return [(int(value[0]), int(value[1]))]
    return [(int(first), int(last)) for first, last in value]


def _first_axis(layer: Any) -> int:
    return 2 if getattr(layer, "data_format", "channels_last") == "channels_first" else 1


def _padded(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    pairs, rank, first = _pairs(layer.padding), len(shapes[0]), _first_axis(layer)
    ends = [[0] * rank, [0] * rank]
    for axis, pair in enumerate(pairs):
        for end, count in zip(ends, pair, strict=True):
            end[first + axis] = count
    return b.op("Pad", x[0], b.integers(*ends[0], *ends[1]))


def _cropped(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    pairs, first = _pairs(layer.cropping), _first_axis(layer)
    starts = b.integers(*(before for before, _ in pairs))
    ends = b.integers(*(-after if after else _END for _, after in pairs))
    return b.op("Slice", x[0], starts, ends, b.integers(*range(first, first + len(pairs))))


def _upsampled(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    size = int(layer.size)
    wide = b.op("Tile", x[0], b.integers(1, 1, size))
    return b.op("Reshape", wide, b.integers(0, -1, shapes[0][2]))


def _upsampled_frames(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    rows = _turned(b, layer, x[0], 4)
    known = places_of(shapes[0], layer.data_format)
    kind = layer.interpolation
    if kind == "nearest":
        told = {"mode": "nearest", "coordinate_transformation_mode": "asymmetric"}
        made = _resized(b, layer, rows, told | {"nearest_mode": "floor"})
    elif kind == "bilinear":
        told = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        made = _resized(b, layer, rows, told)
    elif None not in known:
        tall, wide = (
            b.constant(mixture(length, size, kind), f"{layer.name}/{kind}")
            for length, size in zip(known, layer.size, strict=True)
        )
        made = b.op("MatMul", tall, b.op("MatMul", rows, b.op("Transpose", wide, perm=[1, 0])))
    elif kind == "bicubic":
        told = {"mode": "cubic", "coordinate_transformation_mode": "half_pixel"}
        made = _resized(b, layer, rows, {**told, "cubic_coeff_a": -0.5, "exclude_outside": 1})
    else:
        raise ValueError(
            f"layer {layer.name!r} must have frames of a known size to be written to ONNX with the "
            f"interpolation {kind!r}, received the size {known}"
        )
    return _back(b, layer, made, 4)


def _resized(b: Builder, layer: Any, x: str, settings: dict[str, Any]) -> str:
    return b.op("Resize", x, "", b.constant([1, 1, *layer.size], "scales", "float32"), **settings)


def _adaptive(b: Builder, layer: Any, x: list[str], shapes: Shapes) -> str:
    """Adaptive windows for a length: a row for each, True at its steps."""
    first = layer.data_format == "channels_first"
    rows = b.op("Transpose", x[0], perm=[0, 2, 1]) if first else x[0]
    (count,) = layer.output_size
    axis, zero, one, number = (b.constant(n, "number", "int64") for n in (1, 0, 1, count))
    length = b.op("Gather", b.op("Shape", rows), axis)
    steps = b.op("Range", zero, length, one)
    column = b.constant(np.arange(count + 1)[:, None], "windows", "int64")
    scaled = b.op("Mul", column, length)
    starts = b.op("Slice", b.op("Div", scaled, number), b.integers(0), b.integers(-1))
    up = b.op("Add", scaled, b.constant(count - 1, "number", "int64"))
    ends = b.op("Slice", b.op("Div", up, number), b.integers(1), b.integers(count + 1))
    inside = b.op("And", b.op("GreaterOrEqual", steps, starts), b.op("Less", steps, ends))
    if type(layer) is AdaptiveAveragePooling1D:
        shares = b.op("CastLike", inside, rows)
        shares = b.op("Div", shares, b.op("ReduceSum", shares, b.integers(-1), keepdims=1))
        made = b.op("MatMul", shares, rows)
    else:
        seen = b.op("Unsqueeze", inside, b.integers(2))
        spread = b.op("Where", seen, b.op("Unsqueeze", rows, b.integers(1)), b.constant(-np.inf))
        made = b.op("ReduceMax", spread, axes=[2], keepdims=0)
    return b.op("Transpose", made, perm=[0, 2, 1]) if first else made


OF_PLACES: dict[type, Writer] = {
    Conv1D: _convolution,
    Conv2D: _convolution,
    DepthwiseConv1D: _depthwise,
    DepthwiseConv2D: _depthwise,
    SeparableConv1D: _separable,
    SeparableConv2D: _separable,
    Conv1DTranspose: _transposed,
    Conv2DTranspose: _transposed,
    MaxPooling1D: _pooling("MaxPool"),
    MaxPooling2D: _pooling("MaxPool"),
    AveragePooling1D: _pooling("AveragePool"),
    AveragePooling2D: _pooling("AveragePool"),
    GlobalMaxPooling1D: _global_pooling("ReduceMax"),
    GlobalMaxPooling2D: _global_pooling("ReduceMax"),
    GlobalAveragePooling1D: _global_pooling("ReduceMean"),
    GlobalAveragePooling2D: _global_pooling("ReduceMean"),
    ZeroPadding1D: _padded,
    ZeroPadding2D: _padded,
    Cropping1D: _cropped,
    Cropping2D: _cropped,
    UpSampling1D: _upsampled,
    UpSampling2D: _upsampled_frames,
    AdaptiveAveragePooling1D: _adaptive,
    AdaptiveMaxPooling1D: _adaptive,
}
