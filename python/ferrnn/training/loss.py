"""What every loss is: values per sample, a reduction to one number, the gradient by `y_pred`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ferrnn.core import config, tracing
from ferrnn.core.names import snake_case, unique_name
from ferrnn.core.parameter import Gradients
from ferrnn.core.types import Array, Mask
from ferrnn.training.formulas import ValuesVjp
from ferrnn.training.reduction import (
    as_float,
    reduction_factor,
    same_rank,
    standardize_reduction,
    weights_of,
)

LossVjp: TypeAlias = Callable[[float, Gradients], Array]


class Loss:
    """A loss: `pointwise` gives values and their gradient, this class reduces and weighs them.

    `y_true` and `y_pred` are `[batch, ..., classes or features]`. `reduction` is
    "sum_over_batch_size" (the mean over all values), "sum", "mean", "mean_with_sample_weight" (the
    sum divided by the sum of weights) or "none". Computes in `dtype`, by default in that of
    `y_pred`. A subclass writes `pointwise`, or Keras' `call` in `ferrnn.ops`, whose gradient is
    found by tracing it.

    >>> class Quartic(Loss):
    ...     def pointwise(self, y_true, y_pred):
    ...         error = y_pred - y_true
    ...         return (error**4).mean(-1), lambda d: d[..., None] * 4 * error**3 / error.shape[-1]
    >>> loss = Quartic()
    >>> float(loss([[0.0], [0.0]], [[1.0], [2.0]]))
    8.5
    """

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: object = None,
    ) -> None:
        self.name = name or unique_name(snake_case(type(self).__name__))
        self.reduction = standardize_reduction(reduction)
        self.dtype = None if dtype is None else config.standardize_dtype(dtype)

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and `vjp(d_values) -> d_y_pred`, for arrays of equal rank."""
        if type(self).call is Loss.call:
            raise NotImplementedError(
                f"the loss {self.name!r} ({type(self).__name__}) defines neither "
                "`call(y_true, y_pred)` nor `pointwise(y_true, y_pred)`"
            )
        values, vjp = tracing.differentiate(lambda pred: self.call(y_true, pred), y_pred)

        def values_vjp(d_values: Array) -> Array:
            d_pred: Array = vjp(d_values, Gradients())
            return d_pred

        return as_float(values, y_pred.dtype), values_vjp

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Values `[batch, ...]`, before weights and reduction."""
        return self.pointwise(y_true, y_pred)[0]

    def values(self, y_true: ArrayLike, y_pred: ArrayLike) -> Array:
        """Values `[batch, ...]` for arrays as the user has them, before weights and reduction."""
        if tracing.current.get() is not None:
            traced: Array = self._traced(y_true, y_pred, self._values_and_vjp)
            return traced
        pred = as_float(y_pred, self.dtype)
        true, pred = self._aligned(np.asarray(y_true), pred, None, None)
        return as_float(self.call(true, pred), pred.dtype)

    def _values_and_vjp(self, y_true: Any, y_pred: Any) -> tuple[Array, Any]:
        pred = as_float(y_pred, self.dtype)
        true, aligned = self._aligned(np.asarray(y_true), pred, None, None)
        values, pointwise_vjp = self.pointwise(true, aligned)

        def vjp(d_values: Array, grads: Gradients) -> Array:
            return pointwise_vjp(d_values).reshape(pred.shape)

        return values, vjp

    def _traced(self, y_true: Any, y_pred: Any, forward: Callable[[Any, Any], Any]) -> Any:
        """`forward(y_true, y_pred)` as one node of a running trace."""
        if isinstance(y_true, tracing.Traced):
            raise TypeError(
                f"the loss {self.name!r} has no gradient by `y_true`, which is traced: give "
                "`ops.stop_gradient(y_true)`"
            )
        return tracing.record(lambda pred: forward(y_true, pred), y_pred)

    def counts(self, y_true: Array, values: Array) -> Mask | None:
        """Which `values` count, or None for all of them."""
        return None

    def __call__(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Any:
        """The reduced loss; a mask that rides on `y_pred` is honoured."""
        mask = getattr(y_pred, "_keras_mask", None)
        if tracing.current.get() is not None:

            def forward(true: Any, pred: Any) -> Any:
                return self.forward(true, pred, sample_weight=sample_weight, mask=mask)

            return self._traced(y_true, y_pred, forward)
        return self.evaluate(y_true, y_pred, sample_weight=sample_weight, mask=mask)

    def evaluate(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        mask: Mask | None = None,
    ) -> Any:
        """The reduced loss, without a gradient."""
        pred = as_float(y_pred, self.dtype)
        true, pred = self._aligned(np.asarray(y_true), pred, mask, sample_weight)
        values = as_float(self.call(true, pred), pred.dtype)
        if not values.ndim:
            values = np.broadcast_to(values, _shape_of_weights(sample_weight, mask))
        return self._reduce(values, sample_weight, _both(mask, self.counts(true, values)))[0]

    def forward(
        self,
        y_true: ArrayLike,
        y_pred: Array,
        *,
        sample_weight: ArrayLike | None = None,
        mask: Mask | None = None,
    ) -> tuple[Any, LossVjp]:
        """The reduced loss and `vjp(d_loss, grads) -> d_y_pred`.

        >>> from ferrnn.training.losses import MeanSquaredError
        >>> value, vjp = MeanSquaredError().forward(np.zeros((2, 1)), np.ones((2, 1)))
        >>> float(value), vjp(1.0, Gradients()).tolist()
        (1.0, [[1.0], [1.0]])
        """
        pred = as_float(y_pred, self.dtype)
        true, aligned = self._aligned(np.asarray(y_true), pred, mask, sample_weight)
        values, pointwise_vjp = self.pointwise(true, aligned)
        if not values.ndim:
            values = np.broadcast_to(values, _shape_of_weights(sample_weight, mask))
            pointwise_vjp = _summed(pointwise_vjp)
        mask = _both(mask, self.counts(true, values))
        value, weights, factor = self._reduce(values, sample_weight, mask)

        def vjp(d_loss: float, grads: Gradients) -> Array:
            d_values = np.empty(values.shape, values.dtype)
            d_values[...] = d_loss * factor  # `np.full` takes four times as long
            if weights is not None:
                d_values *= weights
            return pointwise_vjp(d_values).reshape(y_pred.shape).astype(y_pred.dtype, copy=False)

        return value, vjp

    def _aligned(
        self, true: Array, pred: Array, mask: Mask | None, sample_weight: ArrayLike | None
    ) -> tuple[Array, Array]:
        # `[batch, time]` against `[batch, time, 1]`: Keras drops the last axis and takes the mean
        # over time, unless there is a mask or a weight for each step to apply first.
        if true.ndim >= 2 and pred.ndim == true.ndim + 1 and pred.shape[-1] == 1:
            per_step = mask is not None or np.ndim(_or_zero(sample_weight)) == true.ndim
            true, pred = (true[..., None], pred) if per_step else (true, pred[..., 0])
        else:
            true, pred = same_rank(true, pred)
        return self.cast_targets(true, pred), pred

    def cast_targets(self, true: Array, pred: Array) -> Array:
        """`y_true` in the dtype of `y_pred`; the shapes must be equal."""
        if true.shape != pred.shape:
            raise ValueError(
                f"`y_true` and `y_pred` of the loss {self.name!r} must have the same shape, "
                f"received y_true of shape {true.shape} and y_pred of shape {pred.shape}"
            )
        return true.astype(pred.dtype, copy=False)

    def _reduce(
        self, values: Array, sample_weight: ArrayLike | None, mask: Mask | None
    ) -> tuple[Any, Array | None, float]:
        mean = self.reduction in ("sum_over_batch_size", "mean")
        weights = weights_of(values, sample_weight, mask, rescale=mean)
        weighted = values if weights is None else values * weights
        if self.reduction is None:
            return weighted, weights, 1.0
        factor = reduction_factor(
            values,
            weights,
            reduction=self.reduction,
            weighted=sample_weight is not None or mask is not None,
        )
        total = np.add.reduce(weighted, axis=None)
        return total * values.dtype.type(factor), weights, factor

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this loss again."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """A loss from what `get_config` gave."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name} reduction={self.reduction}>"


