"""Layers and cells as plain data, as Keras writes them, and back."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from ferrnn._src.faces import public
from ferrnn._src.layer.layer import Layer


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
    return {type(part).__name__: type(part) for part in parts_inside(owner)}


def parts_inside(owner: Any) -> Iterator[Any]:
    """A layer or cell, and the layers and cells that it holds, at any depth."""
    yield owner
    if isinstance(owner, Layer):
        for layer in owner.sublayers():
            yield from parts_inside(layer)
    for cell in (getattr(owner, "cell", None), *getattr(owner, "cells", ())):
        if cell is not None and not isinstance(cell, Layer):
            yield from parts_inside(cell)


def _built_in(name: str) -> type | None:
    """The class of this name among our own layers and models."""
    for module in ("layers", "models"):
        kind = public(module, name)
        if isinstance(kind, type):
            return kind
    return None
