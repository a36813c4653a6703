"""New models from plain data in Keras' form; code in the data is never run."""

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

# The keys of a graph's configuration; others are arguments of a user's constructor.
_OF_GRAPHS = frozenset(("name", "trainable", "layers", "input_layers", "output_layers"))


def sequential_from(
    kind: Callable[..., Any],
    config: Mapping[str, Any],
    custom_objects: Mapping[str, Any] | None = None,
) -> Any:
    """A new Sequential model from what `get_config` returned."""
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
    """A new graph from what `get_config` returned; `call(layer, ...)`, if given, calls layers."""
    layers: dict[str, Layer] = {}
    waiting: list[tuple[Layer, Mapping[str, Any]]] = []
    for data in config["layers"]:
        layer = _made(data, custom_objects)
        layers[data["name"]] = layer
        waiting += [(layer, _of_call(node)) for node in data["inbound_nodes"]]
    made: dict[tuple[str, int, int], SymbolicTensor] = {}
    for name, layer in layers.items():
        # A symbolic tensor given as input replaces the layer's own.
        if isinstance(layer, InputLayer | SymbolicTensor):
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
    """The arguments of a node's call; older files list its tensors `[name, node, index, ...]`.

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
    """A layer from its configuration, or the layer that a replacing function has put there."""
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
    """Calls the layers in the order in which their inputs become available."""
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
                if not lacking[later] and later < at:  # the loop comes to the other calls
                    ready.append(later)
    if done < len(waiting):
        _refuse_lacking({name for name, *_ in after}, set(names.values()), lacking, waiting)


def _refuse_lacking(
    wanted: set[str], known: set[str], lacking: list[int], waiting: list[tuple[Layer, Any]]
) -> None:
    """Raises the reason why calls are left over: a missing layer, or a loop."""
    absent = sorted(wanted - known)
    left = sorted({layer.name for at, (layer, _) in enumerate(waiting) if lacking[at]})[:10]
    if absent:
        raise ValueError(
            f"Missing node: {absent[0]}. The configuration has calls of layers whose inputs are "
            f"never computed: {left}"
        )
    raise ValueError(
        f"The configuration has a loop: these calls of layers need each other's outputs: {left}"
    )


def _waits(
    waiting: list[tuple[Layer, Mapping[str, Any]]],
    made: Mapping[Any, SymbolicTensor],
    names: Mapping[int, str],
) -> tuple[list[int], dict[Any, list[int]]]:
    """The number of results that each call waits for, and the calls that wait for each result.

    A layer's calls keep their order, and so their numbers: each waits for the one before, whose
    end is represented by the output None.
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
    """The histories of the tensors in a call's arguments."""
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
    """Arguments of a call, with tensors, slices, arrays and tuples restored from plain data."""
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
