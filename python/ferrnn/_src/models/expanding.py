"""Users' code as a graph: the `call` of a model or layer that calls other layers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np

from ferrnn._src.configs.names import counts_kept
from ferrnn._src.layer.calling import resolved_training
from ferrnn._src.layer.input_spec import check_inputs
from ferrnn._src.layer.layer import Call, Layer
from ferrnn._src.layer.losses import gathering_losses
from ferrnn._src.layer.operations import Operation
from ferrnn._src.layers.embedding import Embedding
from ferrnn._src.models.graph import Graph
from ferrnn._src.models.values import Value
from ferrnn._src.models.written import weights_in
from ferrnn._src.programs.recorder import UnsupportedError
from ferrnn._src.programs.settings import Kept, unchanged
from ferrnn._src.symbolic import tracing
from ferrnn._src.symbolic.symbolic import Node, SymbolicTensor, symbolic_leaves
from ferrnn._src.tree.tree import flatten, map_structure
from ferrnn._src.weights.parameter import Parameter, structure_version
from ferrnn._src.weights.random import taken_back

# A graph of more calls is not worth it: a loop over time unrolled, say.
_MOST_NODES = 256


@dataclass(frozen=True)
class Expanded:
    """A call as a graph, and the structure of its outputs."""

    graph: Graph
    outputs: Any
    # Whether layers of users are expanded in it, whose outputs may lack the masks of the graph.
    inlined: bool
    # Whether it is only for the lengths that its inputs had.
    exact: bool = False


class _Recording:
    """One run of the code, and the trace that weights ask meanwhile."""

    operation = None  # of `ops`: a node of the graph, as outside of traces
    expands = True  # into a graph, for any number of rows

    def __init__(self) -> None:
        self.count, self.inlined = 0, False
        self.layers = False  # whether code of ferrnn's runs, which may see all of a shape

    def value(self, leaf: Any) -> Any:
        """What stands for a symbolic tensor in the code; anything else as it is."""
        return Value(leaf, self) if isinstance(leaf, SymbolicTensor) else leaf

    def call(
        self,
        layer: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        training: bool | None,
        mask: Any,
    ) -> Any:
        """The outputs of a layer's call, which becomes a node; layers of users are expanded."""
        if mask is not None:
            raise UnsupportedError("a mask given to a layer")
        if weights_in((args, kwargs)) and not isinstance(layer, Operation):
            raise UnsupportedError("a weight given to a layer")
        if not layer.built:
            raise UnsupportedError(
                f"a call of the layer {layer.name!r}, which is not built: create it in `__init__`"
            )
        inputs = layer.gather(*args, **kwargs)
        chosen = resolved_training(training)
        if layer.written_with_call and [*layer.sublayers()] and not writes_masks(layer):
            try:
                made = layer._apply_call(inputs, Call(training=chosen))
            except Exception:  # noqa: BLE001, S110 - where it runs on numbers, it raises its own
                pass  # as a node of its own it may be a program, or Python's
            else:
                self.inlined = True
                return made
        self.count += 1
        if self.count > _MOST_NODES:
            raise UnsupportedError(f"more than {_MOST_NODES} calls")
        node = Node(layer, args, kwargs, inputs, training=chosen)
        self.layers = True
        try:
            if layer.input_spec is not None:
                check_inputs(layer.input_spec, layer.main_input(inputs), layer.name)
            with tracing.suspended():
                made = layer.symbolic_outputs(inputs)
            node.outputs = map_structure(self.value, made)
        finally:
            self.layers = False
        for index, tensor in enumerate(flatten(node.outputs)):
            tensor.node, tensor.index = node, index
        return node.outputs

    def layer_of_constants(self, layer: Any, inputs: Any) -> Any:
        """What a layer gives for no value: all rows of an Embedding, as those of positions."""
        if type(layer) is Embedding and layer.built and not layer.mask_zero:
            ids = np.asarray(inputs)
            if ids.dtype.kind in "iu" and np.array_equal(ids, np.arange(layer.input_dim)):
                return layer.embeddings
        raise UnsupportedError(f"a call of the layer {layer.name!r} on what is no value")

    # What the room `symbolic` asks of a trace.

    def parameter(self, parameter: Parameter) -> NoReturn:
        """Refuses the numbers of a weight that is read outside of its layer."""
        raise UnsupportedError("the numbers of a weight")

    def leaf(self, value: Any) -> Any:
        """The value itself: operations take weights."""
        return value

    def ufunc(self, ufunc: Any, method: str, inputs: Any, options: Any) -> NoReturn:
        """Refuses a ufunc of weights alone."""
        raise UnsupportedError("an operation on weights alone")

    def record(self, forward: Any, inputs: Any) -> NoReturn:
        """Refuses a function with its own vjp, which is not a layer."""
        raise UnsupportedError("a function with a gradient of its own")

    def cast(self, value: Any, dtype: Any) -> NoReturn:
        """Refuses a cast, which is not a layer."""
        raise UnsupportedError("a cast")

    def leaving(self, what: str) -> NoReturn:
        """Refuses what differs from call to call, or has an effect besides its outputs."""
        raise UnsupportedError(what)


