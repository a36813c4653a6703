"""Streams of whole models: which layers can take one step a call, and as what."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from ferrnn._src.activations.activations import Activation as Function
from ferrnn._src.layer.layer import Layer
from ferrnn._src.layers.activation import Activation, ReLU
from ferrnn._src.layers.coupled_lstm import CoupledLSTM
from ferrnn._src.layers.dense import Dense
from ferrnn._src.layers.dropout import Dropout
from ferrnn._src.layers.embedding import Embedding
from ferrnn._src.layers.gru import GRU
from ferrnn._src.layers.ind_rnn import IndRNN
from ferrnn._src.layers.layer_normalization import LayerNormalization
from ferrnn._src.layers.lstm import LSTM
from ferrnn._src.layers.minimal_gated import MinimalGatedUnit
from ferrnn._src.layers.peephole_lstm import PeepholeLSTM
from ferrnn._src.layers.projected_lstm import ProjectedLSTM
from ferrnn._src.layers.rnn import RNN
from ferrnn._src.layers.simple_rnn import SimpleRNN
from ferrnn._src.layers.time_distributed import TimeDistributed
from ferrnn._src.models.graph import Graph
from ferrnn._src.sequence.stream import Stream, StreamPart
from ferrnn._src.symbolic.symbolic import SymbolicTensor


def make_stream(model: Any, plain: Collection[type], streams: int) -> Stream:
    """A stream of a model's layers; models of the `plain` kinds are nothing but their graph."""
    graph: Graph | None = model._graph
    if graph is None:
        raise ValueError(
            f"the model {model.name!r} must be built before it can run in a stream: give it an "
            "`Input`, or call it once; a model that is written as code has no layers to run"
        )
    chain = _chain(model.name, graph, plain)
    parts: list[StreamPart] = []
    dtype, features, masked = "", 0, False
    for name, layer in chain:
        if not parts and not dtype:
            dtype, features = layer.dtype, _features(model.name, graph.inputs[0], layer)
            masked = type(layer) is Embedding and layer.mask_zero
        elif type(layer) is Embedding:
            raise TypeError(
                f"layer {name!r} of the model {model.name!r} cannot run in a stream: an Embedding "
                "takes the ids that the model is given, so it must be the first layer"
            )
        parts += _parts_of(model.name, name, layer, dtype)
        if masked and getattr(layer, "zero_output_for_mask", False):
            raise ValueError(
                f"layer {name!r} of the model {model.name!r} cannot run in a stream with "
                "zero_output_for_mask=True after an Embedding with mask_zero=True: a step with the "
                "id 0 gives the outputs of the step before"
            )
    return Stream.over(parts, features, streams, dtype or "float32")


def _chain(
    model: str, graph: Graph, plain: Collection[type], prefix: str = ""
) -> Iterator[tuple[str, Layer]]:
    """Each layer of a graph without forks with its path, those of nested models in their place."""
    if len(graph.inputs) != 1:
        raise ValueError(
            f"the model {model!r} cannot run in a stream: it has {len(graph.inputs)} inputs, a "
            "stream one"
        )
    reached = graph.inputs[0]
    for step in graph.steps:
        node, layer = step.node, step.layer
        path = f"{prefix}{layer.name}"
        if node.inputs is not reached or node.mask is not None or node.training:
            raise ValueError(
                f"layer {path!r} of the model {model!r} cannot run in a stream: it takes something "
                "besides the outputs of the layer before (other arrays, initial states, a mask, or "
                "training=True), and in a stream layers follow one another"
            )
        if type(layer) in plain:
            yield from _chain(model, layer._graph, plain, f"{path}/")
        else:
            yield path, layer
        reached = node.outputs
    if len(graph.outputs) != 1 or graph.outputs[0] is not reached:
        raise ValueError(
            f"the model {model!r} cannot run in a stream: a stream gives the outputs of the last "
            f"layer, the model {[tensor.name for tensor in graph.outputs]}"
        )


def _features(model: str, inputs: SymbolicTensor, first: Layer) -> int:
    """The number of features of a step; 1 where the first layer takes an id."""
    shape = tuple(inputs.shape)
    if type(first) is Embedding:
        if len(shape) != 2:
            raise ValueError(
                f"a stream of the model {model!r} takes one id at a time: the model's input shape "
                f"must be [batch, time], not {shape}"
            )
        return 1
    if len(shape) not in (2, 3) or not isinstance(shape[-1], int):
        raise ValueError(
            f"a stream of the model {model!r} takes one step [features] at a time: the model's "
            f"input shape must be [batch, time, features] or [batch, features], not {shape}"
        )
    if inputs.dtype != first.dtype:
        raise TypeError(
            f"the model {model!r} cannot run in a stream: its Input has the dtype {inputs.dtype}, "
            f"its first layer {first.dtype}"
        )
    return shape[-1]


def _parts_of(
    model: str, name: str, layer: Layer, dtype: str, known: Collection[type] | None = None
) -> list[StreamPart]:
    kind = type(layer)  # exactly: a subclass may override anything
    if isinstance(layer, TimeDistributed) and kind is TimeDistributed and known is None:
        return _parts_of(model, f"{name}/{layer.layer.name}", layer.layer, dtype, _OF_ROWS)
    allowed = _ALL if known is None else known
    if kind not in allowed:
        names = ", ".join(sorted(each.__name__ for each in allowed))
        where = "a stream" if known is None else "a TimeDistributed in a stream"
        raise TypeError(
            f"layer {name!r} of the model {model!r} cannot run in {where}: it is a "
            f"{kind.__name__}, and streams run {names}"
        )
    if layer.dtype != dtype:
        raise TypeError(
            f"layer {name!r} of the model {model!r} cannot run in a stream: its dtype is "
            f"{layer.dtype}, that of the first layer {dtype}"
        )
    return _PARTS[kind](name, layer)


def _recurrent(name: str, layer: RNN) -> list[StreamPart]:
    return layer.stream_parts(name)


def _dense(name: str, layer: Dense) -> list[StreamPart]:
    weights, outer = layer.native_parts()
    return [StreamPart(weights), *(_function(name, outer) if outer is not None else ())]


def _embedding(name: str, layer: Embedding) -> list[StreamPart]:
    return [StreamPart(layer.stream_weights())]


def _normalization(name: str, layer: LayerNormalization) -> list[StreamPart]:
    return [StreamPart(layer.stream_weights())]


def _activation(name: str, layer: Activation) -> list[StreamPart]:
    return _function(name, layer.activation)


def _relu(name: str, layer: ReLU) -> list[StreamPart]:
    if layer.max_value is not None or layer.negative_slope or layer.threshold:
        raise TypeError(
            f"layer {name!r} cannot run in a stream: the engine knows ReLU without max_value, "
            "negative_slope and threshold"
        )
    return [StreamPart("relu")]


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
    CoupledLSTM: _recurrent,
    IndRNN: _recurrent,
    MinimalGatedUnit: _recurrent,
    PeepholeLSTM: _recurrent,
    ProjectedLSTM: _recurrent,
    Dense: _dense,
    Embedding: _embedding,
    LayerNormalization: _normalization,
    Activation: _activation,
    ReLU: _relu,
    Dropout: _nothing,
}

# What a TimeDistributed may hold.
_OF_ROWS = (Dense, LayerNormalization, Activation, ReLU, Dropout)

_ALL = (*_PARTS, TimeDistributed)
