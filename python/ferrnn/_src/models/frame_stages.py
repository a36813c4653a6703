"""Layers with windows as parts of a stream: over time, and over the places of a step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.activations.activations import Activation as Function
from ferrnn._src.convolution.geometry import Geometry, padded
from ferrnn._src.layer.layer import Call, Layer
from ferrnn._src.layers.conv1d import Conv1D
from ferrnn._src.layers.conv2d import Conv2D
from ferrnn._src.layers.conv_lstm import ConvLSTM1D, ConvLSTM2D
from ferrnn._src.layers.depthwise import (
    DepthwiseConv1D,
    DepthwiseConv2D,
    SeparableConv,
    SeparableConv1D,
    SeparableConv2D,
)
from ferrnn._src.layers.frame_resizing import Cropping2D, UpSampling2D, ZeroPadding2D
from ferrnn._src.layers.global_pooling import (
    GlobalAveragePooling1D,
    GlobalAveragePooling2D,
    GlobalMaxPooling1D,
    GlobalMaxPooling2D,
)
from ferrnn._src.layers.pooling import (
    AveragePooling1D,
    AveragePooling2D,
    MaxPooling,
    MaxPooling1D,
    MaxPooling2D,
)
from ferrnn._src.layers.reshaping import Flatten, Permute, RepeatVector, Reshape
from ferrnn._src.layers.resizing import Cropping1D, UpSampling1D, ZeroPadding1D
from ferrnn._src.models.stages import Place, Stage, function
from ferrnn._src.sequence.stream import StreamPart
from ferrnn._src.tree.types import Array

# The engine's index of a piece that is padding.
_NOWHERE = 2**32 - 1


def _select(pieces: int, width: int, numbers: Array, fill: float = 0.0) -> tuple[Any, ...]:
    """Pieces in another order, by numbers from 1 on; 0 is padding with `fill`."""
    from_ = np.where(numbers == 0, _NOWHERE, numbers.astype(np.int64) - 1)
    return pieces, width, from_.reshape(-1).tolist(), fill


def _moved(place: Place) -> list[StreamPart]:
    """Layers that only move elements, found by calling them on the elements' numbers."""
    count = int(np.prod(place.shape))
    numbers = np.arange(1, count + 1, dtype=np.float64)
    moved, squares = (
        place.layer.forward(each.reshape(1, *place.shape), Call())[0]
        for each in (numbers, numbers**2)
    )
    if np.any(moved**2 != squares):
        place.refuse("it computes with its inputs, where a stream can only move them")
    if np.array_equal(moved.reshape(-1), numbers):
        return []
    return [StreamPart(("select", _select(count, 1, moved)))]


def _order(place: Place, shape: Sequence[int], source: int, to: int) -> list[StreamPart]:
    """Moves the features' axis for layers that have it first."""
    if place.layer.data_format == "channels_last":
        return []
    count = int(np.prod(shape))
    numbers = np.arange(1, count + 1).reshape(shape)
    return [StreamPart(("select", _select(count, 1, np.moveaxis(numbers, source, to))))]


def _ordered(place: Place, parts: list[StreamPart]) -> list[StreamPart]:
    """Parts for features last, between parts that move the axis of a layer's inputs and outputs."""
    if place.layer.data_format == "channels_last":
        return parts
    given = (*place.given[1:], place.given[0])
    return [*_order(place, place.shape, 0, -1), *parts, *_order(place, given, -1, 0)]


def _frame(place: Place) -> tuple[tuple[int, ...], int]:
    """The lengths of a frame, and its number of features."""
    if place.layer.data_format == "channels_last":
        return place.shape[:-1], place.shape[-1]
    return place.shape[1:], place.shape[0]


def _taps(lengths: tuple[int, ...], geometry: Geometry, last_first: bool) -> Array:
    """The numbers of the places in each window, from 1 on: `[window, tap]`, 0 for padding.

    Taps are in the order of the axes or, for products, with those of the last axis first.
    """
    numbers = np.arange(1, int(np.prod(lengths)) + 1, dtype=np.float64).reshape(1, *lengths, 1)
    longer = padded(numbers, geometry.ends(lengths))
    counts = geometry.counts(lengths)
    places = [(slice(None), *each) for each in geometry.places(counts)]
    found = [longer[place].reshape(-1) for place in places]
    taps = np.stack(found, axis=-1).astype(np.int64)
    if last_first:
        axes = taps.reshape(-1, *geometry.size)
        taps = np.moveaxis(axes, -1, 1).reshape(taps.shape)
    return taps


