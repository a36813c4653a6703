"""Layers and models as plain data in Keras' form, and new ones from it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from ferrnn._src.configs.custom_objects import known_objects, registered_name
from ferrnn._src.layer import operations
from ferrnn._src.layer.layer import Layer
from ferrnn._src.layer.operations import Operation
from ferrnn._src.layer.serialization import deserialized, serialized
from ferrnn._src.tree.tree import map_structure

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


def layer_from(data: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Layer:
    """A new layer or model of a configuration in Keras' form.

    No code is run that is not there already: classes come from ferrnn and `custom_objects` alone,
    and functions that are written down as code are refused.
    """
    if "made" in data:  # by a function that replaces layers
        replacing: Layer = data["made"]
        return replacing
    _refuse_code(data)
    known = known_objects(custom_objects)
    name = str(data["class_name"])
    kind = known.get(str(data.get("registered_name"))) or known.get(name)
    operation = operations.known.get(name)
    if kind is None and str(data.get("module", "")).startswith("keras.src.ops") and operation:
        made: Layer = operation.from_config(data["config"])
        return made
    if kind is not None:
        known[name] = kind
    if "quantization_config" in data["config"] and data["config"]["quantization_config"] is None:
        config = {k: v for k, v in data["config"].items() if k != "quantization_config"}
        data = {**data, "config": config}
    layer: Layer = deserialized(data, known)
    return layer


def _refuse_code(data: Any) -> None:
    if isinstance(data, Mapping):
        if data.get("class_name") == "__lambda__":
            raise ValueError(
                "the configuration holds a Python lambda, which is code: it is not loaded. Write "
                "the function as a layer, or as a named function that `custom_objects` gives"
            )
        for value in data.values():
            _refuse_code(value)
    elif isinstance(data, list | tuple):
        for value in data:
            _refuse_code(value)
