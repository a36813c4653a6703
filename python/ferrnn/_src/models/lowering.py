"""Models as parts of the engine, for plans, and the reasons why layers cannot be parts."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from ferrnn._src.layer.layer import Layer
from ferrnn._src.layer.operations import Operation
from ferrnn._src.layers.embedding import Embedding
from ferrnn._src.layers.input import InputLayer
from ferrnn._src.layers.masking import Masking
from ferrnn._src.layers.merge import Merge
from ferrnn._src.models.attention_parts import attends, attention
from ferrnn._src.models.expanding import code_of, expanded
from ferrnn._src.models.functions import Part
from ferrnn._src.models.graph import Graph
from ferrnn._src.models.handed_back import HandedBack
from ferrnn._src.models.masked_product import masked_product, multiplies_masked
from ferrnn._src.models.parts import WITHOUT_MASKS, gives_mask, native
from ferrnn._src.models.written_cells import runs_users_cell
from ferrnn._src.programs.settings import Kept
from ferrnn._src.symbolic.symbolic import SymbolicTensor
from ferrnn._src.training.plan_parts import End, Lowering, Node


def lowered(model: Any, plain: Collection[type]) -> Lowering:
    """The layers of a model as parts; models of the `plain` classes consist of their graph."""
    graph: Graph | None = model._graph
    exact = inlined = False
    if graph is None and model.written_with_call:
        found = code_of(model)
        if isinstance(found, str):
            return Lowering([Node(model.name, found)])
        graph, exact, inlined = found.graph, found.exact, found.inlined
    elif type(model) not in plain:
        return Lowering([Node(model.name, f"{type(model).__name__} may do more than its layers")])
    if graph is None or not model.built:
        return Lowering([Node(model.name, "it is not built yet")])
    low = Lowering(dtype=_dtype_of(graph), values=len(graph.inputs))
    if model._graph is None:
        low.watched.append(model._expanded.watched)
    low.inputs = [End(at, tensor.shape) for at, tensor in enumerate(graph.inputs)]
    for end in low.inputs:
        end.exact = exact
    reached = _lower_graph(graph, plain, low, [*range(low.values)], "")
    if low.covered:
        _note_ends(graph, low, reached)
    if inlined and low.masked:
        low.nodes.append(Node(model.name, _MASKS))
    inside = any(part[0] != "handed back" for part, *_ in low.parts)
    if not inside and all(node.back is not None or node.why is not None for node in low.nodes):
        low.nodes = [Node(node.name, node.why or node.back) for node in low.nodes]
    return low


# Why code with masks is not expanded: the outputs of a user's layer may lack that of its inputs.
_MASKS = "its code calls layers of a user on inputs with masks"


def _dtype_of(graph: Graph) -> str:
    """The dtype that a graph computes in: that of its outputs."""
    return str(graph.outputs[0].dtype)


def _note_ends(graph: Graph, low: Lowering, reached: list[int]) -> None:
    """Notes inputs and outputs, and reasons in them or in the weights against a plan."""
    seen: set[int] = set()
    for tensor, value in zip(graph.outputs, reached, strict=True):
        masked, own = value in low.masked, value
        # Each output of the engine must be a value of its own.
        if value < len(low.inputs) or value in seen:
            own = low.copy(value)
        seen.add(own)
        low.outputs.append(End(own, tensor.shape, masked=masked))
    dtypes = {str(weight.dtype) for weight in low.weights} | {low.dtype}
    dtypes |= {str(tensor.dtype) for tensor in graph.outputs}
    for at, source in enumerate(graph.inputs):
        readers = {part[0] for part, taken, *_ in low.parts if at in taken}
        if readers == {"embedding"}:
            low.inputs[at] = End(at, source.shape, ids=True)
        else:
            dtypes.add(str(source.dtype))
    if len(dtypes) > 1 or low.dtype not in ("float32", "float64"):
        low.nodes.append(
            Node(
                "dtype",
                f"all dtypes must be float32, or all float64, but they are {sorted(dtypes)}",
            )
        )
    if len({id(weight) for weight in low.weights}) < len(low.weights):
        low.nodes.append(Node("weights", "a weight is used by two layers"))
    ends = [("inputs", end.shape, end.rank) for end in low.inputs]
    for name, shape, most in (*ends, *(("outputs", end.shape, 3) for end in low.outputs)):
        if not 2 <= len(shape) <= most or shape[1:].count(None) > 1:
            low.nodes.append(Node(name, f"plans do not support their shape {tuple(shape)}"))


def _lower_graph(
    graph: Graph, plain: Collection[type], low: Lowering, sources: list[int], prefix: str
) -> list[int]:
    """Lowers the layers of a graph with the input values `sources`; returns its output values."""
    values = {id(tensor): at for tensor, at in zip(graph.inputs, sources, strict=True)}
    for step in graph.steps:
        node, layer = step.node, step.layer
        path = f"{prefix}{layer.name}"
        missing = [tensor for tensor in node.input_tensors if id(tensor) not in values]
        if missing:  # an earlier layer is not in the plan
            low.nodes.append(Node(path, "it takes the outputs of a layer that cannot be in a plan"))
            continue
        given = [values[id(tensor)] for tensor in node.input_tensors]
        if type(layer) is InputLayer:
            continue
        around = low.training
        low.training = around if node.training is None else node.training
        if type(layer) in plain and layer._graph is not None:
            inner: Graph = layer._graph
            made = _lower_graph(inner, plain, low, _of_own(inner, low, given), f"{path}/")
        else:
            made = _lower_step(graph, step, low, given, path, plain)
        low.training = around
        values |= zip(map(id, node.output_tensors), made, strict=False)
    return [values.get(id(tensor), -1) for tensor in graph.outputs]


def _of_own(inner: Graph, low: Lowering, given: list[int]) -> list[int]:
    """A nested model's input values, copied where several layers read one, to sum gradients."""
    own = []
    for at, value in enumerate(given):
        readers = sum(at in step.sources for step in inner.steps)
        alone = readers < 2 or value < len(low.inputs)
        own.append(value if alone else low.copy(value))
    return own


