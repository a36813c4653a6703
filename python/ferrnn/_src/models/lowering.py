"""Models as parts of the engine, for plans: which layers are one, and why others are not."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any

from ferrnn._src.activations.activations import Activation as Function
from ferrnn._src.cells.base import BuiltInCell
from ferrnn._src.cells.simple_rnn import SimpleRNNCell
from ferrnn._src.layer.layer import Layer
from ferrnn._src.layers.coupled_lstm import CoupledLSTM
from ferrnn._src.layers.dense import Dense
from ferrnn._src.layers.gru import GRU
from ferrnn._src.layers.input import InputLayer
from ferrnn._src.layers.lstm import LSTM
from ferrnn._src.layers.minimal_gated import MinimalGatedUnit
from ferrnn._src.layers.peephole_lstm import PeepholeLSTM
from ferrnn._src.layers.rnn import RNN
from ferrnn._src.layers.simple_rnn import SimpleRNN
from ferrnn._src.models.graph import Graph
from ferrnn._src.sequence import fused
from ferrnn._src.training.planning import Lowering, Node
from ferrnn._src.weights.parameter import Parameter

# A part of the engine and its weights in the engine's order, or why the layer is none.
Part = tuple[tuple[Any, ...], list[Parameter]]

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
    for name, layer in _chain(graph, plain, low):
        found = _part(layer)
        if isinstance(found, str):
            low.nodes.append(Node(name, found))
            continue
        part, weights = found
        if not low.weights and not any(weight.trainable for weight in weights):
            low.lowest = len(low.parts) + 1
        low.nodes.append(Node(name))
        low.parts.append(part)
        low.weights += weights
    _note_ends(graph, low)
    return low


def _note_ends(graph: Graph, low: Lowering) -> None:
    """Notes ranks, sizes and the dtype, and what of them does not fit."""
    source, target = graph.inputs[0], graph.outputs[0]
    low.ranks = (len(source.shape), len(target.shape))
    if not low.covered:
        return
    low.features, low.units = source.shape[-1] or 0, target.shape[-1] or 0
    low.dtype = str(source.dtype)
    dtypes = {low.dtype, *(str(weight.dtype) for weight in low.weights)}
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
        elif str(layer.dtype) != str(reached.dtype):
            low.nodes.append(Node(path, f"it casts {reached.dtype} to {layer.dtype}"))
        elif type(layer) is not InputLayer:
            yield path, layer
        reached = node.outputs
    if graph.outputs[0] is not reached:
        low.nodes.append(Node(f"{prefix}graph", "its outputs are not those of the last layer"))


def _part(layer: Any) -> Part | str:
    kind = type(layer)  # exactly: a subclass may override anything
    lower = _PARTS.get(kind)
    if lower is None:
        return f"the engine's plans do not know {kind.__name__}"
    if any(name in vars(layer) for name in _REPLACED):
        return "it has a method of its own"
    if not layer.built:
        return "it is not built yet"
    return lower(layer)


def _recurrent(layer: Any) -> Part | str:
    cell = layer.cell
    for option in ("stateful", "return_state"):
        if getattr(layer, option):
            return f"it has {option}=True"
    if not isinstance(cell, BuiltInCell) or not fused.supports(cell):
        return f"its cell {type(cell).__name__} does not run in the engine as one"
    given = cell.native_weights
    other = given.recurrent_kernel is None or given.projection is not None or cell.clip
    if cell.dropout or cell.recurrent_dropout or other:
        reason = "a clip, a projection, or no recurrent product" if other else "dropout"
        return f"it has {reason}"
    if any(name in vars(cell) for name in _REPLACED):
        return "its cell has a method of its own"
    gate = None if type(cell) is SimpleRNNCell else cell.recurrent_activation  # type: ignore[attr-defined]
    if gate is not None and not gate.native:
        return f"a stand-in computes its recurrent_activation {gate.__name__}"
    features, _ = cell.kernel.shape
    part = (
        "recurrent",
        cell.native_name,
        cell.activation.__name__,
        "sigmoid" if gate is None else gate.__name__,
        bool(getattr(cell, "reset_after", True)),
        features,
        cell.units,
        cell.bias is not None,
        layer.go_backwards,
        layer.return_sequences,
    )
    return part, [weight for weight in given if weight is not None]


def _dense(layer: Any) -> Part | str:
    function = layer.activation
    if type(function) is not Function or not function.native:
        name = getattr(function, "__name__", repr(function))
        return f"NumPy computes its activation {name}"
    features, units = layer.kernel.shape
    part = ("dense", function.__name__, features, units, layer.bias is not None)
    return part, [layer.kernel, *(() if layer.bias is None else (layer.bias,))]


_PARTS: dict[type[Layer], Callable[[Any], Part | str]] = {
    RNN: _recurrent,
    LSTM: _recurrent,
    GRU: _recurrent,
    SimpleRNN: _recurrent,
    CoupledLSTM: _recurrent,
    MinimalGatedUnit: _recurrent,
    PeepholeLSTM: _recurrent,
    Dense: _dense,
}
