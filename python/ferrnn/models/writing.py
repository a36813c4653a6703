"""Models as plain data in Keras' form."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np

from ferrnn.core import operations
from ferrnn.core.custom_objects import registered_name
from ferrnn.core.layer import Layer
from ferrnn.core.operations import Operation
from ferrnn.core.serialization import serialized
from ferrnn.core.symbolic import Node, SymbolicTensor
from ferrnn.core.tree import map_structure

_MODULES = {"Functional": "keras.src.models.functional", "Sequential": "keras"}


def serialize_layer(layer: Layer) -> dict[str, Any]:
    """A layer or model as Keras writes it, with the shape that it was built for.

    >>> from ferrnn.layers import Dense
    >>> serialize_layer(Dense(2))["module"]
    'keras.layers'
    """
    kind = type(layer)
    own = not kind.__module__.startswith("ferrnn.")
    if isinstance(layer, Operation):
        return _operation(layer)
    data: dict[str, Any] = dict(serialized(layer))
    if own:
        data["registered_name"] = registered_name(kind)
    elif kind.__name__ in _MODULES:
        data["module"] = _MODULES[kind.__name__]
        data["registered_name"] = "Functional" if kind.__name__ == "Functional" else None
    data["config"] = _with_policies(data["config"])
    shape = _build_shape(layer)
    if shape is not None or kind.__name__ == "Functional":
        data["build_config"] = _build_config(layer, shape)
    if hasattr(layer, "outputs_and_mask"):
        data["compile_config"] = {}
    return data


def _operation(layer: Operation) -> dict[str, Any]:
    kind = type(layer)
    if kind.__name__ not in operations.known:
        raise NotImplementedError(
            f"the operation {layer.name!r} ({kind.__name__}) in the model cannot be written to a "
            "configuration: put it into a layer of your own that has a name"
        )
    return {
        "module": kind.keras_module,
        "class_name": kind.__name__,
        "config": layer.get_config(),
        "registered_name": kind.__name__,
    }


def _build_config(layer: Layer, shape: Any) -> dict[str, Any]:
    """The shapes that `build` was given: by the names of its arguments if it has several."""
    names = [*inspect.signature(layer.build).parameters]
    if len(names) > 1 and isinstance(shape, list):
        return {"shapes_dict": dict(zip(names, shape, strict=False))}
    return {"input_shape": shape}


def _build_shape(layer: Layer) -> Any:
    shape = getattr(layer, "build_shape", None)
    if hasattr(layer, "add") and layer.built:  # a Sequential model
        shape = getattr(layer, "input_shape", None)
    return None if shape is None else map_structure(lambda leaf: leaf, shape)


def _with_policies(config: Any) -> Any:
    """The configuration with dtypes as policies, as Keras writes them for all but inputs."""
    if isinstance(config, Mapping):
        if str(config.get("module", "")).startswith("keras.src.ops."):
            return config  # the dtype of a cast is a name
        made = {key: _with_policies(value) for key, value in config.items()}
        if isinstance(config.get("dtype"), str) and "name" in config and "sparse" not in config:
            made["dtype"] = _policy(config["dtype"])
        return made
    if isinstance(config, list | tuple):
        return [_with_policies(part) for part in config]
    return config


def _policy(dtype: str) -> dict[str, Any]:
    return {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": {"name": dtype},
        "registered_name": None,
    }


def sequential_config(model: Any) -> dict[str, Any]:
    """What `Sequential.get_config` gives: the layers in order, the `Input` first if known."""
    inputs = model._input
    layers = [] if inputs is None or inputs.node is None else [serialize_layer(inputs.node.layer)]
    config: dict[str, Any] = {
        "name": model.name,
        "trainable": model.trainable,
        "dtype": model.dtype,
        "layers": [*layers, *(serialize_layer(layer) for layer in model.layers)],
    }
    if model.built:
        config["build_input_shape"] = model.input_shape
    return config


def functional_config(model: Any) -> dict[str, Any]:
    """What `get_config` of a graph gives: the layers, and for each the calls that connect it."""
    graph = model._require_graph("get_config")
    places = _places(graph.nodes)
    layers = []
    for layer in graph.operations:
        data = serialize_layer(layer)
        nodes = [node for node in layer._inbound_nodes if node in places and node.input_tensors]
        data["name"] = layer.name
        data["inbound_nodes"] = [_serialized_node(node, places) for node in nodes]
        layers.append(data)

    def end(tensor: SymbolicTensor) -> list[Any]:
        return _history(tensor, places)

    return {
        "name": model.name,
        "trainable": model.trainable,
        "layers": layers,
        "input_layers": map_structure(end, model.input),
        "output_layers": map_structure(end, model.output),
    }


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
        if isinstance(leaf, np.ndarray | np.generic):
            config = {"value": leaf.tolist(), "dtype": leaf.dtype.name}
            return {"class_name": "__numpy__", "config": config}
        if leaf is None or isinstance(leaf, bool | int | float | str):
            return leaf
        raise NotImplementedError(
            f"the argument {leaf!r} of a call of {node.layer.name!r} cannot be written down"
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
