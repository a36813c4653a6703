"""Penalties on weights or outputs that join the loss, with Keras' names and formulas."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.configs.config import epsilon
from ferrnn._src.configs.objects import Configured, Kind
from ferrnn._src.configs.overriding import overridden
from ferrnn._src.native import penalty, penalty_gradient
from ferrnn._src.symbolic import tracing
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Gradients

# d_penalty -> d_x
PenaltyVjp: TypeAlias = Callable[[float], Array]


class Regularizer(Configured):
    """A penalty on an array: `regularizer(x) -> number`, of which training adds the gradient.

    One of your own defines `forward(x) -> (penalty, vjp)` with `vjp(d_penalty) -> d_x`, or
    Keras' `__call__(x)` in `ferrnn.ops`, whose gradient is found by tracing it.

    >>> class Quartic(Regularizer):
    ...     def forward(self, x):
    ...         return float((x**4).sum()), lambda d_penalty: d_penalty * 4 * x**3
    >>> Quartic()(np.array([1.0, 2.0]))
    17.0
    """

    def forward(self, x: Array) -> tuple[float, PenaltyVjp]:
        """The penalty, and its vjp."""
        raise NotImplementedError(
            f"the regularizer {type(self).__name__} must have a gradient: define `__call__(x)` or "
            "`forward(x) -> (penalty, vjp)` with `vjp(d_penalty) -> d_x`"
        )

    def __call__(self, x: Any) -> Any:
        """The penalty."""
        if tracing.current.get() is not None:
            return tracing.record(self._forward, x)
        return self.forward(_floating(x))[0]

    def _forward(self, x: Any) -> tuple[Any, Callable[[Any, Gradients], Array]]:
        penalty, vjp = self.forward(_floating(x))
        return np.asarray(penalty, x.dtype), lambda d_penalty, grads: vjp(float(d_penalty))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        raise NotImplementedError(f"{type(self).__name__} does not define `get_config`")


class L1L2(Regularizer):
    """`l1 * sum(abs(x)) + l2 * sum(x**2)`.

    >>> L1L2(l1=0.5, l2=0.25)(np.array([1.0, -2.0]))
    2.75
    """

    def __init__(self, l1: float | None = 0.0, l2: float | None = 0.0) -> None:
        self.l1 = _factor("l1", 0.0 if l1 is None else l1)
        self.l2 = _factor("l2", 0.0 if l2 is None else l2)

    def forward(self, x: Array) -> tuple[float, PenaltyVjp]:
        read = x if x.dtype.char in "fd" else x.astype(np.float64)

        def vjp(d_penalty: float) -> Array:
            d_x = penalty_gradient(read, self.l1, self.l2, d_penalty)
            return d_x.astype(x.dtype, copy=False)

        return penalty(read, self.l1, self.l2), vjp

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}


class L1(L1L2):
    """`l1 * sum(abs(x))`.

    >>> L1(0.5)(np.array([1.0, -2.0]))
    1.5
    """

    def __init__(self, l1: float | None = 0.01) -> None:
        super().__init__(l1=0.01 if l1 is None else l1)

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


class L2(L1L2):
    """`l2 * sum(x**2)`.

    >>> L2(0.5)(np.array([1.0, -2.0]))
    2.5
    """

    def __init__(self, l2: float | None = 0.01) -> None:
        super().__init__(l2=0.01 if l2 is None else l2)

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """`factor` times the mean of `abs(cos)` over all pairs of rows (or columns) of a matrix.

    >>> OrthogonalRegularizer(0.5)(np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]])) * 6
    1.0
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = _factor("factor", factor)
        if mode not in ("rows", "columns"):
            raise ValueError(
                "Invalid value for argument `mode`. Expected one of "
                f'{{"rows", "columns"}}. Received: mode={mode}'
            )
        self.mode = mode

    def forward(self, x: Array) -> tuple[float, PenaltyVjp]:
        if x.ndim != 2:
            raise ValueError(
                "Inputs to OrthogonalRegularizer must have rank 2. Received: "
                f"inputs.shape={x.shape}"
            )
        rows = x if self.mode == "rows" else x.T
        count = len(rows)
        inverse, bounded = _inverse_norms(rows)
        units = rows * inverse
        cosines = units @ units.T
        np.fill_diagonal(cosines, 0)
        # A single row has no pairs, so there is no penalty.
        share = self.factor / max(count * (count - 1), 1)
        penalty = share * float(np.abs(cosines).sum())

        def vjp(d_penalty: float) -> Array:
            d_units = (np.sign(cosines) @ units) * _like(x, 2 * d_penalty * share)
            along = (units * d_units).sum(axis=1, keepdims=True)
            d_rows = inverse * (d_units - np.where(bounded, 0, units * along))
            return np.ascontiguousarray(d_rows if self.mode == "rows" else d_rows.T)

        return penalty, vjp

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "mode": self.mode}


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer

