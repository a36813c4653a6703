"""Layers as parts of a stream: those that treat each step on its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, NoReturn

import numpy as np

from ferrnn._src.activations.activations import Activation as Function
from ferrnn._src.layer.layer import Layer
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
from ferrnn._src.layers.layer_normalization import LayerNormalization
from ferrnn._src.layers.normalization import BatchNormalization
from ferrnn._src.layers.passing import ActivityRegularization, Identity, Rescaling
from ferrnn._src.layers.scaling import RMSNormalization
from ferrnn._src.sequence.stream import StreamPart
from ferrnn._src.tree.types import Array


class Place(NamedTuple):
    """A layer at its place in a model.

    `shape` and `given` are the shapes of one step of its inputs and outputs, without the batch.
    With `timed`, the axis after the batch in the layer's inputs is time.
    """

    model: str
    name: str
    layer: Any
    shape: tuple[int, ...]
    given: tuple[int, ...]
    timed: bool

    def refuse(self, reason: str) -> NoReturn:
        """Raises TypeError, naming the layer and the reason."""
        raise TypeError(
            f"layer {self.name!r} of the model {self.model!r} cannot run in a stream: {reason}"
        )

    def array(self, numbers: Any) -> Array:
        """A number for each element of a step, in the layer's dtype."""
        given = np.asarray(numbers, self.layer.dtype)
        if given.ndim > len(self.shape):
            self.refuse(
                f"its settings have the shape {given.shape}, which does not fit one step of the "
                f"shape {self.shape}"
            )
        return np.ascontiguousarray(np.broadcast_to(given, self.shape)).reshape(-1)

    def outputs(self, number: float) -> Array:
        """A number for each element of a step of the outputs, in the layer's dtype."""
        return np.full(_count(self.given), number, self.layer.dtype)

    def axis(self, axis: int) -> int:
        """An axis of the layer's inputs as an axis of one step."""
        before = 2 if self.timed else 1
        own = axis % (len(self.shape) + before) - before
        if own < 0:
            self.refuse(f"axis={axis} is not an axis of one step")
        return own


# The parts of a layer.
Stage = Callable[[Place], list[StreamPart]]


# Activations that are composed of other stages, with their numbers.
_COMPOSED: dict[str, list[tuple[str, float | None]]] = {
    "hard_sigmoid_keras2": [("multiply", 0.2), ("add", 0.5), ("relu", None), ("minimum", 1)],
    "leaky_relu": [("slope", 0.2)],
    "relu6": [("relu", None), ("minimum", 6)],
    "sparse_sigmoid": [("add", 1), ("multiply", 0.5), ("relu", None), ("minimum", 1)],
}


def function(place: Place, called: Any) -> list[StreamPart]:
    """The parts of an activation."""
    name = getattr(called, "__name__", repr(called))
    if type(called) is Function and name in _COMPOSED:
        return [
            StreamPart(part if number is None else (part, place.outputs(number)))
            for part, number in _COMPOSED[name]
        ]
    if type(called) is not Function or not (called.native or called.native_rows):
        place.refuse(f"the engine does not have its activation {name}")
    if called.native_rows and len(place.given) != 1:
        place.refuse(f"{called.__name__} over the features of frames is not in the engine")
    return [] if called.__name__ == "linear" else [StreamPart(called.__name__)]


def nothing(place: Place) -> list[StreamPart]:
    """Layers that do nothing outside training."""
    return []


def _dense(place: Place) -> list[StreamPart]:
    weights, outer = place.layer.native_parts()
    parts = [StreamPart(weights)]
    if len(place.shape) > 1:
        parts = [StreamPart(("products", _count(place.shape[:-1]), [weights]))]
    return [*parts, *(function(place, outer) if outer is not None else ())]


def _count(shape: Sequence[int]) -> int:
    return int(np.prod(shape, dtype=np.int64))


def _embedding(place: Place) -> list[StreamPart]:
    return [StreamPart(place.layer.stream_weights())]


def _layer_normalization(place: Place) -> list[StreamPart]:
    if len(place.shape) != 1:
        place.refuse("a stream can normalize steps [features], but not frames")
    return [StreamPart(place.layer.stream_weights())]