def writes_masks(layer: Any) -> bool:
    """Whether a user has written what masks the outputs of a layer have."""
    users = (kind for kind in type(layer).__mro__ if not kind.__module__.startswith("ferrnn._src."))
    return any("compute_mask" in vars(kind) for kind in users)


def expanded(layer: Any, inputs: Any) -> Expanded | str:
    """The code of a model or a layer for symbolic inputs as a graph, or the reason why not."""
    if writes_masks(layer):
        return "a `compute_mask` of its own"
    version = structure_version()
    try:
        with taken_back(), unchanged(layer), counts_kept():
            plain, training = (_recorded(layer, inputs, each) for each in (False, True))
        _note_training(plain, training, version)
    except UnsupportedError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - where it runs on numbers, its own error is raised
        return f"an operation that fails on values without numbers ({error})"
    taken, given, inlined = plain
    return Expanded(Graph(list(symbolic_leaves(taken)), flatten(given)), given, inlined)


def _note_training(
    plain: tuple[Any, Any, bool], training: tuple[Any, Any, bool], version: int
) -> None:
    """Notes in a graph which calls train as the call around them, by another run in training.

    Both must be alike, and have made no weights since that version of the structure.
    """
    if version != structure_version():
        raise UnsupportedError("weights that the call creates")
    if _signature(*plain[:2]) != _signature(*training[:2]):
        _refuse_new({id(node.layer) for node in _nodes(plain[1])}, training[1])
        raise UnsupportedError("operations that differ in training")
    for node, other in zip(_nodes(plain[1]), _nodes(training[1]), strict=True):
        if (node.training, other.training) == (False, True):
            node.training = None
        elif node.training != other.training:
            raise UnsupportedError("a layer whose `training` differs from that of the call")


def _refuse_new(known: set[int], outputs: Any) -> None:
    """Refuses layers that are not known from another run of the same code."""
    for node in _nodes(outputs):
        if id(node.layer) not in known and not isinstance(node.layer, Operation):
            raise UnsupportedError(
                f"the layer {node.layer.name!r}, which the call creates or only training uses"
            )


def _recorded(layer: Any, inputs: Any, training: bool) -> tuple[Any, Any, bool]:
    """The inputs and the outputs of one run of the code, and whether layers are expanded in it."""
    recording = _Recording()
    given = map_structure(recording.value, inputs)
    token = tracing.current.set(recording)
    try:
        with gathering_losses() as losses:
            outputs = layer._apply_call(given, Call(training=training))
            if losses:
                raise UnsupportedError("`add_loss`")
    finally:
        tracing.current.reset(token)
        recording.layers = True
    leaves = flatten(outputs)
    if not leaves or not all(isinstance(leaf, Value) for leaf in leaves):
        raise UnsupportedError("outputs that do not depend on the inputs")
    return given, outputs, recording.inlined


def _nodes(outputs: Any) -> list[Node]:
    """The nodes that outputs need, each after those it needs."""
    found: dict[Node, None] = {}

    def visit(node: Node) -> None:
        for parent in node.parents:
            if parent not in found:
                visit(parent)
        found[node] = None

    for leaf in symbolic_leaves(outputs):
        if leaf.node is not None and leaf.node not in found:
            visit(leaf.node)
    return list(found)


