"""Models as parts of the engine, for plans: which layers are one, and why others are not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

from ferrnn._src.activations.activations import Activation as Function
from ferrnn._src.cells.base import BuiltInCell
from ferrnn._src.cells.simple_rnn import SimpleRNNCell
from ferrnn._src.layer.layer import Layer
from ferrnn._src.layers.bidirectional import Bidirectional
from ferrnn._src.layers.coupled_lstm import CoupledLSTM
from ferrnn._src.layers.dense import Dense
from ferrnn._src.layers.dropout import Dropout, SpatialDropout1D
from ferrnn._src.layers.embedding import Embedding
from ferrnn._src.layers.gru import GRU
from ferrnn._src.layers.input import InputLayer
from ferrnn._src.layers.layer_normalization import LayerNormalization
from ferrnn._src.layers.lstm import LSTM
from ferrnn._src.layers.minimal_gated import MinimalGatedUnit
from ferrnn._src.layers.peephole_lstm import PeepholeLSTM
from ferrnn._src.layers.reshaping import Flatten
from ferrnn._src.layers.rnn import RNN
from ferrnn._src.layers.simple_rnn import SimpleRNN
from ferrnn._src.models.graph import Graph
from ferrnn._src.sequence import fused
from ferrnn._src.training.plan_parts import Lowering, Node
from ferrnn._src.weights.parameter import Parameter
from ferrnn._src.weights.random import SeedGenerator

# A part of the engine (None for a layer that does nothing) and its weights in the engine's order.
Part = tuple[tuple[Any, ...] | None, list[Parameter]]

# Ids up to here are numbers of float32.
_IDS: Final = 1 << 24

# What an instance may be given in place of its class's own.
_REPLACED = ("forward", "call", "step", "compute_mask", "cast_inputs")


def lowered(model: Any, plain: Collection[type]) -> Lowering:
    """The layers of a model as parts; models of the `plain` kinds are nothing but their graph."""
    graph: Graph | None = model._graph
    if type(model) not in plain:
        return Lowering([Node(model.name, f"{type(model).__name__} may be more than its layers")])
    if graph is None or not model.built:
        return Lowering([Node(model.name, "it is not built yet")])
    low = Lowering()
    masked = False
    for name, layer in _chain(graph, plain, low):
        found = _part(layer, low)
        if isinstance(found, str):
            low.nodes.append(Node(name, found))
            continue
        if masked and not layer.supports_masking:
            low.nodes.append(Node(name, "it does not take the mask that comes with its inputs"))
            continue
        part, weights = found
        low.nodes.append(Node(name))
        if part is not None:
            if not any(each.trainable for each in (*low.weights, *weights)):
                low.lowest = len(low.parts) + 1
            low.parts.append(part)
            low.weights += weights
        masked = _masked(layer, masked)
    if masked:
        low.nodes.append(Node("outputs", "they carry a mask"))
    _note_ends(graph, low)
    return low


def _masked(layer: Any, before: bool) -> bool:
    """Whether the outputs of a layer carry a mask."""
    if type(layer) is Embedding:
        return bool(layer.mask_zero)
    return before and bool(getattr(layer, "return_sequences", True)) and type(layer) is not Flatten


def _note_ends(graph: Graph, low: Lowering) -> None:
    """Notes ranks, sizes and the dtype, and what of them does not fit."""
    source, target = graph.inputs[0], graph.outputs[0]
    low.ranks = (len(source.shape), len(target.shape))
    if not low.covered:
        return
    low.features, low.units = source.shape[-1] or 0, target.shape[-1] or 0
    low.takes_ids = low.parts[0][0] == "embedding"
    if low.takes_ids:
        low.features = 0
    dtypes = {str(weight.dtype) for weight in low.weights}
    if not low.takes_ids:
        dtypes.add(str(source.dtype))
    low.dtype = min(dtypes, default="")
    if len(dtypes) > 1 or low.dtype not in ("float32", "float64"):
        low.nodes.append(Node("dtype", f"there are several, or none of floats: {sorted(dtypes)}"))
    if len({id(weight) for weight in low.weights}) < len(low.weights):
        low.nodes.append(Node("weights", "two layers share one"))
    if not all(rank in (2, 3) for rank in low.ranks):
        low.nodes.append(Node("inputs", f"their shape is {tuple(source.shape)}"))


def _chain(
    graph: Graph, plain: Collection[type], low: Lowering, prefix: str = ""
) -> Iterator[tuple[str, Layer]]:
    """Each layer of a graph without forks with its path, those of nested models in their place."""
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        counts = f"{len(graph.inputs)} inputs and {len(graph.outputs)} outputs"
        low.nodes.append(Node(f"{prefix}graph", f"it has {counts}"))
    reached: Any = graph.inputs[0]
    for step in graph.steps:
        node, layer = step.node, step.layer
        path = f"{prefix}{layer.name}"
        if node.inputs is not reached:
            low.nodes.append(Node(path, "it does not take just what the layer before gives"))
        elif node.mask is not None or node.training is not None:
            low.nodes.append(Node(path, "it is called with a mask or with `training`"))
        elif type(layer) in plain and layer._graph is not None:
            inner: Graph = layer._graph
            yield from _chain(inner, plain, low, f"{path}/")
        elif type(layer) is not Embedding and str(layer.dtype) != str(reached.dtype):
            low.nodes.append(Node(path, f"it casts {reached.dtype} to {layer.dtype}"))
        elif type(layer) is not InputLayer:
            yield path, layer
        reached = node.outputs
    if graph.outputs[0] is not reached:
        low.nodes.append(Node(f"{prefix}graph", "its outputs are not those of the last layer"))


def _part(layer: Any, low: Lowering) -> Part | str:
    kind = type(layer)  # exactly: a subclass may override anything
    lower = _PARTS.get(kind)
    if lower is None:
        return f"the engine's plans do not know {kind.__name__}"
    if any(name in vars(layer) for name in _REPLACED):
        return "it has a method of its own"
    if not layer.built:
        return "it is not built yet"
    if low.tail is not None:
        return "NumPy computes the activation of the layer before"
    return lower(layer, low)


def _recurrent(layer: Any, low: Lowering) -> Part | str:
    cell = layer.cell
    for option in ("stateful", "return_state"):
        if getattr(layer, option):
            return f"it has {option}=True"
    if not isinstance(cell, BuiltInCell) or not fused.supports(cell):
        return f"its cell {type(cell).__name__} does not run in the engine as one"
    given = cell.native_weights
    if given.recurrent_kernel is None or given.projection is not None or cell.clip:
        return "it has a clip, a projection, or no recurrent product"
    if any(name in vars(cell) for name in _REPLACED):
        return "its cell has a method of its own"
    gate = None if type(cell) is SimpleRNNCell else cell.recurrent_activation  # type: ignore[attr-defined]
    if gate is not None and not gate.native:
        return f"a stand-in computes its recurrent_activation {gate.__name__}"
    features, _ = cell.kernel.shape
    gate_name = "sigmoid" if gate is None else gate.__name__
    reset_after = bool(getattr(cell, "reset_after", True))
    drops = [_drop_of(cell, rate, low) for rate in (cell.dropout, cell.recurrent_dropout)]
    part = (
        "recurrent",
        (cell.native_name, cell.activation.__name__, gate_name, reset_after),
        (features, cell.units, cell.bias is not None),
        (layer.go_backwards, layer.return_sequences, layer.zero_output_for_mask),
        (cell.gates if cell.implementation == 1 else 1, *drops),
    )
    return part, [weight for weight in given if weight is not None]


def _drop_of(cell: Any, rate: float, low: Lowering) -> tuple[int, int, float] | None:
    """The dropout of a cell's inputs or outputs, where its `draw_dropout` would draw a mask."""
    if not rate or (rate >= 1 and type(cell) is not SimpleRNNCell):
        return None
    return _drop(cell.seed_generator, rate, low)


