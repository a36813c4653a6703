"""Objects as plain data and back, whatever their kind: Keras' functions for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferrnn._src.configs.custom_objects import custom_object, custom_object_scope
from ferrnn._src.configs.objects import plain, revived
from ferrnn._src.configs.plain import nameless


def serialize_keras_object(obj: Any) -> Any:
    """A layer, model, initializer, loss, function, array, ... as data that JSON can hold.

    It reads back with `deserialize_keras_object`. Numbers, text and None stay as they are; lists,
    tuples and dicts are traversed. A lambda is refused, since it has no name.

    >>> from ferrnn.layers import Dense
    >>> data = serialize_keras_object({"inner": Dense(2, name="inner"), "rate": 0.1})
    >>> data["inner"]["class_name"], data["rate"]
    ('Dense', 0.1)
    """
    if isinstance(obj, Mapping):
        return {key: serialize_keras_object(part) for key, part in obj.items()}
    if isinstance(obj, list | tuple):
        parts = [serialize_keras_object(part) for part in obj]
        return tuple(parts) if isinstance(obj, tuple) else parts
    if getattr(obj, "__name__", None) == "<lambda>":
        raise ValueError(nameless("`obj`", obj))
    made = plain(obj)
    if made is obj and obj is not None and not isinstance(obj, bool | int | float | str):
        raise ValueError(f"`obj` cannot be serialized: it has no `get_config`, received {obj!r}")
    return made


def deserialize_keras_object(
    config: Any, custom_objects: Mapping[str, Any] | None = None, safe_mode: bool = True
) -> Any:
    """A new object from what `serialize_keras_object` returned.

    Classes and functions come from ferrnn, `custom_objects` and those that were registered; code in
    the configuration is refused, whatever `safe_mode` says.

    >>> from ferrnn.layers import Dense
    >>> deserialize_keras_object(serialize_keras_object(Dense(2, name="inner"))).name
    'inner'
    """
    with custom_object_scope(custom_objects):
        if isinstance(config, str):
            found = custom_object(config)
            return config if found is None else found
        return revived(config)
