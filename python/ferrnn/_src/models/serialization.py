"""Objects as plain data in Keras' form, and back: what `get_config` of users' own classes calls."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from ferrnn._src.activations import activations
from ferrnn._src.configs.custom_objects import known_objects, registered_name
from ferrnn._src.layer.layer import Layer
from ferrnn._src.layer.layer_configs import layer_from, serialize_layer
from ferrnn._src.training import losses, metrics, optimizers
from ferrnn._src.training.loss import Loss
from ferrnn._src.training.metrics import Metric
from ferrnn._src.training.optimizers import Optimizer, schedules
from ferrnn._src.weights import constraints, initializers, regularizers

# The module in which Keras has the classes of each kind, and what reads their configurations.
_KINDS: dict[str, tuple[type, Callable[..., Any]]] = {
    "keras.initializers": (initializers.Initializer, initializers.deserialize),
    "keras.regularizers": (regularizers.Regularizer, regularizers.deserialize),
    "keras.constraints": (constraints.Constraint, constraints.deserialize),
    "keras.losses": (Loss, losses.deserialize),
    "keras.metrics": (Metric, metrics.deserialize),
    "keras.optimizers.schedules": (schedules.LearningRateSchedule, schedules.deserialize),
    "keras.optimizers": (Optimizer, optimizers.deserialize),
}


def serialize_keras_object(obj: Any) -> Any:
    """A layer, model, initializer, loss, function, array, ... as data that JSON can hold.

    It reads back with `deserialize_keras_object`. Numbers, text and None stay as they are; lists,
    tuples and dicts are gone through. A lambda has no name to be found by and is refused.

    >>> from ferrnn.layers import Dense
    >>> data = serialize_keras_object({"inner": Dense(2, name="inner"), "rate": 0.1})
    >>> data["inner"]["class_name"], data["rate"]
    ('Dense', 0.1)
    """
    if obj is None or isinstance(obj, bool | int | float | str):
        return obj
    if isinstance(obj, dict):
        return {key: serialize_keras_object(part) for key, part in obj.items()}
    if isinstance(obj, list | tuple):
        return type(obj)([serialize_keras_object(part) for part in obj])
    if isinstance(obj, np.generic | np.ndarray):
        return _numbers(obj)
    return _object(obj)


def _numbers(array: Any) -> Any:
    if isinstance(array, np.generic):
        return array.item()
    config = {"value": array.tolist(), "dtype": array.dtype.name}
    return {"class_name": "__numpy__", "config": config}


def _object(obj: Any) -> dict[str, Any]:
    if isinstance(obj, Layer):
        return serialize_layer(obj)
    if isinstance(obj, types.FunctionType | activations.Activation):
        return _function(obj)
    if hasattr(obj, "get_config"):
        return _with_config(obj)
    raise ValueError(f"`obj` cannot be serialized: it has no `get_config`, received {obj!r}")


def _function(function: Any) -> dict[str, Any]:
    name = registered_name(function)
    if name == "<lambda>":
        raise ValueError(
            "`obj` is a lambda, which has no name that a file could give: write a function, and "
            "register it with `keras.saving.register_keras_serializable()`"
        )
    return {
        "module": "builtins",
        "class_name": "function",
        "config": name,
        "registered_name": "function",
    }


def _with_config(obj: Any) -> dict[str, Any]:
    kind = type(obj)
    own = not kind.__module__.startswith("ferrnn.")
    modules = (module for module, (base, _) in _KINDS.items() if isinstance(obj, base))
    return {
        "module": None if own else next(modules, None),
        "class_name": kind.__name__,
        "config": serialize_keras_object(obj.get_config()),
        "registered_name": registered_name(kind) if own else None,
    }


def deserialize_keras_object(
    config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
) -> Any:
    """What `serialize_keras_object` wrote down, new.

    Classes and functions come from ferrnn, `custom_objects` and those that were registered; code in
    the configuration is refused, whatever `safe_mode` says.

    >>> from ferrnn.layers import Dense
    >>> deserialize_keras_object(serialize_keras_object(Dense(2, name="inner"))).name
    'inner'
    """
    if isinstance(config, list | tuple):
        parts = [deserialize_keras_object(part, custom_objects, safe_mode) for part in config]
        return type(config)(parts)
    if isinstance(config, str):
        return (custom_objects or {}).get(config, config)
    if not isinstance(config, Mapping):
        return config
    if "class_name" not in config or "config" not in config:
        return {
            key: deserialize_keras_object(part, custom_objects, safe_mode)
            for key, part in config.items()
        }
    return _object_of(config, custom_objects)


def _object_of(config: Mapping[str, Any], custom_objects: Mapping[str, Any] | None) -> Any:
    name, settings = config["class_name"], config["config"]
    if name == "__numpy__":
        return np.array(settings["value"], settings["dtype"])
    known = known_objects(custom_objects)
    if name == "function":
        return known[settings] if settings in known else activations.get(settings)
    kind = known.get(str(config.get("registered_name"))) or known.get(name)
    if kind is not None and not (isinstance(kind, type) and issubclass(kind, Layer)):
        return kind.from_config(dict(settings))
    read = _KINDS.get(str(config.get("module")))
    if kind is None and read is not None:
        return read[1](dict(config), custom_objects)
    return layer_from(config, custom_objects)


def get_registered_object(
    name: str,
    custom_objects: Mapping[str, Any] | None = None,
    module_objects: Mapping[str, Any] | None = None,
) -> Any:
    """The class or function of a name, registered, of a scope or given; None if there is none.

    >>> get_registered_object("Mine", {"Mine": int}), get_registered_object("Other")
    (<class 'int'>, None)
    """
    known = {**(module_objects or {}), **known_objects(custom_objects)}
    return known.get(name)