def _lower_step(
    graph: Graph, step: Any, low: Lowering, given: list[int], path: str, plain: Collection[type]
) -> list[int]:
    """Lowers one layer, or hands it back to Python; returns its output values."""
    makes = len(step.node.output_tensors)
    by = attention if attends(step.layer) else native
    found = (masked_product if multiplies_masked(step, low, given) else by)(step, low, given)
    if isinstance(found, int):
        low.nodes.append(Node(path))
        return [found]
    if not isinstance(found, str):
        backs = (part[1].why for part, _ in found if part[0] == "handed back")
        low.nodes.append(Node(path, None, next((why for why in backs if why), None)))
        return _added(step, low, given, found)
    why = _not_handed_back(step, low, given)
    stays = _keeps_mask(step, low, given) if why is None else why
    missing: str | None
    if isinstance(stays, str):
        back, missing, why = None, stays, _also(step.layer, found, stays)
    else:
        asks = any(value in low.wanted for value in given)
        back = HandedBack(step, graph.count, asks, low, [value in low.masked for value in given])
        missing, why = back.unwritten(), ""
        if missing is not None and back.bare:
            back, why = None, f"it takes a weight, and is no program: {missing}"
    made = None if missing is None else _lower_code(graph, step, low, given, path, plain)
    if made is not None:
        return made
    if back is None:
        low.nodes.append(Node(path, why))
        return []
    low.nodes.append(Node(path, None, missing and _handed(step.layer, found, missing)))
    sizes = [weight.size for weight in back.weights]
    low.handed_back.append(back)
    value = low.add(("handed back", back, sizes, stays, makes), given, back.weights, makes)
    if stays:
        low.mask_as(given[0], value)
    return [*range(value, value + makes)]


def _added(step: Any, low: Lowering, given: list[int], parts: list[Part]) -> list[int]:
    """Adds the parts of a layer, one behind the other; returns its output values."""
    makes, layer = len(step.node.output_tensors), step.layer
    value, taken = given[0], given
    for part, weights in parts:
        value = low.add(part, taken, weights, makes)
        taken = [value]
    masks = [low.masked.get(value) for value in given]
    if any(mask is not None for mask in masks) and not layer.supports_masking:
        layer.compute_mask(None, True)  # warns that the mask is dropped
    if parts and gives_mask(layer, masks):
        begins = type(layer) in (Embedding, Masking) or len({*masks}) > 1
        low.masked[value] = value if begins else low.masked[given[0]]
    return [*range(value, value + makes)]


