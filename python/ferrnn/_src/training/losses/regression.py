"""The losses of regression: errors of numbers, angles, counts and distributions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.configs import config
from ferrnn._src.training import formulas
from ferrnn._src.training.averaged import Measure
from ferrnn._src.training.formulas import ValuesVjp
from ferrnn._src.training.loss import Loss, rewritten
from ferrnn._src.training.losses import regression_formulas, target_formulas
from ferrnn._src.training.losses.axes import moved_back
from ferrnn._src.tree.types import Array


class MeanSquaredError(Loss):
    """`mean((y_true - y_pred)^2)` over the last axis, for `[batch, ..., features]`.

    >>> float(MeanSquaredError()([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 0.0]]))
    0.5
    """

    symmetric = True

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient with respect to `y_pred`."""
        return formulas.squared_error(y_true, y_pred)

    def measured(self) -> Measure | None:
        """The mean error in the engine's form."""
        return None if rewritten(self, MeanSquaredError) else ("squared", "", ())


class MeanAbsoluteError(Loss):
    """`mean(|y_true - y_pred|)` over the last axis, for `[batch, ..., features]`.

    >>> float(MeanAbsoluteError()([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [3.0, 0.0]]))
    1.0
    """

    symmetric = True

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient with respect to `y_pred`."""
        return formulas.absolute_error(y_true, y_pred)

    def measured(self) -> Measure | None:
        """The mean error in the engine's form."""
        return None if rewritten(self, MeanAbsoluteError) else ("absolute", "", ())


class MeanAbsolutePercentageError(Loss):
    """`100 mean(|y - p| / max(|y|, eps))` over the last axis, for `[batch, ..., features]`.

    >>> float(MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 5.0]]))
    37.5
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_percentage_error",
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient with respect to `y_pred`."""
        return regression_formulas.percentage_error(y_true, y_pred)

    def measured(self) -> Measure | None:
        """The mean error in the engine's form."""
        return (
            None
            if rewritten(self, MeanAbsolutePercentageError)
            else ("percentage", "", (config.epsilon(),))
        )

    def by_targets(self, y_true: Array, y_pred: Array) -> ValuesVjp:
        """The gradient of the values with respect to `y_true`."""
        return target_formulas.percentage_error(y_true, y_pred)


class MeanSquaredLogarithmicError(Loss):
    """`mean((log(1 + y) - log(1 + p))^2)` over the last axis, for `[batch, ..., features]`.

    Numbers below eps count as eps.

    >>> round(float(MeanSquaredLogarithmicError()([[0.0, 1.0]], [[1.0, 1.0]])), 4)
    0.2402
    """

    symmetric = True

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_logarithmic_error",
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient with respect to `y_pred`."""
        return regression_formulas.squared_logarithmic_error(y_true, y_pred)

    def measured(self) -> Measure | None:
        """The mean error in the engine's form."""
        return (
            None
            if rewritten(self, MeanSquaredLogarithmicError)
            else ("logarithmic", "", (config.epsilon(),))
        )


class Huber(Loss):
    """`mean(e^2 / 2)` where `|e| <= delta`, else `mean(delta |e| - delta^2 / 2)`; `e = p - y`.

    For `[batch, ..., features]`; the mean is over the last axis.

    >>> float(Huber()([[0.0, 1.0]], [[3.0, 1.5]]))
    1.3125
    """

    symmetric = True

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "huber_loss",
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.delta = delta

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient with respect to `y_pred`."""
        return regression_formulas.huber(y_true, y_pred, self.delta)

    def measured(self) -> Measure | None:
        """The mean error in the engine's form."""
        known = not rewritten(self, Huber) and self.delta >= 0
        return ("huber", "", (float(self.delta),)) if known else None

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "delta": self.delta}


class LogCosh(Loss):
    """`mean(log(cosh(y_pred - y_true)))` over the last axis, for `[batch, ..., features]`.

    >>> round(float(LogCosh()([[0.0, 1.0]], [[1.0, 1.0]])), 4)
    0.2169
    """

    symmetric = True

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "log_cosh",
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient with respect to `y_pred`."""
        return regression_formulas.log_cosh(y_true, y_pred)

    def measured(self) -> Measure | None:
        """The mean error in the engine's form."""
        return None if rewritten(self, LogCosh) else ("log cosh", "", ())


