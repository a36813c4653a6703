"""Copies of models with new weights, and models from their JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from ferrnn._src.layer.layer import Layer
from ferrnn._src.layer.serialization import layer_from
from ferrnn._src.layers.input import InputLayer
from ferrnn._src.models.compiling import compile_data
from ferrnn._src.models.model import Model
from ferrnn._src.models.reading import functional_from
from ferrnn._src.models.sequential import Sequential
from ferrnn._src.symbolic.symbolic import SymbolicTensor
from ferrnn._src.tree.structures import assert_same_structure, lists_to_tuples
from ferrnn._src.tree.tree import flatten


def model_from_json(json_string: str, custom_objects: Mapping[str, Any] | None = None) -> Model:
    """A new model from what `to_json` returned, without weights.

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
    """A model of the same layers with new, freshly initialized weights.

    The clone begins at `input_tensors`, symbolic tensors of the structure of `model.input`, if
    given. `clone_function(layer)` returns the layer to take another one's place; with `recursive`
    it is called for the layers of nested models instead of the models themselves.
    `call_function(layer, *args, **kwargs)` calls the layers of a graph, and may insert others
    before or after them.

    >>> from ferrnn.layers import Dense, Input
    >>> clone = clone_model(Sequential([Input((3,)), Dense(2)]))
    >>> clone.output_shape
    (None, 2)
    """
    if call_function is not None and isinstance(model, Sequential):
        raise ValueError(
            "`call_function` argument is not supported with Sequential models. In a Sequential "
            "model, layers aren't called at model-construction time (they're merely listed). Use "
            "`call_function` with Functional models only."
        )
    if recursive and clone_function is None:
        clone_function = _copied
    if not isinstance(model, Model):
        raise ValueError(  # noqa: TRY004 - Keras' error
            f"Expected `model` argument to be a `Model` instance, received {model!r}"
        )
    if _is_own(model):
        return _made_again(model, (input_tensors, clone_function, call_function))
    data = model.as_data()
    if input_tensors is not None:
        _begin_at(data, model, input_tensors)
    if clone_function is not None:
        layers = {layer.name: layer for layer in model.layers}
        for entry in data["config"]["layers"]:
            layer = None if "made" in entry else layers.get(entry["config"]["name"])
            if layer is not None and not isinstance(layer, InputLayer):
                nested = recursive and isinstance(layer, Model) and not _is_own(layer)
                entry["made"] = (
                    _nested(layer, clone_function, call_function)
                    if nested
                    else clone_function(layer)
                )
    if call_function is not None:
        made = functional_from(type(model), data["config"], None, call_function)
    else:
        made = layer_from(data)
    return _compiled_like(model, made)  # type: ignore[no-any-return]


def _made_again(model: Model, functions: tuple[Any, ...]) -> Model:
    """A new model of a user's class, whose layers are unknown."""
    if any(each is not None for each in functions):
        raise ValueError(
            "Arguments `input_tensors`, `clone_function` and `call_function` are only supported "
            "for Sequential models or Functional models. Received model of type "
            f"{type(model).__name__!r}, which defines `call` itself"
        )
    return _compiled_like(model, type(model).from_config(model.get_config()))  # type: ignore[no-any-return]


def _compiled_like(model: Any, made: Any) -> Any:
    """The clone, compiled as the model was, with its own metrics and optimizer."""
    if model.compiled:
        made.compile_from_config(compile_data(model))
    return made


def _nested(
    layer: Any, clone_function: Callable[[Layer], Layer], call_function: Callable[..., Any] | None
) -> Model:
    """The clone of a model inside a model."""
    called = None if isinstance(layer, Sequential) else call_function
    return clone_model(layer, None, clone_function, called, recursive=True)


def _begin_at(data: dict[str, Any], model: Model, tensors: Any) -> None:
    """Replaces a model's inputs by symbolic tensors, in its configuration."""
    given = flatten(tensors)
    if not all(isinstance(each, SymbolicTensor) for each in given):
        raise ValueError(
            "All entries in `input_tensors` must be symbolic tensors, of `Input` or of layers "
            f"called on them. Received invalid values: input_tensors={tensors!r}"
        )
    entries = data["config"]["layers"]
    if isinstance(model, Sequential):
        if len(given) != 1:
            raise ValueError(
                f"Argument `input_tensors` must contain a single tensor. Received: {len(given)}"
            )
        tensor = given[0]
        if tensor.node is None or not isinstance(tensor.node.layer, InputLayer):
            tensor = InputLayer(batch_shape=tensor.shape, dtype=tensor.dtype).output
        known = bool(entries) and entries[0]["class_name"] == "InputLayer"
        data["config"]["layers"] = [{"made": tensor}, *entries[int(known) :]]
        data["config"].pop("build_input_shape", None)
        return
    if len(given) != len(model.inputs) or not _fits(tensors, model.input):
        raise ValueError(
            "`input_tensors` must have the same structure as model.input\n"
            f"Reference structure: {model.input}\nReceived structure: {tensors}"
        )
    places = {tensor.name: each for tensor, each in zip(model.inputs, given, strict=True)}
    for entry in entries:
        if entry["name"] in places:
            entry["made"] = places[entry["name"]]


def _fits(tensors: Any, inputs: Any) -> bool:
    """Whether tensors are nested as a model's inputs; a list may stand for a tuple."""
    if isinstance(inputs, SymbolicTensor):
        return True
    try:
        assert_same_structure(lists_to_tuples(tensors), lists_to_tuples(inputs))
    except ValueError:
        return False
    return True


def _copied(layer: Layer) -> Layer:
    copy: Layer = type(layer).from_config(layer.get_config())
    return copy


def _is_own(model: Model) -> bool:
    """Whether a model is defined by the code of a subclass, so that its layers are unknown."""
    return model._graph is None and not isinstance(model, Sequential)
