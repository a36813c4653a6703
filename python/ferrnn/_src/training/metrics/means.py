"""Metrics that are weighted means or sums of values per sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.configs.objects import written
from ferrnn._src.training import losses
from ferrnn._src.training.metrics.metric import Accumulator, Metric, divided
from ferrnn._src.training.reduction import as_float, same_rank, weights_of
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights.parameter import Parameter


class Weighted(Metric):
    """The base of metrics with a weighted sum of values and a sum of weights, both in float64."""

    def __init__(self, dtype: object = None, name: str | None = None) -> None:
        super().__init__(dtype, name)
        self._total, self._count = 0.0, 0.0

    def reset_state(self) -> None:
        """Resets to the state without batches."""
        super().reset_state()
        self._total, self._count = 0.0, 0.0

    def _gather(
        self, values: Array, sample_weight: ArrayLike | None, mask: Mask | None = None
    ) -> None:
        # Divided by the number of steps, so that a sample counts once, however many steps it has.
        steps = values.size / len(values) if values.ndim > 1 and len(values) else 1.0
        if mask is None and sample_weight is None:
            self._total += float(np.add.reduce(values, axis=None, dtype=np.float64)) / steps
            self._count += values.size / steps
            return
        given = None if sample_weight is None else np.asarray(sample_weight)
        if mask is None and given is not None and given.ndim == 0:  # one weight for the whole batch
            if values.size:
                self._total += float(np.mean(values, dtype=np.float64)) * float(given)
                self._count += float(given)
            return
        if values.ndim == 0:  # one value for the batch, counted once for each weight
            like = mask if given is None else given
            values = np.broadcast_to(values, np.shape(np.asarray(like)))
        values = np.asarray(values, np.float64)
        weights = np.asarray(weights_of(values, given, mask, rescale=False))
        # Flattened, as the engine sums it in the same order: see `weighted_hits`.
        self._total += float(np.add.reduce((values * weights).ravel())) / steps
        self._count += float(np.add.reduce(weights.ravel())) / steps

    def add(self, value: float, weight: float) -> None:
        """Adds one number, a fast path."""
        self._total += value * weight
        self._count += weight

    def put(self, total: float, count: float) -> None:
        """Sets both sums, to which the caller has added."""
        self._total, self._count = total, count

    @property
    def variables(self) -> list[Parameter]:
        """Copies of the sum of values and the sum of weights, then the variables of a subclass."""
        pairs = (("total", self._total), ("count", self._count))
        copies = [
            Accumulator(value, name, trainable=False, path=f"{self.name}/{name}")
            for name, value in pairs
        ]
        return [*copies, *super().variables]

    @property
    def total(self) -> float:
        """The weighted sum of values."""
        return self._total

    @property
    def count(self) -> float:
        """The sum of weights."""
        return self._count

    @property
    def _mean(self) -> float:
        return self._total / self._count if self._count else 0.0


class Mean(Weighted):
    """The weighted mean of values.

    >>> mean = Mean()
    >>> mean.update_state([1, 3, 5, 7])
    >>> mean.update_state([2], sample_weight=[4])
    >>> mean.result()
    3.0
    """

    def __init__(self, name: str | None = "mean", dtype: object = None) -> None:
        super().__init__(dtype=dtype, name=name)

    def update_state(self, values: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Adds values `[batch, ...]`."""
        self._gather(as_float(values), sample_weight)

    def reset_state(self) -> None:
        """Resets to the state without batches."""
        if type(self) is Mean and not self._variables:  # as before each batch of `train_on_batch`
            self.put(0.0, 0.0)
        else:
            super().reset_state()

    def result(self) -> float:
        """The mean since the last reset; 0 before the first batch."""
        return self._mean


class Sum(Metric):
    """The weighted sum of values.

    >>> total = Sum()
    >>> total([1, 3, 5, 7]), total([2], sample_weight=[4])
    (16.0, 24.0)
    """

    def __init__(self, name: str | None = "sum", dtype: object = None) -> None:
        super().__init__(dtype=dtype, name=name)
        self.total = self.add_variable((), "zeros", "float64", name="total")

    def update_state(self, values: ArrayLike, sample_weight: ArrayLike | None = None) -> None:
        """Adds values `[batch, ...]`."""
        array = as_float(values)
        if sample_weight is not None and np.ndim(sample_weight) == 0:
            array = array * as_float(sample_weight)
        elif sample_weight is not None:
            array = array * weights_of(array, sample_weight, None, rescale=False)
        self.total.assign_add(np.sum(array, dtype=np.float64))

    def result(self) -> float:
        """The sum since the last reset."""
        return float(self.total)


class MeanMetricWrapper(Weighted):
    """The mean of the values of `fn(y_true, y_pred)` for each sample.

    >>> def worst(y_true, y_pred):
    ...     return abs(y_true - y_pred).max(-1)
    >>> MeanMetricWrapper(worst)(np.zeros((2, 2)), np.array([[1.0, 3.0], [1.0, 1.0]]))
    2.0
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str | None = None,
        dtype: object = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        self._fn = fn
        self._arguments = kwargs
        if fn in losses.registry.CLASSES or isinstance(getattr(fn, "__self__", fn), losses.Loss):
            self._direction = "down"

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Adds a batch; a mask attached to `y_pred` is applied."""
        mask = getattr(y_pred, "_keras_mask", None)
        values = as_float(self._fn(np.asarray(y_true), as_float(y_pred), **self._arguments))
        self._gather(values, sample_weight, mask)

    def result(self) -> float:
        """The mean since the last reset; 0 before the first batch."""
        return self._mean

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "fn": written(self._fn), **self._arguments}


class FixedFunction(MeanMetricWrapper):
    """A `MeanMetricWrapper` with a fixed function: its configuration has only the arguments.

    >>> class Distance(FixedFunction):
    ...     def __init__(self, name="distance", dtype=None, scale=1.0):
    ...         super().__init__(lambda t, p, scale: abs(t - p) * scale, name, dtype, scale=scale)
    >>> Distance(scale=2.0).get_config()
    {'name': 'distance', 'dtype': 'float32', 'scale': 2.0}
    """

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**Metric.get_config(self), **self._arguments}


class MeanRelativeError(Weighted):
    """The mean of `|y_true - y_pred| / normalizer`, 0 where the normalizer is 0 (of Keras 2).

    >>> round(MeanRelativeError(normalizer=[1, 3, 2, 3])([1, 3, 2, 3], [2, 4, 6, 8]), 4)
    1.25
    """

    _direction = "down"

    def __init__(
        self, normalizer: ArrayLike, name: str | None = None, dtype: object = None
    ) -> None:
        super().__init__(dtype=dtype, name=name)
        self.normalizer = as_float(normalizer)

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Adds a batch."""
        true, pred = same_rank(as_float(y_true), as_float(y_pred))
        self._gather(divided(np.abs(true - pred), self.normalizer), sample_weight)

    def result(self) -> float:
        """The mean since the last reset; 0 before the first batch."""
        return self._mean

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "normalizer": self.normalizer}
