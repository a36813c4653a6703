"""New models from plain data in Keras' form; no code is run that is not there already."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ferrnn._src.configs.objects import revived
from ferrnn._src.configs.plain import array_of
from ferrnn._src.files.errors import within
from ferrnn._src.layer.layer import Layer
from ferrnn._src.layer.serialization import layer_from
from ferrnn._src.layers.input import InputLayer
from ferrnn._src.models.writing import first_call
from ferrnn._src.symbolic.symbolic import SymbolicTensor
from ferrnn._src.tree.tree import flatten

# What a graph's configuration says; the rest is for the constructor of a class of the user's.
_OF_GRAPHS = frozenset(("name", "trainable", "layers", "input_layers", "output_layers"))


def sequential_from(
    kind: Callable[..., Any],
    config: Mapping[str, Any],
    custom_objects: Mapping[str, Any] | None = None,
) -> Any:
    """A new Sequential model of what `get_config` gave."""
    if "name" not in config or "layers" not in config:
        raise ValueError(
            "A Sequential model configuration must be a dictionary containing the 'name' and "
            f"'layers' keys. Received: {sorted(map(str, config))}"
        )
    model = kind(name=config.get("name"))
    for data in config["layers"]:
        model.add(_made(data, custom_objects), rebuild=False)
    model._rebuild()
    shape = config.get("build_input_shape")
    if not model.built and model.layers and shape and isinstance(shape, list | tuple | Mapping):
        model.build(shape)
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
        waiting += [(layer, _of_call(node)) for node in data["inbound_nodes"]]
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
            name, number, output = entry
            return made[name, number - first_call(layers[name]), output]
        parts = [end(part) for part in entry]
        if hasattr(entry, "_fields"):
            return type(entry)(*parts)
        return tuple(parts) if isinstance(entry, tuple) else parts

    model = kind(
        inputs=end(config["input_layers"]),
        outputs=end(config["output_layers"]),
        name=config.get("name"),
        **{key: revived(value) for key, value in config.items() if key not in _OF_GRAPHS},
    )
    if not config.get("trainable", True):
        model.trainable = False
    return model


def _of_call(node: Any) -> Mapping[str, Any]:
    """A node as the arguments of its call; older files list its tensors `[name, node, index, ...]`.

    >>> _of_call([["dense", 0, 0, {}]])["args"]
    [{'class_name': '__keras_tensor__', 'config': {'keras_history': ['dense', 0, 0]}}]
    """
    if isinstance(node, Mapping):
        return node
    marks = [
        {"class_name": "__keras_tensor__", "config": {"keras_history": list(part[:3])}}
        for part in node
    ]
    kwargs = node[0][3] if node and len(node[0]) > 3 else {}
    return {"args": [marks[0] if len(marks) == 1 else marks], "kwargs": kwargs}


def _made(data: Mapping[str, Any], custom_objects: Mapping[str, Any] | None) -> Layer:
    """A layer of its configuration, or what a function that replaces layers has put there."""
    if "made" not in data and "config" not in data:
        raise ValueError(
            "Expected a dictionary containing a 'config' key. Received the configuration of a "
            f"layer: {dict(data)!r}"
        )
    return data["made"] if "made" in data else layer_from(data, custom_objects)


def _connect(
    waiting: list[tuple[Layer, Mapping[str, Any]]],
    made: dict[tuple[str, int, int], SymbolicTensor],
    names: Mapping[int, str],
    call: Callable[..., Any] | None,
) -> None:
    """Calls the layers as the nodes say, each when what it needs is there."""
    lacking, after = _waits(waiting, made, names)
    called: dict[int, int] = {}
    done = 0
    for at in range(len(waiting)):
        ready = [at] if not lacking[at] else []
        while ready:
            layer, node = waiting[ready.pop()]
            place = called.get(id(layer), 0)
            called[id(layer)] = place + 1
            done += 1
            with within(f"call {place} of {names[id(layer)]!r}"):
                outputs = _call(layer, node, made, call)
            own = names[id(layer)], place
            fresh = {(*own, index): tensor for index, tensor in enumerate(flatten(outputs))}
            made.update(fresh)
            for later in (later for key in [(*own, None), *fresh] for later in after.pop(key, ())):
                lacking[later] -= 1
                if not lacking[later] and later < at:  # the loop meets the others
                    ready.append(later)
    if done < len(waiting):
        _refuse_lacking({name for name, *_ in after}, set(names.values()), lacking, waiting)


def _refuse_lacking(
    wanted: set[str], known: set[str], lacking: list[int], waiting: list[tuple[Layer, Any]]
) -> None:
    """Says why calls are left over: a layer that is not there, or calls that wait in a circle."""
    absent = sorted(wanted - known)
    left = sorted({layer.name for at, (layer, _) in enumerate(waiting) if lacking[at]})[:10]
    if absent:
        raise ValueError(
            f"Missing node: {absent[0]}. The configuration has calls of layers whose inputs "
            f"nothing makes: {left}"
        )
    raise ValueError(
        "The configuration has a loop: calls of layers whose inputs nothing makes, since they wait "
        f"for each other: {left}"
    )


def _waits(
    waiting: list[tuple[Layer, Mapping[str, Any]]],
    made: Mapping[Any, SymbolicTensor],
    names: Mapping[int, str],
) -> tuple[list[int], dict[Any, list[int]]]:
    """How many results each call waits for, and the calls that wait for each.

    A layer's calls keep their order, and so their numbers: each waits for the end of the one
    before, which stands for an output None.
    """
    counts: dict[int, int] = {}
    lacking: list[int] = []
    after: dict[Any, list[int]] = {}
    for at, (layer, node) in enumerate(waiting):
        place = counts.get(id(layer), 0)
        counts[id(layer)] = place + 1
        wanted: set[Any] = {tuple(each) for each in _histories(node)}.difference(made)
        if place:
            wanted.add((names[id(layer)], place - 1, None))
        lacking.append(len(wanted))
        for each in wanted:
            after.setdefault(each, []).append(at)
    return lacking, after


def _call(layer: Layer, node: Mapping[str, Any], made: Any, call: Any) -> Any:
    args, kwargs = _read(node["args"], made), _read(node["kwargs"], made)
    kwargs = {key: value for key, value in kwargs.items() if value is not None}
    return layer(*args, **kwargs) if call is None else call(layer, *args, **kwargs)


def _histories(value: Any) -> Iterator[Any]:
    """The places of the tensors in a call's arguments."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Mapping) and part.get("class_name") == "__keras_tensor__":
            yield part["config"]["keras_history"]
        elif isinstance(part, Mapping):
            waiting += part.values()
        elif isinstance(part, list | tuple):
            waiting += part


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
    "__ellipsis__": lambda value, made: ...,
    "__numpy__": _read_array,
    "__tuple__": _read_tuple,
}
