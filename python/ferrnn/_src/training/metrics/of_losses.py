"""Metrics that are the mean of a loss, or the root of one."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.training import losses
from ferrnn._src.training.loss import Loss
from ferrnn._src.training.metrics.means import FixedFunction
from ferrnn._src.training.reduction import as_float, same_rank, spread
from ferrnn._src.tree.types import Array


class OfLoss(FixedFunction):
    """The mean of a loss' values, as a metric.

    >>> OfLoss(losses.MeanSquaredError(), "mse", None)([[1.0]], [[3.0]])
    4.0
    """

    _direction = "down"

    def __init__(self, loss: Loss, name: str | None, dtype: object, **arguments: Any) -> None:
        super().__init__(loss.values, name, dtype)
        self.loss, self._settings = loss, arguments

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Adds a batch; a mask attached to `y_pred` is applied."""
        if np.ndim(y_pred) > 1 and self._added(y_true, y_pred, sample_weight):
            return
        super().update_state(y_true, y_pred, sample_weight)

    def _added(self, y_true: Any, y_pred: Any, sample_weight: Any) -> bool:
        """Adds a batch's mean from the engine, and tells whether the engine has it."""
        loss = self.loss
        if loss.ignore_class is not None:  # its values are zeros that count
            return False
        if sample_weight is None:
            short = loss.unweighted_mean(y_true, y_pred)
            if short is not None:
                self.add(short[0], len(y_pred))
            return short is not None
        if np.ndim(sample_weight) == 0 or type(y_pred) is not np.ndarray or not loss.measured():
            return False
        true, pred = loss._aligned(np.asarray(y_true), y_pred, None, None)
        found = loss.weighted_mean(true, pred, sample_weight)
        if found is not None:
            # A sample counts once, however many steps it has.
            self.add(found[0], found[1] / (math.prod(pred.shape[:-1]) / len(pred)))
        return found is not None

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), **self._settings}


class MeanSquaredError(OfLoss):
    """The mean of `(y_true - y_pred)^2`.

    >>> MeanSquaredError()([[0, 1], [0, 0]], [[1, 1], [0, 0]])
    0.25
    """

    def __init__(self, name: str | None = "mean_squared_error", dtype: object = None) -> None:
        super().__init__(losses.MeanSquaredError(), name, dtype)


class RootMeanSquaredError(OfLoss):
    """The root of the mean of `(y_true - y_pred)^2`.

    >>> RootMeanSquaredError()([[0, 1], [0, 0]], [[1, 1], [0, 0]])
    0.5
    """

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: object = None) -> None:
        super().__init__(losses.MeanSquaredError(), name, dtype)
        self._fn = _squares

    def _added(self, y_true: Any, y_pred: Any, sample_weight: Any) -> bool:
        # As in Keras, features may have weights too; the engine has them for whole rows only.
        true, pred = same_rank(np.asarray(y_true), np.asarray(y_pred))
        if true.shape != pred.shape:
            return False
        if np.ndim(sample_weight):
            weights = spread(np.asarray(sample_weight), pred.shape, "sample_weight")
            if weights.shape[-1] != 1:
                return False
            sample_weight = weights[..., 0]
        return super()._added(y_true, y_pred, sample_weight)

    def result(self) -> float:
        """The root of the mean since the last reset; 0 before the first batch."""
        return float(np.sqrt(self._mean))