class CosineSimilarity(Loss):
    """`-sum(y p) / (|y| |p|)` over `axis`: -1 for the same direction, 1 for the opposite one.

    >>> round(float(CosineSimilarity()([[0.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 1.0]])), 4)
    -0.5
    """

    symmetric = True

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "cosine_similarity",
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.axis = axis

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient with respect to `y_pred`."""
        true, pred = np.moveaxis(y_true, self.axis, -1), np.moveaxis(y_pred, self.axis, -1)
        values, vjp = regression_formulas.cosine_similarity(true, pred)
        return -values, moved_back(lambda d_values: -vjp(d_values), self.axis)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "axis": self.axis}


class Poisson(Loss):
    """`mean(p - y log(p + eps))` over the last axis, for `[batch, ..., features]`.

    >>> round(float(Poisson()([[0.0, 1.0]], [[1.0, 1.0]])), 4)
    1.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "poisson",
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient with respect to `y_pred`."""
        return regression_formulas.poisson(y_true, y_pred)

    def measured(self) -> Measure | None:
        """The mean error in the engine's form."""
        return None if rewritten(self, Poisson) else ("poisson", "", (config.epsilon(),))

    def by_targets(self, y_true: Array, y_pred: Array) -> ValuesVjp:
        """The gradient of the values with respect to `y_true`."""
        return target_formulas.poisson(y_pred)


class KLDivergence(Loss):
    """`sum(y log(y / p))` over the last axis, both clipped to [eps, 1]; `[batch, ..., classes]`.

    >>> round(float(KLDivergence()([[0.5, 0.5]], [[0.25, 0.75]])), 4)
    0.1438
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "kl_divergence",
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient with respect to `y_pred`."""
        return regression_formulas.kl_divergence(y_true, y_pred)

    def measured(self) -> Measure | None:
        """The mean error in the engine's form."""
        return None if rewritten(self, KLDivergence) else ("divergence", "", (config.epsilon(),))

    def by_targets(self, y_true: Array, y_pred: Array) -> ValuesVjp:
        """The gradient of the values with respect to `y_true`."""
        return target_formulas.kl_divergence(y_true, y_pred)


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Values `[batch, ...]` of `MeanSquaredError`, for arrays `[batch, ..., features]`.

    >>> mean_squared_error([[0.0, 1.0]], [[1.0, 1.0]]).tolist()
    [0.5]
    """
    return MeanSquaredError().values(y_true, y_pred)


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Values `[batch, ...]` of `MeanAbsoluteError`, for arrays `[batch, ..., features]`.

    >>> mean_absolute_error([[0.0, 1.0]], [[2.0, 1.0]]).tolist()
    [1.0]
    """
    return MeanAbsoluteError().values(y_true, y_pred)


def mean_absolute_percentage_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Values `[batch, ...]` of `MeanAbsolutePercentageError`, for arrays `[batch, ..., features]`.

    >>> mean_absolute_percentage_error([[2.0, 4.0]], [[1.0, 5.0]]).tolist()
    [37.5]
    """
    return MeanAbsolutePercentageError().values(y_true, y_pred)


def mean_squared_logarithmic_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Values `[batch, ...]` of `MeanSquaredLogarithmicError`, for arrays `[batch, ..., features]`.

    >>> mean_squared_logarithmic_error([[0.0, 1.0]], np.array([[1.0, 1.0]])).round(4).tolist()
    [0.2402]
    """
    return MeanSquaredLogarithmicError().values(y_true, y_pred)


def huber(y_true: ArrayLike, y_pred: ArrayLike, delta: float = 1.0) -> Array:
    """Values `[batch, ...]` of `Huber`, for arrays `[batch, ..., features]`.

    >>> huber([[0.0, 1.0]], [[3.0, 1.5]], delta=2.0).tolist()
    [2.0625]
    """
    return Huber(delta=delta).values(y_true, y_pred)


def log_cosh(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Values `[batch, ...]` of `LogCosh`, for arrays `[batch, ..., features]`.

    >>> log_cosh([[0.0, 1.0]], np.array([[1.0, 1.0]])).round(4).tolist()
    [0.2169]
    """
    return LogCosh().values(y_true, y_pred)


def cosine_similarity(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> Array:
    """Values `[batch, ...]` of `CosineSimilarity`, for arrays `[batch, ..., features]`.

    >>> cosine_similarity([[0.0, 1.0]], [[0.0, 2.0]]).tolist()
    [-1.0]
    """
    return CosineSimilarity(axis=axis).values(y_true, y_pred)


def poisson(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Values `[batch, ...]` of `Poisson`, for arrays `[batch, ..., features]`.

    >>> poisson([[0.0, 1.0]], np.array([[1.0, 1.0]])).round(4).tolist()
    [1.0]
    """
    return Poisson().values(y_true, y_pred)


def kl_divergence(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Values `[batch, ...]` of `KLDivergence`, for arrays `[batch, ..., features]`.

    >>> kl_divergence([[0.5, 0.5]], np.array([[0.25, 0.75]])).round(4).tolist()
    [0.1438]
    """
    return KLDivergence().values(y_true, y_pred)
