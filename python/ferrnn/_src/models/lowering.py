"""Models as parts of the engine, for plans: which layers are one, and why others are not."""

from __future__ import annotations

from collections.abc import Callable, Collection
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
from ferrnn._src.layers.global_pooling import GlobalAveragePooling1D
from ferrnn._src.layers.gru import GRU
from ferrnn._src.layers.input import InputLayer
from ferrnn._src.layers.joining import Concatenate
from ferrnn._src.layers.layer_normalization import LayerNormalization
from ferrnn._src.layers.lstm import LSTM
from ferrnn._src.layers.masking import Masking
from ferrnn._src.layers.merge import Add, Average, Multiply, Subtract
from ferrnn._src.layers.minimal_gated import MinimalGatedUnit
from ferrnn._src.layers.peephole_lstm import PeepholeLSTM
from ferrnn._src.layers.reshaping import Flatten
from ferrnn._src.layers.rnn import RNN
from ferrnn._src.layers.simple_rnn import SimpleRNN
from ferrnn._src.layers.time_distributed import TimeDistributed
from ferrnn._src.models.graph import Graph
from ferrnn._src.models.handed_back import AppliedToRows, HandedBack
from ferrnn._src.sequence import fused
from ferrnn._src.training.plan_parts import End, Lowering, Node
from ferrnn._src.weights.parameter import Parameter
from ferrnn._src.weights.random import SeedGenerator

# A part of the engine, and its weights in the engine's order.
Part = tuple[tuple[Any, ...], list[Parameter]]

# What is said of a layer whose product is the engine's.
_ACTIVATION: Final = "NumPy computes its activation"

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
    low = Lowering(dtype=_dtype_of(graph), values=len(graph.inputs))
    low.inputs = [End(at, tensor.shape) for at, tensor in enumerate(graph.inputs)]
    reached = _lower_graph(graph, plain, low, [*range(low.values)], "")
    if low.covered:
        _note_ends(graph, low, reached)
    if all(part[0][0] == "handed back" for part in low.parts):
        low.nodes = [Node(node.name, node.why or node.back) for node in low.nodes]
    return low


def _dtype_of(graph: Graph) -> str:
    """The dtype of floats that a graph computes in: that of its outputs."""
    return str(graph.outputs[0].dtype)


def _note_ends(graph: Graph, low: Lowering, reached: list[int]) -> None:
    """Notes inputs and outputs, and what of them or of the weights does not fit."""
    seen: set[int] = set()
    for tensor, value in zip(graph.outputs, reached, strict=True):
        masked, own = value in low.masked, value
        if value < len(low.inputs) or value in seen:  # the engine's outputs are all made, each once
            own = low.add(("join", "sum"), [value], [])
        seen.add(own)
        low.outputs.append(End(own, tensor.shape, masked=masked))
    dtypes = {str(weight.dtype) for weight in low.weights} | {low.dtype}
    dtypes |= {str(tensor.dtype) for tensor in graph.outputs}
    for at, source in enumerate(graph.inputs):
        readers = {part[0] for part, taken, _ in low.parts if at in taken}
        if readers == {"embedding"}:
            low.inputs[at] = End(at, source.shape, ids=True)
        else:
            dtypes.add(str(source.dtype))
    if len(dtypes) > 1 or low.dtype not in ("float32", "float64"):
        low.nodes.append(Node("dtype", f"there are several, or none of floats: {sorted(dtypes)}"))
    if len({id(weight) for weight in low.weights}) < len(low.weights):
        low.nodes.append(Node("weights", "two layers share one"))
    ends = [("inputs", end.shape, end.rank) for end in low.inputs]
    for name, shape, most in (*ends, *(("outputs", end.shape, 3) for end in low.outputs)):
        if not 2 <= len(shape) <= most or shape[1:].count(None) > 1:
            low.nodes.append(Node(name, f"their shape is {tuple(shape)}"))


