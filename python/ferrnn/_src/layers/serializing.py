"""Layers as plain data, and back, under Keras' names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferrnn._src.layer.layer import Layer
from ferrnn._src.layer.serialization import layer_from


def serialize(layer: Layer) -> dict[str, Any]:
    """The class and the configuration of a layer, as data that JSON can hold.

    >>> from ferrnn.layers import Dense
    >>> serialize(Dense(2))["class_name"]
    'Dense'
    """
    if not isinstance(layer, Layer):
        raise TypeError(f"`layer` must be a layer, received a {type(layer).__name__}: {layer!r}")
    return layer.as_data()


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Layer:
    """A new layer from what `serialize` returned; `custom_objects` names custom classes.

    >>> from ferrnn.layers import Dense
    >>> deserialize(serialize(Dense(2, name="only"))).name
    'only'
    """
    if not isinstance(config, Mapping) or not {"class_name", "config"} <= set(config):
        raise ValueError(
            "`config` must be what `keras.layers.serialize` returned, a dict with `class_name` and "
            f"`config`. Received: {config!r}"
        )
    return layer_from(config, custom_objects)
