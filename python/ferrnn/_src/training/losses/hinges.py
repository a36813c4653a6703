"""Margin losses: hinge, squared hinge and categorical hinge."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.training.averaged import Measure
from ferrnn._src.training.formulas import ValuesVjp
from ferrnn._src.training.loss import Loss, rewritten
from ferrnn._src.training.losses.regression_formulas import mean_of
from ferrnn._src.tree.types import Array


def signs(y_true: Array) -> Array:
    """Turns labels 0 and 1 into -1 and 1; any other labels are unchanged.

    >>> signs(np.array([0.0, 1.0])).tolist(), signs(np.array([-1.0, 1.0])).tolist()
    ([-1.0, 1.0], [-1.0, 1.0])
    """
    return 2.0 * y_true - 1.0 if np.all((y_true == 0) | (y_true == 1)) else y_true


class Hinge(Loss):
    """`mean(max(1 - y p, 0))` over the last axis; labels -1 and 1, or 0 and 1, which become these.

    >>> round(float(Hinge()([[0.0, 1.0], [0.0, 0.0]], [[0.5, 0.5], [-0.5, -2.0]])), 4)
    0.625
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "hinge",
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient with respect to `y_pred`."""
        true = signs(y_true)
        short = np.maximum(1.0 - true * y_pred, 0)
        return mean_of(short, np.where(short > 0, -true, 0))

    def measured(self) -> Measure | None:
        """The mean error in the engine's form."""
        return None if rewritten(self, Hinge) else ("hinge", "", ())


class SquaredHinge(Loss):
    """`mean(max(1 - y p, 0)^2)` over the last axis; labels as for `Hinge`.

    >>> round(float(SquaredHinge()([[0.0, 1.0], [0.0, 0.0]], [[0.5, 0.5], [-0.5, -2.0]])), 4)
    0.6875
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "squared_hinge",
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient with respect to `y_pred`."""
        true = signs(y_true)
        short = np.maximum(1.0 - true * y_pred, 0)
        return mean_of(short * short, -2.0 * true * short)

    def measured(self) -> Measure | None:
        """The mean error in the engine's form."""
        return None if rewritten(self, SquaredHinge) else ("squared hinge", "", ())


class CategoricalHinge(Loss):
    """`max(max((1 - y) p) - sum(y p) + 1, 0)` over the last axis, for `[batch, ..., classes]`.

    >>> float(CategoricalHinge()([[0.0, 1.0]], [[0.5, 0.25]]))
    1.25
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_hinge",
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient with respect to `y_pred`."""
        others = (1.0 - y_true) * y_pred
        highest = others.max(axis=-1, keepdims=True)
        values = np.maximum(highest[..., 0] - np.sum(y_true * y_pred, axis=-1) + 1.0, 0)

        def vjp(d_values: Array) -> Array:
            at_top = others == highest  # several maxima share the gradient
            share = at_top / np.add.reduce(at_top, axis=-1, keepdims=True, dtype=y_pred.dtype)
            active = np.where(values > 0, d_values, 0)[..., None]
            d_pred: Array = active * ((1.0 - y_true) * share - y_true)
            return d_pred

        return values, vjp


def hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Values `[batch, ...]` of `Hinge`, for arrays `[batch, ..., labels]`.

    >>> hinge([[0.0, 1.0]], [[0.5, 0.5]]).tolist()
    [1.0]
    """
    return Hinge().values(y_true, y_pred)


def squared_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Values `[batch, ...]` of `SquaredHinge`, for arrays `[batch, ..., labels]`.

    >>> squared_hinge([[0.0, 1.0]], [[0.5, 0.5]]).tolist()
    [1.25]
    """
    return SquaredHinge().values(y_true, y_pred)


def categorical_hinge(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Values `[batch, ...]` of `CategoricalHinge`, for arrays `[batch, ..., classes]`.

    >>> categorical_hinge([[0.0, 1.0]], [[0.5, 0.25]]).tolist()
    [1.25]
    """
    return CategoricalHinge().values(y_true, y_pred)
