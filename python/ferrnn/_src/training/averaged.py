"""Means of losses that the engine computes, with plans and without: one definition for both."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.configs.objects import Configured
from ferrnn._src.native import mean_loss
from ferrnn._src.training.reduction import both, weights_of
from ferrnn._src.tree.types import Array, Mask

# What the engine averages: its name, what targets are, and numbers of its own.
Measure: TypeAlias = "tuple[str, str, tuple[float, ...]]"

# What a reduction divides the weighted sum of values by: their number, their weights, or nothing.
DIVISORS = {
    "sum_over_batch_size": "rows",
    "mean": "rows",
    "mean_with_sample_weight": "weights",
    "sum": "one",
}


class Averaged(Configured):
    """A loss whose mean over all values is computed by the engine, where it can be."""

    dtype: str | None
    reduction: str | None
    # The label whose values do not count.
    ignore_class: int | None = None

    def measured(self) -> Measure | None:
        """What the engine averages for this loss, None where it does not know it."""
        return None

    def counts(self, y_true: Array, values: Array) -> Mask | None:
        """Which `values` count, or None for all of them."""
        return None

    def _aligned(
        self, true: Array, pred: Array, mask: Mask | None, sample_weight: ArrayLike | None
    ) -> tuple[Array, Array]:
        """Targets and predictions of shapes and types that go together."""
        raise NotImplementedError(f"{type(self).__name__} must define `_aligned`")

    def engine_mean(
        self,
        y_true: Any,
        y_pred: Any,
        sample_weight: ArrayLike | None,
        mask: Mask | None,
        differentiable: bool = False,
    ) -> tuple[float, Array | None] | None:
        """The reduced loss and the gradient of `y_pred`, if the engine has the reduction."""
        divisor = DIVISORS.get(self.reduction or "")
        if divisor is None:
            return None
        plain = sample_weight is None and mask is None and self.ignore_class is None
        if plain and divisor != "one":
            return self.unweighted_mean(y_true, y_pred, differentiable)
        found = self.weighted_mean(y_true, y_pred, sample_weight, mask, differentiable, divisor)
        return None if found is None else (found[0], found[2])

    def unweighted_mean(
        self, y_true: Any, y_pred: Any, differentiable: bool = False
    ) -> tuple[float, Array | None] | None:
        """The mean over all values and the gradient of `y_pred`, if the engine has it."""
        if type(y_true) is not np.ndarray or not (self._takes(y_pred) and y_pred.ndim):
            return None
        true, pred = self._aligned(y_true, y_pred, None, None)
        found = self._by_engine(true, pred, differentiable)
        return None if found is None else (found[0], _of_shape(found[2], y_pred))

    def weighted_mean(
        self,
        y_true: Any,
        y_pred: Any,
        sample_weight: ArrayLike | None,
        mask: Mask | None = None,
        differentiable: bool = False,
        divisor: str = "weights",
    ) -> tuple[float, float, Array | None] | None:
        """The weighted mean, the sum of weights, and the gradient, if the engine has them.

        The weighted sum is divided by a `divisor`: that of "weights", the number of "rows", "one".
        """
        if not self._takes(y_pred):
            return None
        true, pred = self._aligned(np.asarray(y_true), y_pred, mask, sample_weight)
        if pred.ndim < 2:
            return None
        values = np.broadcast_to(np.float64(0), pred.shape[:-1])
        counted = both(mask, self.counts(true, values))
        weights = weights_of(values, sample_weight, counted, rescale=divisor == "rows")
        weights = np.ones(values.shape) if weights is None else weights
        found = self._by_engine(true, pred, differentiable, weights, divisor)
        return None if found is None else (*found[:2], _of_shape(found[2], y_pred))

    def _takes(self, y_pred: Any) -> bool:
        return (
            self.measured() is not None
            and type(y_pred) is np.ndarray
            and y_pred.dtype.char in "fd"
            and (self.dtype is None or self.dtype == y_pred.dtype.name)
            and y_pred.size > 0
        )

    def _by_engine(
        self,
        true: Array,
        pred: Array,
        differentiable: bool,
        weights: Array | None = None,
        divisor: str = "rows",
    ) -> tuple[float, float, Array | None] | None:
        measure = self.measured()
        assert measure is not None, "`_takes` has asked"
        true, pred = (np.ascontiguousarray(each, pred.dtype) for each in (true, pred))
        if weights is not None:
            weights = np.ascontiguousarray(weights)
        try:
            return mean_loss(measure, true, pred, differentiable, weights, divisor)
        except ValueError:  # a label that is no class: `pointwise` says so
            return None


def _of_shape(slope: Array | None, y_pred: Array) -> Array | None:
    return None if slope is None else slope.reshape(y_pred.shape)
