"""The order of nodes in a graph, and copies of a part of a graph with new inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ferrnn._src.layers.input import InputLayer
from ferrnn._src.symbolic.symbolic import Node, SymbolicTensor
from ferrnn._src.tree.structures import flatten_with_path
from ferrnn._src.tree.tree import flatten, map_structure


def is_input(tensor: SymbolicTensor) -> bool:
    """Whether the tensor is the output of an `InputLayer`."""
    return tensor.node is not None and isinstance(tensor.node.layer, InputLayer)


def ordered_nodes(
    inputs: Sequence[SymbolicTensor], outputs: Sequence[SymbolicTensor]
) -> list[Node]:
    """The nodes that compute the outputs, each after those that it needs, in Keras' order.

    Nodes further from the outputs come first; at equal distance, those met first on the way from
    the outputs. The nodes of inputs are included.
    """
    given = [tensor.node for tensor in inputs if tensor.node is not None]
    found, met = _needed(outputs)
    missing = [node for node in given if node not in met]
    met.update(dict.fromkeys(missing, -1))
    depth = _depths(found)
    depth.update(dict.fromkeys(missing, 0))
    return sorted([*found, *missing], key=lambda node: (-depth[node], met[node]))


def check_connected(inputs: Any, outputs: Any) -> None:
    """Raises ValueError for outputs that need an input which is not among `inputs`."""
    given = {tensor.node for tensor in flatten(inputs)}
    if all(node.input_tensors or node in given for node in _needed(flatten(outputs))[0]):
        return
    for path, tensor in flatten_with_path(outputs):
        for node in _needed([tensor])[0]:
            if not node.input_tensors and node not in given:
                place = f"Output with path `{'.'.join(map(str, path))}`" if path else "The output"
                raise ValueError(
                    f"{place} is not connected to `inputs`: the input {node.layer.name!r} is "
                    "needed to compute it, but `inputs` are "
                    f"{[each.name for each in flatten(inputs)]}"
                )


def _needed(outputs: Sequence[SymbolicTensor]) -> tuple[list[Node], dict[Node, int]]:
    """The nodes that the outputs need, each after those it needs, and when each layer is met."""
    order: list[Node] = []
    met: dict[Node, int] = {}
    layers: dict[int, int] = {}
    # An explicit stack, as a model of many layers would exceed Python's recursion limit.
    stack = [(node, False) for tensor in reversed(outputs) if (node := tensor.node) is not None]
    done: set[Node] = set()
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif node not in done:
            done.add(node)
            met[node] = layers.setdefault(id(node.layer), len(layers))
            stack.append((node, True))
            stack += [(parent, False) for parent in reversed(node.parents)]
    return order, met


def _depths(order: list[Node]) -> dict[Node, int]:
    """The longest way from each node to the outputs; one layer's nodes count as the furthest."""
    depth: dict[Node, int] = {}
    of_layer: dict[int, int] = {}
    for node in reversed(order):
        own = max(depth.get(node, 0), of_layer.get(id(node.layer), 0))
        depth[node] = of_layer[id(node.layer)] = own
        for parent in node.parents:
            depth[parent] = max(depth.get(parent, 0), own + 1)
    return depth


def cut_out(inputs: Any, outputs: Any) -> tuple[Any, Any]:
    """Inputs and outputs of a copy of the nodes between them; the layers are the same ones.

    Each input gets an `InputLayer`, unless it is the output of one.
    """
    if all(is_input(tensor) for tensor in flatten(inputs)):
        return inputs, outputs
    replaced: dict[int, SymbolicTensor] = {}

    def placeholder(tensor: SymbolicTensor) -> SymbolicTensor:
        if not is_input(tensor):
            made = InputLayer(
                batch_shape=tensor.shape, dtype=tensor.dtype, name=f"{tensor.name}CLONE"
            )
            replaced[id(tensor)] = made.output
            return replaced[id(tensor)]
        return tensor

    fresh = map_structure(placeholder, inputs)
    for node in _between(replaced, flatten(outputs)):
        _copy(node, replaced)
    return fresh, map_structure(lambda tensor: replaced.get(id(tensor), tensor), outputs)


def _between(replaced: dict[int, SymbolicTensor], outputs: list[SymbolicTensor]) -> list[Node]:
    """The nodes between the replaced tensors and the outputs, each after those it needs."""
    order: list[Node] = []
    done: set[Node] = set()
    stack = [(tensor.node, False) for tensor in outputs if id(tensor) not in replaced]
    while stack:
        node, ready = stack.pop()
        assert node is not None
        if ready:
            order.append(node)
        elif node not in done:
            done.add(node)
            stack.append((node, True))
            needed = [tensor for tensor in node.input_tensors if id(tensor) not in replaced]
            stack += [(tensor.node, False) for tensor in needed]
    return order


def _copy(node: Node, replaced: dict[int, SymbolicTensor]) -> None:
    """A copy of the node on the replaced tensors, whose outputs replace the node's."""

    def swap(leaf: Any) -> Any:
        return replaced.get(id(leaf), leaf)

    if not any(id(tensor) in replaced for tensor in node.input_tensors):
        return
    copied = Node(
        node.layer,
        map_structure(swap, node.args),
        map_structure(swap, node.kwargs),
        map_structure(swap, node.inputs),
        training=node.training,
        mask=map_structure(swap, node.mask),
    )

    def fresh(tensor: Any) -> Any:
        made = SymbolicTensor(tensor.shape, tensor.dtype, node=copied, index=tensor.index)
        replaced[id(tensor)] = made
        return made

    copied.outputs = map_structure(fresh, node.outputs)
    node.layer._inbound_nodes.append(copied)
