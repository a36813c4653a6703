"""The layers of old models and their connections, in the form of Keras 3."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from ferrnn._src.files.errors import within
from ferrnn._src.interop.keras.operations import KINDS, operation

Config: TypeAlias = dict[str, Any]
Read: TypeAlias = Callable[[Any], Any]

_MODELS = ("Model", "Functional", "Sequential")
# Layers whose initial states were additional inputs.
_RECURRENT = frozenset({
    "Bidirectional", "ConvLSTM1D", "CuDNNGRU", "CuDNNLSTM", "GRU", "LSTM", "RNN", "SimpleRNN",
})  # fmt: skip
# Today's layers for the modes of Keras 1's `Merge`.
_MERGES = {
    "sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum", "concat": "Concatenate",
    "dot": "Dot", "cos": "Dot",
}  # fmt: skip


def sequential(config: Any, read: Read, *, keras1: bool) -> tuple[str, Config]:
    """A Sequential model: its class and configuration.

    Up to Keras 2.2.2 the configuration was just the list of layers. A shape in the first layer
    becomes an `InputLayer`; a model that begins with `Merge` becomes a graph.
    """
    config = {"layers": config} if isinstance(config, list) else config
    layers = list(config["layers"])
    if layers and layers[0]["class_name"] == "Merge":
        return merged_branches(config, read)
    first = _first_input(layers)
    if first is not None:
        layers.insert(0, first)
    kept = ("name", "trainable", "build_input_shape")
    made = {key: config[key] for key in kept if config.get(key) is not None}
    chain = [part for layer in layers for part in _batch_first(layer)]
    return "Sequential", {"name": None, **made, "layers": [read(part) for part in chain]}


def _batch_first(layer: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """A layer that takes `[time, batch, features]` as one between two transpositions."""
    config = layer["config"]
    if not isinstance(config, dict) or not config.get("time_major"):
        return [layer]
    turned = {**layer, "config": {**config, "time_major": False}}
    before = _transposition(f"{config['name']}_batch_first")
    after = [_transposition(f"{config['name']}_time_first")] if config["return_sequences"] else []
    return [before, turned, *after]


def _transposition(name: str) -> Config:
    return {
        "module": "keras.src.ops.numpy",
        "class_name": "Transpose",
        "config": {"name": name, "axes": [1, 0, 2]},
    }


def _first_input(layers: Sequence[Mapping[str, Any]]) -> Config | None:
    """The `InputLayer` for the shape in the first layer."""
    if not layers or layers[0]["class_name"] == "InputLayer":
        return None
    if layers[0]["class_name"] in _MODELS:
        return None
    config = layers[0]["config"]
    shape = config.get("batch_input_shape")
    if shape is None:
        return None
    dtype = config.get("input_dtype") or config.get("dtype", "float32")
    return {
        "class_name": "InputLayer",
        "config": {
            "batch_input_shape": shape,
            "dtype": dtype if isinstance(dtype, str) else "float32",
            "name": f"{config['name']}_input",
        },
    }


def functional(config: Mapping[str, Any], read: Read, *, keras1: bool) -> tuple[str, Config]:
    """A functional model, whose calls were lists of tensors' places."""
    if "layers" not in config:  # a subclass of `Model`
        raise ValueError(
            "the model must be Sequential or functional, as a subclassed model has no "
            "configuration of its layers"
        )
    graph = _Graph(config)
    made = []
    for written in config["layers"]:
        layer = _own_merge(written) if keras1 else written
        if layer["class_name"] in KINDS:
            with within(f"the {layer['class_name']} {layer['name']!r}"):
                calls = [graph.node(each, "") for each in layer["inbound_nodes"]]
                data = operation(layer["name"], layer["config"], calls)
                made.append({**data, "name": layer["name"]})
            continue
        data = read({**layer, "config": {"name": layer["name"], **_dict(layer["config"])}})
        nodes = [graph.node(each, layer["class_name"]) for each in layer["inbound_nodes"]]
        made.append({**data, "name": layer["name"], "inbound_nodes": nodes})
    kept = {key: config[key] for key in ("name", "trainable") if config.get(key) is not None}
    places = {key: graph.ends(config[key]) for key in ("input_layers", "output_layers")}
    return "Functional", {**kept, "layers": made, **places}