def _lower_graph(
    graph: Graph, plain: Collection[type], low: Lowering, sources: list[int], prefix: str
) -> list[int]:
    """Lowers the layers of a graph that takes the values `sources`; gives those of its outputs."""
    values = {id(tensor): at for tensor, at in zip(graph.inputs, sources, strict=True)}
    for step in graph.steps:
        node, layer = step.node, step.layer
        path = f"{prefix}{layer.name}"
        missing = [tensor for tensor in node.input_tensors if id(tensor) not in values]
        if missing:  # a layer before is not planned
            low.nodes.append(Node(path, "it takes what is not planned"))
            continue
        given = [values[id(tensor)] for tensor in node.input_tensors]
        if type(layer) is InputLayer:
            continue
        if type(layer) in plain and layer._graph is not None and node.training is None:
            inner: Graph = layer._graph
            made = _lower_graph(inner, plain, low, _of_own(inner, low, given), f"{path}/")
        else:
            made = _lower_step(graph, step, low, given, path)
        values |= zip(map(id, node.output_tensors), made, strict=False)
    return [values.get(id(tensor), -1) for tensor in graph.outputs]


def _of_own(inner: Graph, low: Lowering, given: list[int]) -> list[int]:
    """Values for a model inside: its own where several layers read one, to sum gradients there."""
    own = []
    for at, value in enumerate(given):
        readers = sum(at in step.sources for step in inner.steps)
        alone = readers < 2 or value < len(low.inputs)
        own.append(value if alone else low.add(("join", "sum"), [value], []))
    return own


def _lower_step(graph: Graph, step: Any, low: Lowering, given: list[int], path: str) -> list[int]:
    """Lowers one layer, or hands it back to Python; gives the values that it makes."""
    makes = len(step.node.output_tensors)
    found = _native(step, low, given)
    if not isinstance(found, str):
        numpy = any(part[0] == "handed back" for part, _ in found)
        low.nodes.append(Node(path, None, _ACTIVATION if numpy else None))
        value, taken = given[0], given
        for part, weights in found:
            value = low.add(part, taken, weights, makes)
            taken = [value]
        if found and _masked(step.layer, given[0] in low.masked):
            low.masked.add(value)
        return [*range(value, value + makes)]
    why = _not_handed_back(step, low, given)
    if why is not None:
        low.nodes.append(Node(path, f"{found}, and {why}"))
        return []
    low.nodes.append(Node(path, None, found))
    asks = any(value in low.wanted for value in given)
    back = HandedBack(step, graph.count, asks, low.losses)
    sizes = [weight.size for weight in back.weights]
    stays = given[0] in low.masked and type(step.layer) not in _WITHOUT_MASKS
    low.handed_back.append(back)
    value = low.add(("handed back", back, sizes, stays, makes), given, back.weights, makes)
    if stays:
        low.masked.add(value)
    return [*range(value, value + makes)]


def _not_handed_back(step: Any, low: Lowering, given: list[int]) -> str | None:
    """Why a layer cannot be called from inside the engine, None if it can."""
    node, layer = step.node, step.layer
    if len(node.output_tensors) > 1 and any(value in low.masked for value in given):
        return "it gives several values for inputs with masks"
    if node.mask is not None or not layer.built:
        return "it is called with a mask, or not built yet"
    tensors = [*node.input_tensors, *node.output_tensors]
    wrong = [str(tensor.dtype) for tensor in tensors if str(tensor.dtype) != low.dtype]
    if wrong:
        return f"it takes or gives {wrong[0]} where the model computes in {low.dtype}"
    shapes = [tensor.shape for tensor in tensors]
    unknown = [shape for shape in shapes if len(shape) < 2 or shape[0] != shapes[0][0]]
    unknown += [shape for shape in shapes if len(shape) != 3 and shape[1:].count(None) > 1]
    if unknown:
        return f"the shape {unknown[0]} is not known well enough"
    return _unmasked(layer, [value in low.masked for value in given])


def _unmasked(layer: Any, masked: list[bool]) -> str | None:
    """Why the masks of some inputs of a layer keep it out of plans, None if they do not."""
    if not any(masked) or type(layer) in _WITHOUT_MASKS:
        return None
    if type(layer).compute_mask is not Layer.compute_mask:
        return "it makes a mask of that of its inputs"
    if len(masked) > 1 or not layer.supports_masking:
        return "it does not take the masks that come with its inputs"
    return None


