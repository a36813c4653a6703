"""New models from plain data in Keras' form; no code is run that is not there already."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ferrnn._src.configs.plain import array_of
from ferrnn._src.layer.layer import Layer
from ferrnn._src.layer.serialization import layer_from
from ferrnn._src.layers.input import InputLayer
from ferrnn._src.symbolic.symbolic import SymbolicTensor
from ferrnn._src.tree.tree import flatten


def sequential_from(
    kind: Callable[..., Any],
    config: Mapping[str, Any],
    custom_objects: Mapping[str, Any] | None = None,
) -> Any:
    """A new Sequential model of what `get_config` gave."""
    model = kind(name=config.get("name"))
    for data in config["layers"]:
        model.add(_made(data, custom_objects), rebuild=False)
    model._rebuild()
    shape = config.get("build_input_shape")
    if not model.built and model.layers and shape and isinstance(shape, list | tuple):
        model.build(tuple(shape))
    if not config.get("trainable", True):
        model.trainable = False
    return model


def functional_from(
    kind: Callable[..., Any],
    config: Mapping[str, Any],
    custom_objects: Mapping[str, Any] | None = None,
    call: Callable[..., Any] | None = None,
) -> Any:
    """A new graph of what `get_config` gave; `call(layer, ...)`, if given, calls the layers."""
    layers: dict[str, Layer] = {}
    waiting: list[tuple[Layer, Mapping[str, Any]]] = []
    for data in config["layers"]:
        layer = _made(data, custom_objects)
        layers[data["name"]] = layer
        waiting += [(layer, node) for node in data["inbound_nodes"]]
    made: dict[tuple[str, int, int], SymbolicTensor] = {}
    for name, layer in layers.items():
        if isinstance(layer, InputLayer | SymbolicTensor):  # a tensor stands for its own input
            made[name, 0, 0] = layer.output if isinstance(layer, InputLayer) else layer
    names = {id(layer): name for name, layer in layers.items()}
    _connect(waiting, made, names, call)

    def end(entry: Any) -> Any:
        if isinstance(entry, Mapping):
            return {key: end(value) for key, value in entry.items()}
        if isinstance(entry[0], str):
            return made[entry[0], entry[1], entry[2]]
        return [end(part) for part in entry]

    model = kind(
        inputs=end(config["input_layers"]),
        outputs=end(config["output_layers"]),
        name=config.get("name"),
    )
    if not config.get("trainable", True):
        model.trainable = False
    return model


def _made(data: Mapping[str, Any], custom_objects: Mapping[str, Any] | None) -> Layer:
    """A layer of its configuration, or what a function that replaces layers has put there."""
    return data["made"] if "made" in data else layer_from(data, custom_objects)


def _connect(
    waiting: list[tuple[Layer, Mapping[str, Any]]],
    made: dict[tuple[str, int, int], SymbolicTensor],
    names: Mapping[int, str],
    call: Callable[..., Any] | None,
) -> None:
    """Calls the layers as the nodes say, each when what it needs is there."""
    counts: dict[int, int] = {}
    while waiting:
        left = []
        blocked: set[int] = set()
        for layer, node in waiting:
            wanted = [tuple(each) for each in _histories(node)]
            if id(layer) in blocked or not all(each in made for each in wanted):
                blocked.add(id(layer))  # a layer's calls keep their order, and so their numbers
                left.append((layer, node))
                continue
            args, kwargs = _read(node["args"], made), _read(node["kwargs"], made)
            kwargs = {key: value for key, value in kwargs.items() if value is not None}
            place = counts.get(id(layer), 0)
            counts[id(layer)] = place + 1
            outputs = layer(*args, **kwargs) if call is None else call(layer, *args, **kwargs)
            for index, tensor in enumerate(flatten(outputs)):
                made[names[id(layer)], place, index] = tensor
        if len(left) == len(waiting):
            raise ValueError(
                "the configuration has calls of layers whose inputs nothing makes: "
                f"{sorted({names[id(layer)] for layer, _ in left})}"
            )
        waiting = left


def _histories(value: Any) -> list[Any]:
    if isinstance(value, Mapping):
        if value.get("class_name") == "__keras_tensor__":
            return [value["config"]["keras_history"]]
        return [found for part in value.values() for found in _histories(part)]
    if isinstance(value, list | tuple):
        return [found for part in value for found in _histories(part)]
    return []


def _read(value: Any, made: Mapping[tuple[str, int, int], SymbolicTensor]) -> Any:
    """Arguments of a call: tensors, slices, arrays and tuples from what stands for them."""
    if isinstance(value, list | tuple):
        return [_read(part, made) for part in value]
    if not isinstance(value, Mapping):
        return value
    read = _READERS.get(str(value.get("class_name")))
    if read is None:
        return {key: _read(part, made) for key, part in value.items()}
    return read(value, made)


def _read_tensor(value: Mapping[str, Any], made: Any) -> Any:
    layer, node, index = value["config"]["keras_history"]
    return made[layer, node, index]


def _read_slice(value: Mapping[str, Any], made: Any) -> Any:
    config = value["config"]
    return slice(config["start"], config["stop"], config["step"])


def _read_array(value: Mapping[str, Any], made: Any) -> Any:
    return array_of(value["config"])


def _read_tuple(value: Mapping[str, Any], made: Any) -> Any:
    return tuple(_read(part, made) for part in value["items"])


_READERS: dict[str, Callable[[Mapping[str, Any], Any], Any]] = {
    "__keras_tensor__": _read_tensor,
    "__slice__": _read_slice,
    "__numpy__": _read_array,
    "__tuple__": _read_tuple,
}