class _Graph:
    """The places of tensors in one model: layer, index of the call, index of the output."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        lists = any(isinstance(node, list) for node in _nodes(config))
        # As Keras 3 writes it if not: the numbers at the ends are not those of calls.
        self._skipped = _skipped(config) if lists else {}
        self._first = {
            each["name"]: int(lists and each["class_name"] in ("Functional", "Model"))
            for each in config["layers"]
        }
        self._names = {layer["name"] for layer in config["layers"]}

    def _place(self, entry: Sequence[Any]) -> list[Any]:
        name, call, output = entry[:3]
        return [name, call - self._skipped.get(name, 0), output]

    def _tensor(self, entry: Sequence[Any]) -> Config:
        history = {"keras_history": self._place(entry)}
        return {"class_name": "__keras_tensor__", "config": history}

    def _value(self, given: Any) -> Any:
        if _is_place(given, self._names):
            return self._tensor(given)
        return [self._value(part) for part in given] if isinstance(given, list) else given

    def node(self, entries: Any, kind: str) -> Config:
        """The arguments of one call of a layer of a class."""
        if isinstance(entries, Mapping):  # as Keras 3 writes it
            return dict(entries)
        entries = [entries] if entries and isinstance(entries[0], str) else entries
        inputs: list[Any] = []
        given: Config = {}
        for entry in entries:
            given.update(entry[3] if len(entry) > 3 else {})
            inputs.append(entry[2] if entry[0] == "_CONSTANT_VALUE" else self._tensor(entry))
        kwargs = {key: self._value(part) for key, part in given.items() if key != "name"}
        if kind in _RECURRENT and len(inputs) > 1:
            return {"args": inputs[:1], "kwargs": {**kwargs, "initial_state": inputs[1:]}}
        return {"args": inputs if len(inputs) == 1 else [inputs], "kwargs": kwargs}

    def ends(self, entries: Any) -> Any:
        """The inputs or outputs of the model; a single one is not in a list."""
        if isinstance(entries, Mapping):
            return {key: self.ends(part) for key, part in entries.items()}
        if entries and isinstance(entries[0], str):
            name, call, output = self._place(entries)
            return [name, call + self._first[name], output]
        made = [self.ends(part) for part in entries]
        return made[0] if len(made) == 1 else made


def _dict(config: Any) -> Config:
    """The configuration of a layer as a dict; that of a Sequential model may be a list."""
    return {"layers": config} if isinstance(config, list) else config


def _is_place(given: Any, names: set[str]) -> bool:
    return (
        isinstance(given, list)
        and len(given) in (3, 4)
        and isinstance(given[0], str)
        and given[0] in names
        and all(isinstance(number, int) for number in given[1:3])
    )


def _places(value: Any, names: set[str]) -> Iterator[list[Any]]:
    if _is_place(value, names):
        yield value
    if isinstance(value, Mapping):
        value = list(value.values())
    for part in value if isinstance(value, list) else ():
        yield from _places(part, names)


def _nodes(config: Mapping[str, Any]) -> Iterator[Any]:
    """The calls of all layers of a model."""
    for layer in config["layers"]:
        yield from layer["inbound_nodes"]


def _skipped(config: Mapping[str, Any]) -> dict[str, int]:
    """The number of calls that the file leaves out, for each nested model.

    The first call of a model with inputs is the one that made it; versions that counted it number
    the others from 1.
    """
    layers = config["layers"]
    inside = {each["name"]: each for each in layers if each["class_name"] in _MODELS}
    ends = [config["input_layers"], config["output_layers"]]
    nodes = list(_nodes(config))
    used: dict[str, set[int]] = {}
    for name, call, *_ in _places([*nodes, *ends], set(inside)):
        used.setdefault(name, set()).add(call)
    return {name: int(0 not in calls) for name, calls in used.items()}


def _own_merge(layer: Mapping[str, Any]) -> Mapping[str, Any]:
    """Today's layer for a `Merge` of Keras 1; any other layer unchanged."""
    if layer["class_name"] != "Merge":
        return layer
    config = layer["config"]
    mode = config["mode"]
    if mode not in _MERGES or config.get("mode_type", "raw") != "raw":
        raise NotImplementedError(f"the layer {layer['name']!r}: `mode={mode!r}` of Merge")
    made: Config = {"name": config["name"]}
    if mode == "concat":
        made["axis"] = config.get("concat_axis", -1)
    if _MERGES[mode] == "Dot":
        made |= {"axes": config.get("dot_axes", -1), "normalize": mode == "cos"}
    return {**layer, "class_name": _MERGES[mode], "config": made}


def merged_branches(config: Mapping[str, Any], read: Read) -> tuple[str, Config]:
    """A Sequential model of Keras 1 that begins with the outputs of several models, as a graph."""
    merge, *rest = config["layers"]
    layers: list[Config] = []
    inputs: list[list[Any]] = []
    ends: list[list[Any]] = []

    def follow(chain: Sequence[Mapping[str, Any]], last: list[Any] | None) -> list[Any]:
        for each in chain:
            name = each["config"]["name"]
            nodes = [[last]] if last is not None else []
            layers.append({**each, "name": name, "inbound_nodes": nodes})
            last = [name, 0, 0]
            if each["class_name"] == "InputLayer":
                inputs.append(last)
        if last is None:
            raise ValueError("`Merge` of a model without layers is not supported")
        return last

    for branch in merge["config"]["layers"]:
        if branch["class_name"] != "Sequential":
            raise NotImplementedError(f"`Merge` of a {branch['class_name']} is not supported")
        chain = list(_dict(branch["config"])["layers"])
        first = _first_input(chain)
        ends.append(follow([*([first] if first else []), *chain], None))
    name = merge["config"]["name"]
    nodes = [ends]
    layers.append({**merge, "name": name, "inbound_nodes": nodes})
    last = follow(rest, [name, 0, 0])
    graph = {
        "name": config.get("name") or "sequential",
        "layers": layers,
        "input_layers": inputs,
        "output_layers": [last],
    }
    return functional(graph, read, keras1=True)