def _masked(layer: Any, before: bool) -> bool:
    """Whether the outputs of a layer that plans know carry a mask."""
    if type(layer) is Masking:
        return True
    if type(layer) is Embedding:
        return bool(layer.mask_zero)
    return before and bool(getattr(layer, "return_sequences", True)) and type(layer) is not Flatten


def _native(step: Any, low: Lowering, given: list[int]) -> list[Part] | str:
    """The parts that a layer is, or why it is none."""
    node, layer = step.node, step.layer
    taken = node.input_tensors[0].dtype
    why = None
    if node.mask is not None or node.training is not None:
        why = "it is called with a mask or with `training`"
    elif layer.activity_regularizer is not None:
        why = "it has an activity regularizer"
    elif type(layer) in _JOINS:
        return _join(step, low, given)
    elif (len(given) != 1 or not step.single) and not _with_states(step, low, given):
        why = "it takes several arrays"
    elif type(layer) is Embedding and given[0] >= len(low.inputs):
        why = "it is not the first layer"
    elif type(layer) is not Embedding and str(layer.dtype) != str(taken):
        why = f"it casts {taken} to {layer.dtype}"
    elif given[0] in low.masked and _gives_two_sequences(layer):
        why = "it gives two sequences with masks"
    elif given[0] in low.masked and not layer.supports_masking:
        why = "it does not take the mask that comes with its inputs"
    return why or _part(layer, low)


def _gives_two_sequences(layer: Any) -> bool:
    return type(layer) is Bidirectional and layer.merge_mode is None and layer.return_sequences


def _with_states(step: Any, low: Lowering, given: list[int]) -> bool:
    """Whether a layer takes a sequence and the states to begin with."""
    kind = _PARTS.get(type(step.layer))
    tensors = step.node.input_tensors
    return (
        kind in (_recurrent, _bidirectional)
        and step.flat
        and not any(value in low.masked for value in given[1:])
        and all(tensor.ndim == 2 and tensor.dtype == tensors[0].dtype for tensor in tensors[1:])
    )


def _join(step: Any, low: Lowering, given: list[int]) -> list[Part] | str:
    layer, shapes = step.layer, [tensor.shape for tensor in step.node.input_tensors]
    if any(value in low.masked for value in given):
        return "its inputs have masks"
    if len(given) < 2 or not step.flat:
        return "it takes one array, or a structure of them"
    kind = _JOINS[type(layer)]
    lengths = shapes
    if kind == "concat":
        if layer.axis not in (-1, len(shapes[0]) - 1):
            return f"it has axis={layer.axis}"
        lengths = [shape[:-1] for shape in shapes]
    if any(each != lengths[0] for each in lengths) or not 2 <= len(shapes[0]) <= 3:
        return f"its inputs have the shapes {shapes}"
    return [(("join", kind), [])]


def _part(layer: Any, low: Lowering) -> list[Part] | str:
    kind = type(layer)  # exactly: a subclass may override anything
    lower = _PARTS.get(kind)
    if lower is None:
        return f"the engine's plans do not know {kind.__name__}"
    if any(name in vars(layer) for name in _REPLACED):
        return "it has a method of its own"
    if not layer.built:
        return "it is not built yet"
    return lower(layer, low)


def _recurrent(layer: Any, low: Lowering) -> list[Part] | str:
    cell = layer.cell
    if layer.stateful:
        return "it has stateful=True"
    if not isinstance(cell, BuiltInCell) or not fused.supports(cell):
        return f"its cell {type(cell).__name__} does not run in the engine as one"
    given = cell.native_weights
    if given.recurrent_kernel is None or given.projection is not None or cell.clip:
        return "it has a clip, a projection, or no recurrent product"
    low.fewer_bits |= cell.inference_precision != "full"
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
        (
            layer.go_backwards,
            layer.return_sequences,
            layer.return_state,
            layer.zero_output_for_mask,
        ),
        (cell.gates if cell.implementation == 1 else 1, *drops),
    )
    return [(part, [weight for weight in given if weight is not None])]