def _pieces(taps: Array, features: int, groups: int) -> Array:
    """The numbers of the pieces of each group: `[group, window, tap]`."""
    own = np.arange(groups).reshape(-1, 1, 1)
    return np.where(taps == 0, 0, (taps - 1) * groups + own + 1)


def _conv(place: Place) -> list[StreamPart]:
    layer = place.layer
    lengths, features = _frame(place)
    taps = _taps(lengths, layer._geometry, last_first=True)
    weights, outer = _conv_weights(place)
    groups = layer.groups
    pieces = int(np.prod(lengths)) * groups
    numbers = _pieces(taps, features, groups)
    parts = [
        StreamPart(("select", _select(pieces, features // groups, numbers))),
        StreamPart(("products", len(taps), weights)),
    ]
    return _ordered(place, [*parts, *outer])


def _conv_weights(place: Place) -> tuple[list[Any], list[StreamPart]]:
    """The weights of each group, and the activation unless they include it."""
    layer = place.layer
    known = type(layer.activation) is Function and layer.activation.native
    inner = layer.activation.__name__ if known else "linear"
    weights = layer._packed.of(layer.kernel, layer.bias, inner, layer.groups)
    return weights, [] if known else function(place, layer.activation)


def _depthwise(place: Place) -> list[StreamPart]:
    lengths, features = _frame(place)
    taps = _taps(lengths, place.layer._geometry, last_first=False)
    return _ordered(place, _apart(place, int(np.prod(lengths)), taps, features))


def _apart(place: Place, places: int, taps: Array, features: int) -> list[StreamPart]:
    """The parts of a depthwise convolution over windows `[window, tap]`."""
    layer = place.layer
    separable = isinstance(layer, SeparableConv)
    kernel = (layer.depthwise_kernel if separable else layer.kernel).value
    count, multiplier = len(taps), layer.depth_multiplier
    parts = []
    if multiplier > 1:
        own = np.repeat(np.arange(1, features + 1), multiplier)
        numbers = np.where(taps[..., None] == 0, 0, (taps[..., None] - 1) * features + own)
        parts.append(StreamPart(("select", _select(places * features, 1, numbers))))
    elif not np.array_equal(taps.reshape(-1), np.arange(1, places + 1)):
        parts.append(StreamPart(("select", _select(places, features, taps))))
    shape = (count, taps.shape[1], features * multiplier)
    parts.append(StreamPart(("fold", shape, np.ascontiguousarray(kernel).reshape(-1))))
    if separable:
        weights = layer._packed.of(layer.pointwise_kernel, layer.bias)
        parts.append(StreamPart(("products", count, weights)))
    elif layer.bias is not None:
        bias = np.tile(layer.bias.value, count)
        parts.append(StreamPart(("add", bias)))
    return [*parts, *function(place, layer.activation)]


def _pooling(place: Place) -> list[StreamPart]:
    lengths, features = _frame(place)
    geometry = place.layer._geometry
    taps = _taps(lengths, geometry, last_first=False)
    highest = isinstance(place.layer, MaxPooling)
    select = _select(int(np.prod(lengths)), features, taps, -np.inf if highest else 0.0)
    return _ordered(place, [StreamPart(("select", select)), *_pooled(place, taps, features)])


def _pooled(place: Place, taps: Array, features: int) -> list[StreamPart]:
    shape = (len(taps), taps.shape[1], features)
    if isinstance(place.layer, MaxPooling):
        return [StreamPart(("fold", shape, "max"))]
    sizes = np.repeat(np.count_nonzero(taps, axis=1), features).astype(place.layer.dtype)
    return [StreamPart(("fold", shape, "sum")), StreamPart(("divide", sizes))]


def _global_pooling(place: Place) -> list[StreamPart]:
    lengths, features = _frame(place)
    count = int(np.prod(lengths))
    shape = (1, count, features)
    parts = _order(place, place.shape, 0, -1)
    if isinstance(place.layer, GlobalMaxPooling1D | GlobalMaxPooling2D):
        return [*parts, StreamPart(("fold", shape, "max"))]
    sizes = np.full(features, count, place.layer.dtype)
    return [*parts, StreamPart(("fold", shape, "sum")), StreamPart(("divide", sizes))]


def _window(place: Place, size: int, dilation: int, strides: int, padding: str) -> list[StreamPart]:
    """A part that gives the last steps, concatenated."""
    layer = place.layer
    if layer.data_format != "channels_last":
        place.refuse("with data_format='channels_first', it would take features for steps")
    if strides > 1:
        place.refuse(f"with strides={strides}, it has fewer outputs than steps")
    causal = padding == "causal"
    if padding == "same" and size > 1:
        place.refuse("with padding='same', it sees later steps: use padding='causal' or 'valid'")
    (features,) = place.shape
    if size == 1:
        causal = True
    kept = (size - 1) * dilation
    states: tuple[str, ...] = (f"{place.name}/past",) if kept else ()
    shapes: tuple[Any, ...] = ((kept, features),) if kept else ()
    if kept and not causal:
        states, shapes = (*states, f"{place.name}/seen"), (*shapes, (1,))
    return [StreamPart(("window", features, size, dilation, causal), states, shapes)]


def _window_of(place: Place) -> tuple[list[StreamPart], int]:
    layer = place.layer
    size, strides, dilation, padding = layer._geometry
    return _window(place, size[0], dilation[0], strides[0], padding), size[0]


def _conv_over_time(place: Place) -> list[StreamPart]:
    window, size = _window_of(place)
    weights, outer = _conv_weights(place)
    groups, (features,) = place.layer.groups, place.shape
    if groups == 1:
        return [*window, StreamPart(weights[0]), *outer]
    numbers = _pieces(np.arange(1, size + 1).reshape(1, -1), features, groups)
    return [
        *window,
        StreamPart(("select", _select(size * groups, features // groups, numbers))),
        StreamPart(("products", 1, weights)),
        *outer,
    ]


def _depthwise_over_time(place: Place) -> list[StreamPart]:
    window, size = _window_of(place)
    taps = np.arange(1, size + 1).reshape(1, -1)
    return [*window, *_apart(place, size, taps, place.shape[0])]


def _pooling_over_time(place: Place) -> list[StreamPart]:
    window, size = _window_of(place)
    taps = np.arange(1, size + 1).reshape(1, -1)
    return [*window, *_pooled(place, taps, place.shape[0])]


def _conv_lstm(place: Place) -> list[StreamPart]:
    layer, cell = place.layer, place.layer.cell
    layer.check_stream(place.name)
    for called in (cell.activation, cell.recurrent_activation):
        if type(called) is not Function or not called.native:
            name = getattr(called, "__name__", repr(called))
            place.refuse(f"the engine does not have its activation {name}")
    lengths, features = _frame(place)
    counts = cell.window.counts(lengths)
    taps = _taps(lengths, cell.window, last_first=True)
    around = _taps(counts, cell.window_of_states, last_first=True)
    places, filters = len(taps), cell.filters
    kernel, recurrent = cell.packed_kernels()
    part = (
        "conv_lstm",
        places,
        kernel,
        recurrent,
        _select(places, filters, around),
        cell.activation.__name__,
        cell.recurrent_activation.__name__,
    )
    states = (f"{place.name}/h", f"{place.name}/c")
    shape = (*counts, filters)
    select = _select(int(np.prod(lengths)), features, taps)
    parts = [StreamPart(("select", select)), StreamPart(part, states, (shape, shape))]
    return _ordered(place, parts)


# Layers over sequences, with windows over time.
OVER_TIME: dict[type[Layer], Stage] = {
    Conv1D: _conv_over_time,
    DepthwiseConv1D: _depthwise_over_time,
    SeparableConv1D: _depthwise_over_time,
    MaxPooling1D: _pooling_over_time,
    AveragePooling1D: _pooling_over_time,
    ConvLSTM1D: _conv_lstm,
    ConvLSTM2D: _conv_lstm,
}

# Layers inside a step, with windows over its places.
OVER_PLACES: dict[type[Layer], Stage] = {
    Conv1D: _conv,
    Conv2D: _conv,
    DepthwiseConv1D: _depthwise,
    DepthwiseConv2D: _depthwise,
    SeparableConv1D: _depthwise,
    SeparableConv2D: _depthwise,
    MaxPooling1D: _pooling,
    MaxPooling2D: _pooling,
    AveragePooling1D: _pooling,
    AveragePooling2D: _pooling,
    GlobalMaxPooling1D: _global_pooling,
    GlobalMaxPooling2D: _global_pooling,
    GlobalAveragePooling1D: _global_pooling,
    GlobalAveragePooling2D: _global_pooling,
    Flatten: _moved,
    Reshape: _moved,
    Permute: _moved,
    RepeatVector: _moved,
    ZeroPadding1D: _moved,
    ZeroPadding2D: _moved,
    Cropping1D: _moved,
    Cropping2D: _moved,
    UpSampling1D: _moved,
    UpSampling2D: _moved,
}
