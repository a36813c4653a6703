"""Layers and cells as plain data, as Keras writes them, and back."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from ferrnn.core.layer import Layer


def serialized(owner: Any) -> Any:
    """A layer or cell as plain data; an object without `get_config` is handed on as it is."""
    if not hasattr(owner, "get_config"):
        return owner
    kind = type(owner)
    known = _built_in(kind.__name__) is kind
    return {
        "module": "keras.layers" if known else kind.__module__,
        "class_name": kind.__name__,
        "config": owner.get_config(),
        "registered_name": None if known else kind.__name__,
    }


def deserialized(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A new layer or cell of a configuration; `custom_objects` names classes of your own.

    What is not a configuration is copied, so that nothing is shared.
    """
    if not isinstance(config, Mapping):
        return copy.deepcopy(config)
    name = config["class_name"]
    kind = (custom_objects or {}).get(name) or _built_in(name)
    if kind is None:
        raise ValueError(f"the class {name!r} is not known: pass it in `custom_objects`")
    settings = dict(config["config"])
    make = getattr(kind, "from_config", None)
    if make is None:
        return kind(**settings)
    if "custom_objects" in inspect.signature(make).parameters:
        return make(settings, custom_objects=custom_objects)
    return make(settings)


def classes_inside(owner: Any) -> dict[str, type]:
    """The classes of a layer or cell and of all that it holds, by name: `custom_objects`.

    >>> class Mine(Layer):
    ...     pass
    >>> sorted(classes_inside(Mine()))
    ['Mine']
    """
    found = {type(owner).__name__: type(owner)}
    for part in _parts(owner):
        found |= classes_inside(part)
    return found


def _parts(owner: Any) -> Iterator[Any]:
    if isinstance(owner, Layer):
        yield from owner.sublayers()
    cells = [getattr(owner, "cell", None), *getattr(owner, "cells", ())]
    yield from (cell for cell in cells if cell is not None and not isinstance(cell, Layer))


def _built_in(name: str) -> type | None:
    """The class of this name among our own layers."""
    waiting: list[type] = [Layer]
    while waiting:
        kind = waiting.pop()
        if kind.__name__ == name and kind.__module__.startswith("ferrnn."):
            return kind
        waiting += kind.__subclasses__()
    return None