def _squares(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """The squared errors in the shape of `y_pred`."""
    true, pred = same_rank(as_float(y_true), as_float(y_pred))
    error = pred - true
    return np.asarray(error * error)


class MeanAbsoluteError(OfLoss):
    """The mean of `|y_true - y_pred|`.

    >>> MeanAbsoluteError()([[0, 1], [0, 0]], [[1, 1], [0, 0]])
    0.25
    """

    def __init__(self, name: str | None = "mean_absolute_error", dtype: object = None) -> None:
        super().__init__(losses.MeanAbsoluteError(), name, dtype)


class MeanAbsolutePercentageError(OfLoss):
    """The mean of `100 |y_true - y_pred| / |y_true|`.

    >>> MeanAbsolutePercentageError()([[2.0, 4.0]], [[1.0, 5.0]])
    37.5
    """

    def __init__(
        self, name: str | None = "mean_absolute_percentage_error", dtype: object = None
    ) -> None:
        super().__init__(losses.MeanAbsolutePercentageError(), name, dtype)


class MeanSquaredLogarithmicError(OfLoss):
    """The mean of `(log(y_true + 1) - log(y_pred + 1))^2`.

    >>> round(MeanSquaredLogarithmicError()([[0, 1], [0, 0]], [[1, 1], [0, 0]]), 4)
    0.1201
    """

    def __init__(
        self, name: str | None = "mean_squared_logarithmic_error", dtype: object = None
    ) -> None:
        super().__init__(losses.MeanSquaredLogarithmicError(), name, dtype)


class LogCoshError(OfLoss):
    """The mean of `log(cosh(y_pred - y_true))`.

    >>> round(LogCoshError()([[0, 1], [0, 0]], [[1, 1], [0, 0]]), 4)
    0.1084
    """

    def __init__(self, name: str | None = "logcosh", dtype: object = None) -> None:
        super().__init__(losses.LogCosh(), name, dtype)


class Poisson(OfLoss):
    """The mean of `y_pred - y_true log(y_pred)`.

    >>> round(Poisson()([[0, 1], [0, 0]], [[1, 1], [0, 0]]), 4)
    0.5
    """

    def __init__(self, name: str | None = "poisson", dtype: object = None) -> None:
        super().__init__(losses.Poisson(), name, dtype)


class KLDivergence(OfLoss):
    """The mean of `sum(y_true log(y_true / y_pred))`.

    >>> round(KLDivergence()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]), 4)
    0.4581
    """

    def __init__(self, name: str | None = "kl_divergence", dtype: object = None) -> None:
        super().__init__(losses.KLDivergence(), name, dtype)


class Hinge(OfLoss):
    """The mean of `max(1 - y_true y_pred, 0)`; labels 0 and 1 become -1 and 1.

    >>> round(Hinge()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]), 4)
    1.3
    """

    def __init__(self, name: str | None = "hinge", dtype: object = None) -> None:
        super().__init__(losses.Hinge(), name, dtype)


class SquaredHinge(OfLoss):
    """The mean of `max(1 - y_true y_pred, 0)^2`; labels 0 and 1 become -1 and 1.

    >>> round(SquaredHinge()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]), 4)
    1.86
    """

    def __init__(self, name: str | None = "squared_hinge", dtype: object = None) -> None:
        super().__init__(losses.SquaredHinge(), name, dtype)


class CategoricalHinge(OfLoss):
    """The mean of `losses.categorical_hinge`.

    >>> round(CategoricalHinge()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]), 4)
    1.4
    """

    def __init__(self, name: str | None = "categorical_hinge", dtype: object = None) -> None:
        super().__init__(losses.CategoricalHinge(), name, dtype)


class BinaryCrossentropy(OfLoss):
    """The mean of `losses.binary_crossentropy`.

    >>> round(BinaryCrossentropy()([[0, 1], [0, 0]], [[0.6, 0.4], [0.4, 0.6]]), 4)
    0.8149
    """

    def __init__(
        self,
        name: str | None = "binary_crossentropy",
        dtype: object = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
    ) -> None:
        arguments = {"from_logits": from_logits, "label_smoothing": label_smoothing}
        loss = losses.BinaryCrossentropy(from_logits, label_smoothing)
        super().__init__(loss, name, dtype, **arguments)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing


class CategoricalCrossentropy(OfLoss):
    """The mean of `losses.categorical_crossentropy`.

    >>> round(CategoricalCrossentropy()([[0, 1, 0]], [[0.05, 0.9, 0.05]]), 4)
    0.1054
    """

    def __init__(
        self,
        name: str | None = "categorical_crossentropy",
        dtype: object = None,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
    ) -> None:
        arguments = {"from_logits": from_logits, "label_smoothing": label_smoothing, "axis": axis}
        loss = losses.CategoricalCrossentropy(from_logits, label_smoothing, axis)
        super().__init__(loss, name, dtype, **arguments)
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


class SparseCategoricalCrossentropy(OfLoss):
    """The mean of `losses.sparse_categorical_crossentropy`.

    >>> round(SparseCategoricalCrossentropy()([1], [[0.05, 0.9, 0.05]]), 4)
    0.1054
    """

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: object = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        arguments = {"from_logits": from_logits, "ignore_class": ignore_class, "axis": axis}
        loss = losses.SparseCategoricalCrossentropy(from_logits, ignore_class, axis=axis)
        super().__init__(loss, name, dtype, **arguments)
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Adds a batch; as in Keras, ignored labels count as 0 unless there are weights."""
        if self.ignore_class is not None and sample_weight is not None:
            counts = np.asarray(y_true) != self.ignore_class
            weights = np.asarray(sample_weight, np.float64)
            sample_weight = spread(weights, counts.shape, "sample_weight") * counts
        super().update_state(y_true, y_pred, sample_weight)
