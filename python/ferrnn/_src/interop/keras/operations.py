"""TensorFlow's operations in functional models, as today's operators and layers.

Keras 2 wrote `x + y` as a `TFOpLambda` and `x[:, -1]` as a `SlicingOpLambda`, with the name of
TensorFlow's function. Only the names in this file are supported.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Config: TypeAlias = dict[str, Any]

KINDS = ("TFOpLambda", "SlicingOpLambda")
_BINARY = {
    "Add": ("__operators__.add", "math.add", "add"),
    "Subtract": ("__operators__.sub", "math.subtract", "subtract"),
    "Multiply": ("__operators__.mul", "math.multiply", "multiply"),
    "TrueDivide": ("__operators__.truediv", "math.truediv", "math.divide", "divide"),
}
_OPERATORS = {name: kind for kind, names in _BINARY.items() for name in names}
_FUNCTIONS = {
    "math.exp": "exponential", "exp": "exponential", "math.sigmoid": "sigmoid",
    "math.softplus": "softplus", "math.tanh": "tanh", "nn.elu": "elu", "nn.relu": "relu",
    "nn.relu6": "relu6", "nn.selu": "selu", "nn.sigmoid": "sigmoid", "nn.silu": "silu",
    "nn.softmax": "softmax", "nn.softplus": "softplus", "nn.softsign": "softsign",
    "nn.swish": "silu", "nn.tanh": "tanh", "sigmoid": "sigmoid", "softmax": "softmax",
    "tanh": "tanh",
}  # fmt: skip
_REASON = "a layer that represents an operation of TensorFlow is not supported"


def operation(name: str, config: Mapping[str, Any], nodes: list[Config]) -> Config:
    """An operation of TensorFlow with its calls (`args` and `kwargs`), in the form of Keras 3.

    Raises:
        ValueError: The operation, or a setting of a call, is not supported.
    """
    function = config.get("function")
    if function == "__operators__.getitem":
        called = [_called(each, ["slice_spec"]) for each in nodes]
        calls = [_call([*args, [_index(part) for part in spec]]) for args, spec in called]
        return _operator("GetItem", name, calls)
    if isinstance(function, str) and function in _OPERATORS:
        called = [_called(each, ["y"]) for each in nodes]
        return _operator(_OPERATORS[function], name, [_call([*args, y]) for args, y in called])
    if function == "concat":
        pairs = [_called(each, ["axis"]) for each in nodes]
        axes = {axis for _, axis in pairs}
        if len(axes) == 1 and all(len(args) == 1 for args, _ in pairs):
            config = {"name": name, "axis": axes.pop()}
            calls = [_call(args) for args, _ in pairs]
            return {"class_name": "Concatenate", "config": config, "inbound_nodes": calls}
    if isinstance(function, str) and function in _FUNCTIONS:
        config = {"name": name, "activation": _FUNCTIONS[function]}
        calls = [_call(_called(each, [])[0]) for each in nodes]
        return {"class_name": "Activation", "config": config, "inbound_nodes": calls}
    raise ValueError(_REASON)


def _called(node: Config, wanted: list[str]) -> tuple[Any, ...]:
    """The positional arguments of a call, and those of these names; no others may be given."""
    rest = {key: value for key, value in node["kwargs"].items() if value is not None}
    found = [rest.pop(key) for key in wanted if key in rest]
    if rest.get("axis") == -1:
        del rest["axis"]
    if len(found) != len(wanted) or rest:
        raise ValueError(f"{_REASON} with the arguments {sorted(node['kwargs'])}")
    return (node["args"], *found)


def _call(args: list[Any]) -> Config:
    return {"args": args, "kwargs": {}}


def _operator(kind: str, name: str, nodes: list[Config]) -> Config:
    return {
        "module": "keras.src.ops.numpy",
        "class_name": kind,
        "config": {"name": name},
        "registered_name": kind,
        "inbound_nodes": nodes,
    }


def _index(part: Any) -> Any:
    """One part of an index: a number, or a slice as Keras 3 writes it."""
    if isinstance(part, int) and not isinstance(part, bool):
        return part
    if isinstance(part, Mapping) and part.get("class_name") == "__ellipsis__":
        return {"class_name": "__ellipsis__", "config": {}}
    is_slice = isinstance(part, Mapping) and set(part) == {"start", "stop", "step"}
    if is_slice and all(each is None or isinstance(each, int) for each in part.values()):
        return {"class_name": "__slice__", "config": dict(part)}
    raise ValueError(f"{_REASON} with the index {part!r}")