def _drop(generator: SeedGenerator, rate: float, low: Lowering) -> tuple[int, int, float]:
    number = low.draw_from(generator)
    return number, round(rate * 2**32), 0.0 if rate >= 1 else 1.0 / (1.0 - rate)


def _bidirectional(layer: Any, low: Lowering) -> Part | str:
    if layer.merge_mode is None:
        return "it has merge_mode=None"
    parts, weights = [], []
    for each in (layer.forward_layer, layer.backward_layer):
        found = _part(each, low) if _PARTS.get(type(each)) is _recurrent else "it is no RNN"
        if isinstance(found, str):
            return f"{each.name}: {found}"
        parts.append(found[0])
        weights += found[1]
    return ("both ways", *parts, layer.merge_mode, layer.return_sequences), weights


def _dropout(layer: Any, low: Lowering) -> Part | str:
    if not layer.rate:
        return None, []
    if layer.noise_shape is not None:
        return f"it has noise_shape={layer.noise_shape}"
    spatial = type(layer) is SpatialDropout1D
    return ("dropout", *_drop(layer.seed_generator, layer.rate, low), spatial), []


def _embedding(layer: Any, low: Lowering) -> Part | str:
    if low.parts:
        return "it is not the first layer"
    if layer.input_dim > _IDS:
        return f"it has more than {_IDS} ids"
    part = ("embedding", layer.input_dim, layer.output_dim, layer.mask_zero)
    return part, [layer.embeddings]


def _normalization(layer: Any, low: Lowering) -> Part | str:
    gamma, beta = layer.gamma, layer.beta
    if not layer._last:
        return f"it has axis={layer.axis} or rms_scaling"
    part = ("normalization", layer._lengths[0], layer.epsilon, gamma is not None, beta is not None)
    return part, [each for each in (gamma, beta) if each is not None]


def _flatten(layer: Any, low: Lowering) -> Part | str:
    if layer.data_format != "channels_last":
        return f"it has data_format={layer.data_format!r}"
    return ("flatten",), []


def _dense(layer: Any, low: Lowering) -> Part | str:
    function = layer.activation
    if type(function) is not Function:
        return f"its activation is {function!r}"
    features, units = layer.kernel.shape
    if not function.native:
        low.tail = function
    name = function.__name__ if function.native else "linear"
    part = ("dense", name, features, units, layer.bias is not None)
    return part, [layer.kernel, *(() if layer.bias is None else (layer.bias,))]


_PARTS: dict[type[Layer], Callable[[Any, Lowering], Part | str]] = {
    RNN: _recurrent,
    LSTM: _recurrent,
    GRU: _recurrent,
    SimpleRNN: _recurrent,
    CoupledLSTM: _recurrent,
    MinimalGatedUnit: _recurrent,
    PeepholeLSTM: _recurrent,
    Bidirectional: _bidirectional,
    Dense: _dense,
    Dropout: _dropout,
    SpatialDropout1D: _dropout,
    Embedding: _embedding,
    LayerNormalization: _normalization,
    Flatten: _flatten,
}
