"""Copies of models with new weights, and models from their JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ferrnn.core.layer import Layer
from ferrnn.layers.input import InputLayer
from ferrnn.models.model import Model
from ferrnn.models.reading import layer_from
from ferrnn.models.sequential import Sequential
from ferrnn.models.writing import serialize_layer


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Model:
    """A new model of what `to_json` gave, without weights.

    >>> from ferrnn.layers import Dense
    >>> model_from_json(Sequential([Dense(2, name="only")]).to_json()).layers[0].name
    'only'
    """
    made = layer_from(json.loads(json_string), custom_objects)
    assert isinstance(made, Model)
    return made


def clone_model(
    model: Model,
    input_tensors: Any = None,
    clone_function: Callable[[Layer], Layer] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
) -> Model:
    """A model of the same layers with weights of its own, newly initialized.

    `clone_function(layer)` gives the layer that takes another one's place; with `recursive` it is
    asked about the layers of nested models instead of the models.

    >>> from ferrnn.layers import Dense, Input
    >>> clone = clone_model(Sequential([Input((3,)), Dense(2)]))
    >>> clone.output_shape
    (None, 2)
    """
    if input_tensors is not None:
        raise NotImplementedError("`input_tensors` of clone_model is not supported")
    if call_function is not None:
        raise NotImplementedError(
            "`call_function` of clone_model is not supported: give a layer of your own by "
            "`clone_function`, whose `call` does what it should"
        )
    if recursive and clone_function is None:
        clone_function = _copied
    if not isinstance(model, Model) or _is_own(model):
        raise ValueError(
            "Expected `model` argument to be a Sequential or functional `Model` instance, "
            f"received {model!r}"
        )
    custom = {type(each).__name__: type(each) for each in _all_layers(model)}
    own = {name: kind for name, kind in custom.items() if not kind.__module__.startswith("ferrnn.")}
    data = serialize_layer(model)
    if clone_function is not None:
        layers = {layer.name: layer for layer in model.layers}
        for entry in data["config"]["layers"]:
            layer = layers.get(entry["config"]["name"])
            if layer is not None and not isinstance(layer, InputLayer):
                nested = recursive and isinstance(layer, Model) and not _is_own(layer)
                entry["made"] = (
                    clone_model(layer, clone_function=clone_function, recursive=True)  # type: ignore[arg-type]
                    if nested
                    else clone_function(layer)
                )
    return layer_from(data, own)  # type: ignore[return-value]


def _copied(layer: Layer) -> Layer:
    copy: Layer = type(layer).from_config(layer.get_config())
    return copy


def _is_own(model: Model) -> bool:
    """Whether a model is the code of a subclass: it has no layers to look into."""
    return model._graph is None and not isinstance(model, Sequential)


def _all_layers(layer: Layer) -> list[Layer]:
    return [layer, *(inner for part in layer.sublayers() for inner in _all_layers(part))]
