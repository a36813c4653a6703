"""Layers and models as plain data, as Keras writes them."""

from __future__ import annotations

import copy
import inspect
from typing import Any

from ferrnn._src.configs.dtype_policy import DTypePolicy, serialize
from ferrnn._src.configs.objects import class_data
from ferrnn._src.configs.plain import Written
from ferrnn._src.tree.tree import map_structure

_MODULES = {"Functional": "keras.src.models.functional", "Sequential": "keras"}


def own_constructor_alone(kind: type, base: type) -> bool:
    """Whether a class below `base` has a constructor, and no `get_config` that goes with it."""
    for each in kind.__mro__:
        if each is base or each.__module__.startswith("ferrnn."):
            return False
        if "get_config" in vars(each):
            return False
        if "__init__" in vars(each):
            return True
    return False


def with_remembered(layer: Any, config: dict[str, Any]) -> dict[str, Any]:
    """The configuration of a layer whose class has no `get_config`, with its recorded arguments."""
    kind = type(layer)
    if not kind._remembers:
        return config
    if layer._made_of is None:
        raise NotImplementedError(
            f"Object {kind.__name__} was created by passing non-serializable argument values in "
            "`__init__()`, and therefore the object must override `get_config()` in order to be "
            "serializable: return the arguments of the constructor by name, with "
            "`super().get_config()` among them"
        )
    return {**config, **copy.deepcopy(layer._made_of)}


def serialized(owner: Any) -> Any:
    """A layer or cell inside another as plain data; an object without `get_config` unchanged."""
    if not hasattr(owner, "get_config"):
        return owner
    name, data = type(owner).__name__, class_data(owner)
    if name in _MODULES and not isinstance(data, Written):
        data["module"] = _MODULES[name]
        data["registered_name"] = "Functional" if name == "Functional" else None
    return data


def layer_data(layer: Any) -> dict[str, Any]:
    """A layer or model as plain data, with the shape it was built for and dtypes as policies."""
    data: dict[str, Any] = serialized(layer)
    data["config"] = _with_policies(data["config"])
    build = layer.get_build_config()
    if build is not None:
        data["build_config"] = build
    if hasattr(layer, "outputs_and_mask"):
        data["compile_config"] = {}
    return data


def build_config(layer: Any) -> dict[str, Any] | None:
    """The shapes that `build` was given; if it has several arguments, by their names."""
    shape = _build_shape(layer)
    if shape is None and type(layer).__name__ != "Functional":
        return None
    names = [*inspect.signature(layer.build).parameters]
    if len(names) > 1 and isinstance(shape, list):
        return {"shapes_dict": dict(zip(names, shape, strict=False))}
    return {"input_shape": shape}


def _build_shape(layer: Any) -> Any:
    shape = getattr(layer, "build_shape", None)
    if hasattr(layer, "add") and layer.built:  # a Sequential model
        shape = getattr(layer, "input_shape", None)
    return None if shape is None else map_structure(lambda leaf: leaf, shape)


def _with_policies(config: Any) -> Any:
    """The configuration with dtypes as policies, as Keras writes them for all but inputs."""
    if isinstance(config, dict):
        if str(config.get("module", "")).startswith("keras.src.ops."):
            return config  # the dtype of a cast stays a name
        if config.get("class_name") == "__numpy__":
            return config
        made = copy.copy(config)  # keeps its reference to the class
        made.update({key: _with_policies(value) for key, value in config.items()})
        if isinstance(config.get("dtype"), str) and "name" in config and "sparse" not in config:
            made["dtype"] = serialize(DTypePolicy(config["dtype"]))
        return made
    if isinstance(config, list | tuple):
        return [_with_policies(part) for part in config]
    return config
