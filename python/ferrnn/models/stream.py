"""Streams of whole models: which layers can take one step a call, and as what."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ferrnn.core.activations import Activation as Function
from ferrnn.core.layer import Layer
from ferrnn.core.symbolic import SymbolicTensor
from ferrnn.layers.activation import Activation
from ferrnn.layers.dense import Dense
from ferrnn.layers.dropout import Dropout
from ferrnn.layers.gru import GRU
from ferrnn.layers.lstm import LSTM
from ferrnn.layers.rnn import RNN
from ferrnn.layers.simple_rnn import SimpleRNN
from ferrnn.sequence.stream import Stream, StreamPart

Layers = Sequence[tuple[str, Layer]]


def make_stream(model: str, layers: Layers, inputs: SymbolicTensor, streams: int) -> Stream:
    """A stream of a model's layers, each with its name; `inputs` are those of the model."""
    input_shape = inputs.shape
    if len(input_shape) not in (2, 3) or not isinstance(input_shape[-1], int):
        raise ValueError(
            f"a stream of the model {model!r} takes one step [features] at a time: the model's "
            "input shape must be [batch, time, features] or [batch, features], not "
            f"{tuple(input_shape)}"
        )
    dtype = layers[0][1].dtype
    if inputs.dtype != dtype:
        raise TypeError(
            f"the model {model!r} cannot run in a stream: its Input has the dtype {inputs.dtype}, "
            f"its first layer {dtype}"
        )
    parts: list[StreamPart] = []
    for name, layer in layers:
        # Exactly these: a subclass may override anything.
        make = _PARTS.get(type(layer))
        if make is None:
            known = ", ".join(sorted(kind.__name__ for kind in _PARTS))
            raise TypeError(
                f"layer {name!r} of the model {model!r} cannot run in a stream: it is a "
                f"{type(layer).__name__}, and streams run {known}"
            )
        if layer.dtype != dtype:
            raise TypeError(
                f"layer {name!r} of the model {model!r} cannot run in a stream: its dtype is "
                f"{layer.dtype}, that of the first layer {dtype}"
            )
        parts += make(name, layer)
    return Stream.over(parts, input_shape[-1], streams, dtype)


def _recurrent(name: str, layer: RNN) -> list[StreamPart]:
    return layer.stream_parts(name)


def _dense(name: str, layer: Dense) -> list[StreamPart]:
    weights, outer = layer.native_parts()
    return [StreamPart(weights), *(_function(name, outer) if outer is not None else ())]


def _activation(name: str, layer: Activation) -> list[StreamPart]:
    return _function(name, layer.activation)


def _function(name: str, function: Any) -> list[StreamPart]:
    if type(function) is not Function or not (function.native or function.native_rows):
        called = getattr(function, "__name__", repr(function))
        raise TypeError(
            f"layer {name!r} cannot run in a stream: the engine does not know its activation "
            f"{called}"
        )
    return [] if function.__name__ == "linear" else [StreamPart(function.__name__)]


def _nothing(name: str, layer: Layer) -> list[StreamPart]:
    """Layers that do nothing outside of training."""
    return []


_PARTS: dict[type[Layer], Callable[[str, Any], list[StreamPart]]] = {
    RNN: _recurrent,
    LSTM: _recurrent,
    GRU: _recurrent,
    SimpleRNN: _recurrent,
    Dense: _dense,
    Activation: _activation,
    Dropout: _nothing,
}
