"""The state of metrics, including variables that they have made during training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ferrnn._src.training.compiled_metrics import CompiledMetrics
from ferrnn._src.training.metrics import Mean, Metric
from ferrnn._src.training.metrics.metric import Accumulator
from ferrnn._src.training.resuming.container import is_plain
from ferrnn._src.weights.parameter import Parameter

_SETTINGS = frozenset({"name", "_dtype", "_variables"})


def metric_state(metric: Metric) -> dict[str, Any]:
    """The state of a metric as plain values.

    >>> from ferrnn._src.training.metrics import Mean
    >>> one, other = Mean(), Mean()
    >>> one.update_state([1.0, 2.0])
    >>> set_metric_state(other, metric_state(one))
    >>> float(other.result())
    1.5
    """
    variables = list(metric._variables)
    attributes = {}
    for name, value in vars(metric).items():
        if name not in _SETTINGS and _storable(value):
            attributes[name] = _stored(value, variables)
    # Variables made without `add_variable` are found among the attributes.
    made = [[each.name, each.numpy()] for each in variables]
    return {"variables": made, "added": len(metric._variables), "attributes": attributes}


def set_metric_state(metric: Metric, state: Mapping[str, Any]) -> None:
    """Restores the state that `metric_state` returned."""
    known = list(metric._variables)
    for value in vars(metric).values():
        if _storable(value):
            _stored(value, known)
    variables = []
    for at, (name, value) in enumerate(state["variables"]):
        if at < len(known) and known[at].shape == value.shape:
            known[at].assign(value)
            variables.append(known[at])
        else:
            variables.append(Accumulator(value, name, trainable=False))
    metric._variables[:] = variables[: state["added"]]
    for name, value in state["attributes"].items():
        setattr(metric, name, _taken(value, variables))


def _storable(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(map(_storable, value))
    return isinstance(value, Parameter) or is_plain(value)


def _stored(value: Any, variables: list[Parameter]) -> Any:
    """A value as a pair of kind and content, with variables replaced by their numbers."""
    if isinstance(value, Parameter):
        if value not in variables:
            variables.append(value)
        return ["variable", variables.index(value)]
    if isinstance(value, list | tuple):
        return [type(value).__name__, [_stored(each, variables) for each in value]]
    return ["value", value]


def _taken(stored: Any, variables: list[Any]) -> Any:
    kind, content = stored
    if kind == "variable":
        return variables[content]
    if kind in ("list", "tuple"):
        made = [_taken(each, variables) for each in content]
        return made if kind == "list" else tuple(made)
    return content


def shapes_of(model: Any) -> list[Any] | None:
    """What metrics know from the first batch: names of outputs, shapes of targets and outputs."""
    compiled: CompiledMetrics | None = getattr(model, "_metrics", None)
    if compiled is None or compiled.names is None:
        return None
    losses = model._loss
    names = losses.told_names if losses is not None and losses.names else []
    return [list(compiled.names), compiled.shapes, names if model._loss_means else []]


def make_metrics(model: Any, told: Any) -> None:
    """Makes the metrics that a first batch would make, from what `shapes_of` returned."""
    compiled: CompiledMetrics | None = getattr(model, "_metrics", None)
    if compiled is None or told is None:
        return
    names, shapes, of_losses = told
    compiled.bind(names)
    if compiled.to_come and shapes is not None:
        compiled.resolve(shapes)
    if of_losses and not model._loss_means:
        model._loss_means = [Mean(name=f"{name}_loss") for name in of_losses]