_KIND = Kind("regularizer", "regularizers", Regularizer, {"l1l2": L1L2})


def get(identifier: Any) -> Any:
    """The regularizer for a name, class, configuration, callable or regularizer.

    >>> get("l2").get_config()
    {'l2': 0.01}
    """
    return _KIND.get(identifier)


def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """The regularizer of a configuration; `custom_objects` names classes of your own."""
    return _KIND.deserialize(config, custom_objects)


def serialize(regularizer: Any) -> Any:
    """The configuration of a regularizer, as plain data; a function by its name.

    >>> serialize(L1(0.5))["config"]
    {'l1': 0.5}
    """
    return _KIND.serialize(regularizer)


def penalty_of(regularizer: Any, x: Array) -> tuple[float, Callable[[float, Gradients], Array]]:
    """The penalty of any regularizer and `vjp(d_penalty, grads) -> d_x`, traced if necessary.

    >>> penalty, vjp = penalty_of(L2(0.5), np.array([1.0, -2.0]))
    >>> penalty, vjp(1.0, Gradients()).tolist()
    (2.5, [1.0, -2.0])
    """
    kind = type(regularizer)
    if hasattr(kind, "forward") and not overridden(kind, "__call__", "forward", Regularizer):
        penalty, own_vjp = regularizer.forward(x)
        return float(penalty), lambda d_penalty, grads: own_vjp(d_penalty)

    def traced(d_penalty: float, grads: Gradients) -> Array:
        value, vjp = tracing.differentiate(regularizer, x)
        d_x: Array = vjp(np.asarray(d_penalty, np.asarray(value).dtype), grads)
        return d_x

    return float(regularizer(x)), traced


def factors_of(regularizer: Any) -> tuple[float, float] | None:
    """The factors of absolute values and of squares, None if there is more to a regularizer.

    >>> factors_of(L1(0.5)), factors_of(OrthogonalRegularizer())
    ((0.5, 0.0), None)
    """
    known = type(regularizer) in (L1, L2, L1L2)
    return (float(regularizer.l1), float(regularizer.l2)) if known else None


def _factor(argument: str, value: Any) -> float:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        raise ValueError(
            f"Invalid value for argument {argument}: expected a non-negative float. "
            f"Received: {argument}={value!r}"
        )
    return float(value)


def _floating(x: Any) -> Array:
    array = np.asarray(x)
    return array if array.dtype.kind == "f" else array.astype(np.float64)


def _like(x: Array, factor: float) -> Any:
    """A number in the array's dtype, so that a product with it keeps that dtype."""
    return x.dtype.type(factor)


def _inverse_norms(rows: Array) -> tuple[Array, Array]:
    """The inverse norm of each row, at most 1 / epsilon, and where that bound applies."""
    norms = np.sqrt(np.square(rows).sum(axis=1, keepdims=True))
    bounded = norms < epsilon()
    return _like(rows, 1.0) / np.maximum(norms, _like(rows, epsilon())), bounded
