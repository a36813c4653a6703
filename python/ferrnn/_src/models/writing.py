"""Models as plain data in Keras' form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ferrnn._src.configs.plain import array_data
from ferrnn._src.symbolic.symbolic import Node, SymbolicTensor
from ferrnn._src.tree.tree import map_structure


def sequential_config(model: Any) -> dict[str, Any]:
    """The result of `Sequential.get_config`: the layers in order, after the `Input` if known."""
    inputs = model._input
    known = isinstance(inputs, SymbolicTensor) and inputs.node is not None
    layers = [inputs.node.layer.as_data()] if known else []
    config: dict[str, Any] = {
        "name": model.name,
        "trainable": model.trainable,
        "dtype": model.dtype,
        "layers": [*layers, *(layer.as_data() for layer in model.layers)],
    }
    if model.built:
        config["build_input_shape"] = model.input_shape
    return config


def functional_config(model: Any) -> dict[str, Any]:
    """The result of `get_config` of a graph: the layers, each with the calls that connect it."""
    graph = model._require_graph("get_config")
    places = _places(graph.nodes)
    layers = []
    for layer in graph.operations:
        data = layer.as_data()
        nodes = [node for node in layer._inbound_nodes if node in places and node.input_tensors]
        data["name"] = layer.name
        data["inbound_nodes"] = [_serialized_node(node, places) for node in nodes]
        layers.append(data)

    def end(tensor: SymbolicTensor) -> list[Any]:
        name, call, output = _history(tensor, places)
        assert tensor.node is not None
        return [name, call + first_call(tensor.node.layer), output]

    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": layers,
        "input_layers": map_structure(end, model.input),
        "output_layers": map_structure(end, model.output),
    }


def first_call(layer: Any) -> int:
    """The number of a layer's first call in lists of a model's inputs and outputs.

    Only there, Keras counts the making of a functional model as a call.
    """
    return int(getattr(layer, "_graph", None) is not None and not hasattr(layer, "add"))


def _places(nodes: list[Node]) -> dict[Node, int]:
    """The number of each node among those of its layer that belong to the graph."""
    members = set(nodes)
    found: dict[Node, int] = {}
    for layer in dict.fromkeys(node.layer for node in nodes):
        own = [node for node in layer._inbound_nodes if node in members]
        found.update({node: place for place, node in enumerate(own)})
    return found


def _history(tensor: SymbolicTensor, places: Mapping[Node, int]) -> list[Any]:
    assert tensor.node is not None
    return [tensor.node.layer.name, places[tensor.node], tensor.index]


def _serialized_node(node: Node, places: Mapping[Node, int]) -> dict[str, Any]:
    def write(leaf: Any) -> Any:
        if isinstance(leaf, SymbolicTensor):
            config = {
                "shape": list(leaf.shape),
                "dtype": leaf.dtype,
                "keras_history": _history(leaf, places),
            }
            return {"class_name": "__keras_tensor__", "config": config}
        if isinstance(leaf, slice):
            config = {"start": leaf.start, "stop": leaf.stop, "step": leaf.step}
            return {"class_name": "__slice__", "config": config}
        if leaf is ...:
            return {"class_name": "__ellipsis__", "config": {}}
        if isinstance(leaf, np.ndarray | np.generic):
            return array_data(np.asarray(leaf))
        if leaf is None or isinstance(leaf, bool | int | float | str):
            return leaf
        raise NotImplementedError(
            f"the argument {leaf!r} of a call of {node.layer.name!r} cannot be written to a "
            "configuration"
        )

    args = [map_structure(write, _as_list(argument)) for argument in node.args]
    kwargs = {key: map_structure(write, _as_list(value)) for key, value in node.kwargs.items()}
    if node.training is not None:
        kwargs["training"] = node.training
    if node.mask is not None:
        kwargs["mask"] = map_structure(write, node.mask)
    return {"args": args, "kwargs": kwargs}


def _as_list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
