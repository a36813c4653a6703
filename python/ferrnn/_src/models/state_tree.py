"""The variables of a model as nested dicts by their paths, and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from ferrnn._src.weights.one_version import one_version
from ferrnn._src.weights.parameter import Parameter

_FORMATS = ("backend_tensor", "numpy_array")


def state_tree(model: Any, value_format: str = "backend_tensor") -> dict[str, Any]:
    """The variables of a model, its optimizer and its metrics, by kind and path."""
    if value_format not in _FORMATS:
        raise ValueError(
            "Invalid `value_format` argument. Expected one of {'numpy_array', 'backend_tensor'}. "
            f"Received: value_format={value_format!r}"
        )
    return {kind: _nested(variables) for kind, variables in _kinds(model).items()}


def set_state_tree(model: Any, tree: Mapping[str, Any]) -> None:
    """Sets the variables that a tree names: all of them, or none if one does not fit."""
    kinds = _kinds(model)
    pairs: list[tuple[Parameter, Any]] = []
    for kind, values in tree.items():
        if kind not in kinds:
            raise ValueError(
                f"Unknown variable name: {kind!r}, expected one of {list(kinds)} in `state_tree`"
            )
        known = {variable.path: variable for variable in kinds[kind]}
        for path, value in _flat(values, ""):
            if path not in known:
                raise ValueError(
                    f"`state_tree` has a value for {path!r}, which is not among the {kind} of the "
                    f"model {model.name!r}: {list(known)}"
                )
            if np.shape(value) != known[path].shape:
                raise ValueError(
                    f"the value of {path!r} in `state_tree` must have the shape "
                    f"{known[path].shape}, received {np.shape(value)}"
                )
            pairs.append((known[path], value))
    with one_version():
        for variable, value in pairs:
            variable.assign(np.asarray(value))


def _kinds(model: Any) -> dict[str, list[Parameter]]:
    optimizer = getattr(model, "optimizer", None)
    return {
        "trainable_variables": model.trainable_variables,
        "non_trainable_variables": model.non_trainable_variables,
        "optimizer_variables": [] if optimizer is None else list(optimizer.variables),
        "metrics_variables": model.metrics_variables,
    }


def _nested(variables: Iterable[Parameter]) -> dict[str, Any]:
    made: dict[str, Any] = {}
    seen: set[str] = set()
    for variable in variables:
        if variable.path in seen:
            raise ValueError(
                "The following variable path is found twice in the model: "
                f"{variable.path!r}. `get_state_tree()` can only be called when all variable paths "
                "are unique. Make sure to give unique names to your layers (and other objects)."
            )
        seen.add(variable.path)
        *folders, name = variable.path.split("/")
        place = made
        for folder in folders:
            place = place.setdefault(folder, {})
        place[name] = variable.numpy()
    return made


def _flat(tree: Any, path: str) -> Iterable[tuple[str, Any]]:
    if not isinstance(tree, Mapping):
        return [(path, tree)]
    parts = ((f"{path}/{key}" if path else str(key), part) for key, part in tree.items())
    return [pair for name, part in parts for pair in _flat(part, name)]
