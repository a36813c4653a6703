"""Layers and cells from plain data in Keras' form, and the parts of layers."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from ferrnn._src.configs.custom_objects import custom_object_scope
from ferrnn._src.configs.objects import Kind, object_of
from ferrnn._src.faces import public
from ferrnn._src.layer import operations
from ferrnn._src.layer.layer import Layer

LAYERS = Kind("layer", "layers", Layer, functions=False)


def deserialized(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """A new layer or cell from a configuration; `custom_objects` names classes of your own.

    Anything but a configuration is copied, so that nothing is shared.
    """
    if not isinstance(config, Mapping):
        return copy.deepcopy(config)
    with custom_object_scope(custom_objects):
        return object_of(config, LAYERS)


def layer_from(data: Mapping[str, Any], custom_objects: Mapping[str, Any] | None = None) -> Layer:
    """A new layer, model or operation from a configuration in Keras' form."""
    if str(data.get("module", "")).startswith("keras.src.ops"):
        name = str(data.get("class_name"))
        if name not in operations.known:
            public("ops", "mean")  # importing `ops` registers all operations
        if name not in operations.known:
            raise ValueError(f"the operation {name!r} of the configuration is not known")
        made: Layer = operations.known[name].from_config(data["config"])
        return made
    layer: Layer = LAYERS.deserialize(data, custom_objects)
    return layer


def parts_inside(owner: Any) -> Iterator[Any]:
    """A layer or cell, and the layers and cells that it holds, at any depth."""
    yield owner
    if isinstance(owner, Layer):
        for layer in owner.sublayers():
            yield from parts_inside(layer)
    for cell in (getattr(owner, "cell", None), *getattr(owner, "cells", ())):
        if cell is not None and not isinstance(cell, Layer):
            yield from parts_inside(cell)
