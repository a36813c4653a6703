"""Means of losses that the engine computes, with plans and without: one definition for both."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.configs.objects import Configured
from ferrnn._src.native import mean_loss
from ferrnn._src.tree.types import Array

# What the engine averages: its name, what targets are, a number of its own, and an epsilon.
Measure: TypeAlias = "tuple[str, str, float, float]"

# The reductions that give the mean over all values where nothing is weighed.
MEANS = ("sum_over_batch_size", "mean", "mean_with_sample_weight")


class Averaged(Configured):
    """A loss whose mean over all values is the engine's, where that knows the loss."""

    dtype: str | None

    def measured(self) -> Measure | None:
        """What the engine averages for this loss, None where it does not know it."""
        return None

    def engine_arrays(self, y_true: Any, y_pred: Array) -> tuple[Array, Array] | None:
        """Targets and predictions as the engine takes them, where nothing is weighed."""
        fit = y_true.shape == y_pred.shape and y_true.dtype == y_pred.dtype
        return (y_true, y_pred) if fit else None

    def unweighted_mean(
        self, y_true: Any, y_pred: Any, differentiable: bool = False
    ) -> tuple[float, Array | None] | None:
        """The mean over all values and its gradient by `y_pred`, if the engine has it."""
        measure = self.measured()
        if (
            measure is None
            or type(y_pred) is not np.ndarray
            or type(y_true) is not np.ndarray
            or y_pred.dtype.char not in "fd"
            or not (self.dtype is None or self.dtype == y_pred.dtype.name)
            or not (y_pred.size and y_pred.ndim)
        ):
            return None
        arrays = self.engine_arrays(y_true, y_pred)
        if arrays is None:
            return None
        true, pred = (np.ascontiguousarray(each, y_pred.dtype) for each in arrays)
        try:
            value, slope = mean_loss(measure, true, pred, differentiable)
        except ValueError:  # a label that is no class: `pointwise` says so
            return None
        return value, None if slope is None else slope.reshape(y_pred.shape)