def _handed(layer: Any, found: str, missing: str) -> str:
    """Why a layer is handed back: it is no part of the engine, and no program."""
    if isinstance(layer, Operation):
        return f"programs of the engine do not have {missing}"
    if runs_users_cell(layer):
        return f"its cell {type(layer.cell).__name__} is a user's, with {missing}"
    return f"{found}, and its code has {missing}" if layer.written_with_call else found


def _also(layer: Any, found: str, why: str) -> str:
    """Why a layer cannot be in a plan at all; operations are never parts of the engine."""
    return why if isinstance(layer, Operation) else f"{found}, and {why}"


def _lower_code(
    graph: Graph, step: Any, low: Lowering, given: list[int], path: str, plain: Collection[type]
) -> list[int] | None:
    """Lowers the layers that the code of a user's layer calls; None if that is not all it does."""
    if not step.layer.written_with_call:
        return None
    if step.layer.supports_masking and any(value in low.masked for value in given):
        return None  # its outputs would have to get the mask that its code does not see
    kept = graph.expanded.get(id(step))
    if kept is None or not kept.holds():
        found = expanded(step.layer, step.node.inputs)
        kept = graph.expanded[id(step)] = Kept(step.layer, found)
    found = kept.found
    if isinstance(found, str):
        return None
    if len(found.graph.outputs) != len(step.node.output_tensors):
        return None
    before = low.copied()
    given = [low.unmasked(*pair) for pair in zip(given, step.node.input_tensors, strict=True)]
    masks = len(low.masked)
    made = _lower_graph(found.graph, plain, low, _of_own(found.graph, low, given), f"{path}/")
    new = low.nodes[len(before.nodes) :]
    # Two parts must not share only some of their weights.
    apart = len({*map(id, low.weights)}) == len(low.weights)
    # Code with weights of its own runs in the engine as a whole, or in Python as a whole.
    bare = any(back.bare for back in low.handed_back[len(before.handed_back) :])
    apart = apart and not (bare and any(node.back is not None for node in new))
    if apart and all(node.why is None for node in new) and len(low.masked) == masks:
        low.watched.append(kept.watched)
        for back in low.handed_back[len(before.handed_back) :]:
            back.is_inside(step.layer)
        return made
    low.take_back(before)
    return None


def _not_handed_back(step: Any, low: Lowering, given: list[int]) -> str | None:
    """The reason why a layer cannot be called from the engine, or None if it can."""
    node, layer = step.node, step.layer
    if node.mask is not None or not layer.built:
        return "it is called with a mask, or not built yet"
    tensors = [*node.input_tensors, *node.output_tensors]
    wrong = [str(tensor.dtype) for tensor in tensors if str(tensor.dtype) != low.dtype]
    if wrong:
        return f"an input or output of it is {wrong[0]}, while the model computes in {low.dtype}"
    shapes = [tensor.shape for tensor in tensors]
    unknown = [shape for shape in shapes if len(shape) < 2 or shape[0] != shapes[0][0]]
    unknown += [shape for shape in shapes if len(shape) != 3 and shape[1:].count(None) > 1]
    if unknown:
        return f"too many lengths of the shape {unknown[0]} are unknown"
    return None


_NEW_MASK = "it computes a new mask from that of its inputs"


def _keeps_mask(step: Any, low: Lowering, given: list[int]) -> bool | str:
    """Whether the first output has the mask of the first input, or the reason why that is open."""
    layer, masked = step.layer, [value in low.masked for value in given]
    if not any(masked) or type(layer) in WITHOUT_MASKS or isinstance(layer, Operation):
        return False
    if not layer.supports_masking and type(layer).compute_mask is Layer.compute_mask:
        layer.compute_mask(None, True)  # warns that the mask is dropped
        return False
    if all(masked) and getattr(type(layer), "compute_mask", None) is Merge.compute_mask:
        # They meet in a new one, unless they are one.
        return _NEW_MASK if len({low.masked[value] for value in given}) > 1 else True
    masks = [SymbolicTensor((None, None), "bool") if each else None for each in masked]
    main = layer.main_input(step.node.inputs)
    try:
        made = layer.compute_mask(main, masks[0] if isinstance(main, SymbolicTensor) else masks)
    except Exception:  # noqa: BLE001 - where it computes one from numbers
        return _NEW_MASK
    first, *more = made if isinstance(made, list | tuple) else [made]
    single = len(step.node.output_tensors) == 1  # which has the first of several masks
    other = first is not None and first is not masks[0]
    if other or (not single and any(each is not None for each in more)):
        return _NEW_MASK
    return first is not None