def _signature(inputs: Any, outputs: Any) -> Any:
    """What two runs have in common if they do the same: layers, connections, constants."""
    numbers = {id(tensor): at for at, tensor in enumerate(symbolic_leaves(inputs))}

    def said(leaf: Any) -> Any:
        if isinstance(leaf, SymbolicTensor):
            return "value", numbers.get(id(leaf))
        if isinstance(leaf, np.ndarray):
            return leaf.shape, leaf.dtype.str, leaf.tobytes()
        return type(leaf), leaf if isinstance(leaf, _PLAIN) else id(leaf)

    def of(structure: Any) -> Any:
        return [said(leaf) for leaf in flatten(structure)]

    calls = []
    for node in _nodes(outputs):
        layer = node.layer
        kind: Any = id(layer)
        if isinstance(layer, Operation):
            kind = type(layer), of(getattr(layer, "_settings", None))
        calls.append((kind, of(node.args), sorted(node.kwargs), of(node.kwargs)))
        for tensor in node.output_tensors:
            numbers[id(tensor)] = len(numbers)
    return calls, of(outputs)


_PLAIN = (bool, int, float, str, type(None), slice, type(...), np.generic, np.dtype)


# The methods of models that say what a step, a loss or metrics are.
_OF_MODELS = frozenset(
    (
        "compute_loss", "compute_metrics", "evaluate", "fit", "get_metrics_result", "metrics",
        "outputs_and_mask", "predict", "predict_step", "prepare_inputs", "reset_metrics",
        "test_step",
    )
)  # fmt: skip
# What a user's class of models may define for its code to be all there is.
_WRITTEN = frozenset(
    (
        "__annotations__", "__doc__", "__firstlineno__", "__init__", "__module__", "__qualname__",
        "__static_attributes__", "_remembers", "build", "build_from_config", "builds_itself",
        "call", "compute_output_shape", "forward", "from_config", "get_build_config", "get_config",
        "supports_masking", "train_step",
    )
)  # fmt: skip


def code_of(model: Any) -> Expanded | str:
    """The code of a model as a graph, or the reason why it cannot be one.

    Where the code does not read the length of time, it may be any.
    """
    kind = type(model)
    for each in kind.__mro__:
        if each.__module__.startswith("ferrnn._src."):
            break
        more = sorted(name for name in vars(each) if name not in _WRITTEN and hasattr(Layer, name))
        more += sorted(name for name in vars(each) if name in _OF_MODELS)
        if more:
            return f"{kind.__name__} defines `{more[0]}`"
    if model._called_with is None or not model.built:
        return "it is not built yet"
    if model._expanded is None or not model._expanded.holds():
        model._expanded = Kept(model, _found(model))
    found: Expanded | str = model._expanded.found
    return found


def _found(model: Any) -> Expanded | str:
    found: Expanded | str = ""
    for exact in (False, True):
        inputs = map_structure(_any_length if not exact else _tensor, model._called_with)
        found = expanded(model, inputs)
        if not isinstance(found, str):
            single = isinstance(found.outputs, SymbolicTensor)
            return replace(found, exact=exact) if single else "it returns several outputs"
    return f"its code has {found}"


def _any_length(seen: Any) -> Any:
    return _tensor(seen, axis=1)


def _tensor(seen: Any, axis: int = 0) -> Any:
    """A symbolic tensor for inputs that were seen, with any length of one axis."""
    if not isinstance(seen, Seen):
        return seen
    shape = [None, *seen.shape[1:]]
    if len(shape) > 2:
        shape[axis] = None
    return SymbolicTensor(tuple(shape), seen.dtype.name, name="input")


@dataclass(frozen=True)
class Seen:
    """An array without its numbers."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def described(inputs: Any) -> Any:
    """The inputs of a call, each array as `Seen`.

    >>> described([np.zeros((2, 3), "float32")])
    [Seen(shape=(2, 3), dtype=dtype('float32'))]
    """
    return map_structure(
        lambda leaf: Seen(leaf.shape, leaf.dtype) if isinstance(leaf, np.ndarray) else leaf, inputs
    )


def leaves_like(known: Any, given: Any) -> list[Any] | None:
    """The arrays of a structure that matches a known one, or None."""
    if isinstance(known, Seen):
        alike = isinstance(given, np.ndarray) and given.dtype.kind == known.dtype.kind
        return [given] if alike else None
    if isinstance(known, dict):
        if not isinstance(given, dict) or given.keys() != known.keys():
            return None
        pairs = [(known[key], given[key]) for key in sorted(known)]
    elif isinstance(known, list | tuple) and isinstance(given, list | tuple):
        if len(known) != len(given):
            return None
        pairs = list(zip(known, given, strict=True))
    else:
        return None
    found = [leaves_like(*pair) for pair in pairs]
    if any(each is None for each in found):
        return None
    return [leaf for each in found for leaf in each or ()]
