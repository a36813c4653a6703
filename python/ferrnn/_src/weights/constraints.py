"""Projections applied to a weight after each update, with Keras' names and formulas."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.configs.config import epsilon
from ferrnn._src.configs.objects import Configured, Kind
from ferrnn._src.tree.types import Array

Axis: TypeAlias = "int | Sequence[int] | None"


class Constraint(Configured):
    """Maps a weight to an allowed one: `constraint(w) -> w`.

    A custom constraint is a subclass, or any function of an array.

    >>> class Rounded(Constraint):
    ...     def __call__(self, w):
    ...         return np.round(w)
    >>> Rounded()(np.array([0.4, 1.6])).tolist()
    [0.0, 2.0]
    """

    def __call__(self, w: Any) -> Array:
        """The weight itself; a subclass projects it."""
        return np.asarray(w)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {}


class MaxNorm(Constraint):
    """Columns (with `axis=0`) of a length of at most `max_value`.

    >>> MaxNorm(1)(np.array([[3.0], [4.0]])).round(4).tolist()
    [[0.6], [0.8]]
    """

    def __init__(self, max_value: float = 2, axis: Axis = 0) -> None:
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: Any) -> Array:
        array = np.asarray(w)
        norms = _norms(array, self.axis)
        return _scaled(array, np.clip(norms, 0, self.max_value), norms)

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


class NonNeg(Constraint):
    """No entry below zero.

    >>> NonNeg()(np.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """

    def __call__(self, w: Any) -> Array:
        clipped: Array = np.maximum(np.asarray(w), 0)
        return clipped


class UnitNorm(Constraint):
    """Columns (with `axis=0`) of length 1.

    >>> UnitNorm()(np.array([[3.0], [4.0]])).round(4).tolist()
    [[0.6], [0.8]]
    """

    def __init__(self, axis: Axis = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Array:
        array = np.asarray(w)
        return _scaled(array, _like(array, 1.0), _norms(array, self.axis))

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


class MinMaxNorm(Constraint):
    """Columns (with `axis=0`) of a length between two bounds.

    With a `rate` below 1, the length moves that share of the way to the nearest bound.

    >>> MinMaxNorm(2.0, 3.0)(np.array([[0.3], [0.4]])).round(4).tolist()
    [[1.2], [1.6]]
    """

    def __init__(
        self,
        min_value: float = 0.0,
        max_value: float = 1.0,
        rate: float = 1.0,
        axis: Axis = 0,
    ) -> None:
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: Any) -> Array:
        array = np.asarray(w)
        norms = _norms(array, self.axis)
        clipped = np.clip(norms, self.min_value, self.max_value)
        kept = _like(array, 1 - self.rate) * norms
        return _scaled(array, _like(array, self.rate) * clipped + kept, norms)

    def get_config(self) -> dict[str, Any]:
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            "axis": self.axis,
        }


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm

_KIND = Kind("constraint", "constraints", Constraint)


def get(identifier: Any) -> Any:
    """The constraint for a name, class, configuration, callable or constraint.

    >>> get("max_norm").get_config()
    {'max_value': 2, 'axis': 0}
    """
    return _KIND.get(identifier)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The constraint of a configuration; `custom_objects` names custom classes."""
    return _KIND.deserialize(config, custom_objects)


def serialize(constraint: Any) -> Any:
    """The configuration of a constraint, as plain data; a function by its name.

    >>> serialize(UnitNorm())["class_name"]
    'UnitNorm'
    """
    return _KIND.serialize(constraint)


def _norms(array: Array, axis: Axis) -> Array:
    along = tuple(axis) if isinstance(axis, list | tuple) else axis
    norms: Array = np.sqrt(np.square(array).sum(axis=along, keepdims=True))
    return norms


def _scaled(array: Array, wanted: Array, norms: Array) -> Array:
    scaled: Array = array * (wanted / (_like(array, epsilon()) + norms))
    return scaled


def _like(array: Array, value: float) -> Any:
    return array.dtype.type(value) if array.dtype.kind == "f" else value
