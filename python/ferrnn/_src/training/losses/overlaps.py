"""The losses of overlaps between regions, for segmentation: Dice and Tversky."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.configs import config
from ferrnn._src.training.formulas import ValuesVjp
from ferrnn._src.training.loss import Loss
from ferrnn._src.tree.types import Array

Axes: TypeAlias = "int | tuple[int, ...] | None"


def _ratio(over: Array, under: Array) -> tuple[Array, Array, Array]:
    """`1 - over / (under + eps)`, and its derivatives with respect to `over` and `under`."""
    under = under + config.epsilon()
    return 1.0 - over / under, -1.0 / under, over / (under * under)


def _spread(values: Array, like: Array, axis: Axes) -> Array:
    """`values` with the summed axes put back as axes of size 1."""
    if axis is None:
        return np.reshape(values, (1,) * like.ndim)
    return np.expand_dims(values, axis)


class Dice(Loss):
    """`1 - 2 sum(y p) / (sum(y) + sum(p))` over `axis` (None: all axes, one value for the batch).

    >>> true, pred = [[0.0, 1.0], [1.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]
    >>> round(float(Dice()(true, pred)), 4)
    0.2
    """

    symmetric = True

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "dice",
        axis: Axes = None,
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.axis = tuple(axis) if isinstance(axis, list | tuple) else axis

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values, of the shape that `axis` leaves, and their gradient with respect to `y_pred`."""
        both = 2.0 * np.sum(y_true * y_pred, axis=self.axis)
        either = np.sum(y_true, axis=self.axis) + np.sum(y_pred, axis=self.axis)
        values, by_both, by_either = _ratio(both, either)

        def vjp(d_values: Array) -> Array:
            d_both = _spread(d_values * by_both, y_pred, self.axis)
            d_pred: Array = 2.0 * y_true * d_both + _spread(d_values * by_either, y_pred, self.axis)
            return d_pred

        return np.asarray(values), vjp

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "axis": self.axis}


class Tversky(Loss):
    """`1 - both / (both + alpha * false + beta * missed)` over `axis` (None: all axes).

    `both = sum(y p)`, `missed = sum(y (1 - p))`, `false = sum(p (1 - y))`. With `alpha` and `beta`
    0.5 it is `Dice`. Keras up to 3.15 has them the other way round.

    >>> true, pred = [[0.0, 1.0], [1.0, 1.0]], [[0.0, 1.0], [1.0, 0.0]]
    >>> round(float(Tversky(alpha=0.0, beta=1.0)(true, pred)), 4)
    0.3333
    """

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "tversky",
        axis: Axes = None,
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.alpha = alpha
        self.beta = beta
        self.axis = tuple(axis) if isinstance(axis, list | tuple) else axis

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values, of the shape that `axis` leaves, and their gradient with respect to `y_pred`."""
        both = np.sum(y_true * y_pred, axis=self.axis)
        missed = np.sum((1.0 - y_pred) * y_true, axis=self.axis)
        false = np.sum(y_pred * (1.0 - y_true), axis=self.axis)
        under = both + false * self.alpha + missed * self.beta
        values, by_both, by_under = _ratio(both, under)
        d_under = y_true - self.beta * y_true + self.alpha * (1.0 - y_true)

        def vjp(d_values: Array) -> Array:
            d_pred: Array = y_true * _spread(d_values * by_both, y_pred, self.axis)
            d_pred += d_under * _spread(d_values * by_under, y_pred, self.axis)
            return d_pred

        return np.asarray(values), vjp

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"alpha": self.alpha, "beta": self.beta, "axis": self.axis}
        return {**super().get_config(), **own}


def dice(y_true: ArrayLike, y_pred: ArrayLike, axis: Axes = None) -> Array:
    """The value of `Dice`, or the values that `axis` leaves.

    >>> dice([[0, 1], [1, 1]], [[0.0, 1.0], [1.0, 0.0]], axis=-1).round(4).tolist()
    [0.0, 0.33329999446868896]
    """
    return Dice(axis=axis).values(y_true, y_pred)


def tversky(
    y_true: ArrayLike, y_pred: ArrayLike, alpha: float = 0.5, beta: float = 0.5, axis: Axes = None
) -> Array:
    """The value of `Tversky`, or the values that `axis` leaves.

    >>> tversky([[0, 1], [1, 1]], np.array([[0.0, 1.0], [1.0, 0.0]])).round(4).tolist()
    0.2
    """
    return Tversky(alpha, beta, axis=axis).values(y_true, y_pred)