def _batch_normalization(place: Place) -> list[StreamPart]:
    layer = place.layer
    along = [1] * len(place.shape)
    along[place.axis(layer.axis)] = -1

    def of(operation: str, numbers: Array) -> StreamPart:
        return StreamPart((operation, place.array(np.reshape(numbers, along))))

    inverse = np.reciprocal(np.sqrt(layer.moving_variance.value + layer.epsilon))
    parts = [of("subtract", layer.moving_mean.value), of("multiply", inverse)]
    if layer.gamma is not None:
        parts.append(of("multiply", layer.gamma.value))
    if layer.beta is not None:
        parts.append(of("add", layer.beta.value))
    return parts


def _normalization(place: Place) -> list[StreamPart]:
    layer = place.layer
    mean, spread = layer.mean_and_spread()
    shift, spread = (place.array(_of_a_step(place, each)) for each in (mean, spread))
    if layer.invert:
        return [StreamPart(("multiply", spread)), StreamPart(("add", shift))]
    return [StreamPart(("subtract", shift)), StreamPart(("divide", spread))]


def _of_a_step(place: Place, numbers: Any) -> Array:
    """Removes the axes of batch and time from numbers that are broadcast over them."""
    array = np.asarray(numbers)
    while array.ndim > len(place.shape):
        if len(array) != 1:
            place.refuse("its settings differ from step to step")
        array = array[0]
    return array


def _rescaling(place: Place) -> list[StreamPart]:
    scale, offset = (_of_a_step(place, each) for each in (place.layer.scale, place.layer.offset))
    return [StreamPart(("multiply", place.array(scale))), StreamPart(("add", place.array(offset)))]


def _relu(place: Place) -> list[StreamPart]:
    layer = place.layer
    most, slope, threshold = layer.max_value, layer.negative_slope, layer.threshold
    if most is None and not slope and not threshold:
        return [StreamPart("relu")]
    if slope and threshold:
        place.refuse(
            "a stream supports ReLU with a negative_slope or a threshold, but not with both"
        )
    parts = []
    if slope or threshold:
        part = ("slope", place.array(slope)) if slope else ("above", place.array(threshold))
        parts.append(StreamPart(part))
    else:
        parts.append(StreamPart("relu"))
    return parts if most is None else [*parts, StreamPart(("minimum", place.array(most)))]


def _leaky_relu(place: Place) -> list[StreamPart]:
    return [StreamPart(("slope", place.array(place.layer.negative_slope)))]


def _prelu(place: Place) -> list[StreamPart]:
    alpha = place.layer.alpha.value
    if place.timed:
        if len(alpha) != 1:
            place.refuse(
                "it has learned an alpha for each step; with shared_axes=[1], all steps share one"
            )
        alpha = alpha[0]
    return [StreamPart(("slope", place.array(alpha)))]


def _elu(place: Place) -> list[StreamPart]:
    alpha = place.layer.alpha
    if alpha < 0:
        place.refuse(f"a stream supports ELU with a non-negative alpha, received {alpha}")
    parts = [StreamPart("elu")]
    return parts if alpha == 1 else [*parts, StreamPart(("slope", place.array(alpha)))]


def _softmax(place: Place) -> list[StreamPart]:
    axis = place.layer.axis
    if not isinstance(axis, int) or len(place.shape) != 1 or place.axis(axis) != 0:
        place.refuse(
            f"a stream supports Softmax over the features of a step, but not over axis={axis}"
        )
    return [StreamPart("softmax")]


def _activation(place: Place) -> list[StreamPart]:
    return function(place, place.layer.activation)


# Layers that treat each step on its own.
PLAIN: dict[type[Layer], Stage] = {
    Dense: _dense,
    LayerNormalization: _layer_normalization,
    RMSNormalization: _layer_normalization,
    BatchNormalization: _batch_normalization,
    Normalization: _normalization,
    Rescaling: _rescaling,
    Activation: _activation,
    ReLU: _relu,
    LeakyReLU: _leaky_relu,
    PReLU: _prelu,
    ELU: _elu,
    Softmax: _softmax,
    Identity: nothing,
    ActivityRegularization: nothing,
    Dropout: nothing,
    SpatialDropout1D: nothing,
    SpatialDropout2D: nothing,
    AlphaDropout: nothing,
    GaussianDropout: nothing,
    GaussianNoise: nothing,
}

FIRST: dict[type[Layer], Stage] = {Embedding: _embedding}