class LossFunctionWrapper(Loss):
    """A loss from a function `fn(y_true, y_pred)` of values, written in `ferrnn.ops` to train.

    >>> loss = LossFunctionWrapper(lambda y_true, y_pred: abs(y_true - y_pred).max(-1))
    >>> float(loss([[0.0, 0.0]], [[1.0, 3.0]]))
    3.0
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: object = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name or getattr(fn, "__name__", None), reduction, dtype)
        self.fn = fn
        self._arguments = kwargs

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """What the function gives."""
        return self.fn(y_true, y_pred, **self._arguments)  # type: ignore[no-any-return]

    def cast_targets(self, true: Array, pred: Array) -> Array:
        """`y_true` in the dtype of `y_pred`; the function decides about shapes."""
        return true.astype(pred.dtype, copy=False)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this loss again; the function by its name."""
        function = {
            "module": "builtins",
            "class_name": "function",
            "config": getattr(self.fn, "__name__", type(self.fn).__name__),
            "registered_name": "function",
        }
        return {**super().get_config(), "fn": function, **self._arguments}


def _or_zero(value: ArrayLike | None) -> ArrayLike:
    return 0.0 if value is None else value


def _shape_of_weights(sample_weight: ArrayLike | None, mask: Mask | None) -> tuple[int, ...]:
    """A single value for a whole batch counts once for each weight, as in Keras."""
    given = [np.shape(each) for each in (sample_weight, mask) if each is not None]
    rank = max(map(len, given), default=0)
    return np.broadcast_shapes(*(shape + (1,) * (rank - len(shape)) for shape in given))


def _summed(vjp: ValuesVjp) -> ValuesVjp:
    return lambda d_values: vjp(np.asarray(d_values.sum()))


def _both(first: Mask | None, second: Mask | None) -> Mask | None:
    if first is None or second is None:
        return second if first is None else first
    return np.asarray(first & second)