def _drop_of(cell: Any, rate: float, low: Lowering) -> tuple[int, int, float] | None:
    """The dropout of a cell's inputs or outputs, where its `draw_dropout` would draw a mask."""
    if not rate or (rate >= 1 and type(cell) is not SimpleRNNCell):
        return None
    return _drop(cell.seed_generator, rate, low)


def _drop(generator: SeedGenerator, rate: float, low: Lowering) -> tuple[int, int, float]:
    number = low.draw_from(generator)
    return number, round(rate * 2**32), 0.0 if rate >= 1 else 1.0 / (1.0 - rate)


def _bidirectional(layer: Any, low: Lowering) -> list[Part] | str:
    parts, weights = [], []
    for each in (layer.forward_layer, layer.backward_layer):
        found = _part(each, low) if _PARTS.get(type(each)) is _recurrent else "it is no RNN"
        if isinstance(found, str):
            return f"{each.name}: {found}"
        parts.append(found[0][0])
        weights += found[0][1]
    merge = "apart" if layer.merge_mode is None else layer.merge_mode
    return [(("both ways", *parts, merge, layer.return_sequences), weights)]


def _dropout(layer: Any, low: Lowering) -> list[Part] | str:
    if not layer.rate:
        return []
    if layer.noise_shape is not None:
        return f"it has noise_shape={layer.noise_shape}"
    spatial = type(layer) is SpatialDropout1D
    return [(("dropout", *_drop(layer.seed_generator, layer.rate, low), spatial), [])]


def _embedding(layer: Any, low: Lowering) -> list[Part] | str:
    if layer.input_dim > _IDS:
        return f"it has more than {_IDS} ids"
    part = ("embedding", layer.input_dim, layer.output_dim, layer.mask_zero)
    return [(part, [layer.embeddings])]


def _normalization(layer: Any, low: Lowering) -> list[Part] | str:
    gamma, beta = layer.gamma, layer.beta
    if not layer._last:
        return f"it has axis={layer.axis} or rms_scaling"
    part = ("normalization", layer._lengths[0], layer.epsilon, gamma is not None, beta is not None)
    return [(part, [each for each in (gamma, beta) if each is not None])]


def _flatten(layer: Any, low: Lowering) -> list[Part] | str:
    if layer.data_format != "channels_last":
        return f"it has data_format={layer.data_format!r}"
    return [(("flatten",), [])]


def _masking(layer: Any, low: Lowering) -> list[Part] | str:
    return [(("masking", float(layer.mask_value)), [])]


def _dense(layer: Any, low: Lowering) -> list[Part] | str:
    function = layer.activation
    if type(function) is not Function:
        return f"its activation is {function!r}"
    features, units = layer.kernel.shape
    name = function.__name__ if function.native else "linear"
    dense = ("dense", name, features, units, layer.bias is not None)
    parts: list[Part] = [(dense, [layer.kernel, *(() if layer.bias is None else (layer.bias,))])]
    if not function.native:
        applied = AppliedToRows(function)
        low.handed_back.append(applied)
        parts.append((("handed back", applied, [], True, 1), []))
    return parts


def _distributed(layer: Any, low: Lowering) -> list[Part] | str:
    inner = layer.layer
    if type(inner) is not Dense or not layer._in_one_call:
        return f"plans do not know a TimeDistributed {type(inner).__name__}"
    return _part(inner, low)


_PARTS: dict[type[Layer], Callable[[Any, Lowering], list[Part] | str]] = {
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
    Masking: _masking,
    TimeDistributed: _distributed,
}
_JOINS: dict[type[Layer], str] = {
    Add: "sum",
    Subtract: "difference",
    Multiply: "product",
    Average: "mean",
    Concatenate: "concat",
}
# Layers whose outputs have no mask, whatever their inputs have.
_WITHOUT_MASKS = frozenset((GlobalAveragePooling1D,))
