"""What every loss is: values per sample, a reduction to one number, the gradient of `y_pred`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.configs import config
from ferrnn._src.configs.names import snake_case, unique_name
from ferrnn._src.configs.objects import written
from ferrnn._src.configs.overriding import overridden
from ferrnn._src.symbolic import tracing
from ferrnn._src.training.averaged import Averaged
from ferrnn._src.training.formulas import ValuesVjp
from ferrnn._src.training.reduction import (
    as_float,
    both,
    by_sample_weight,
    reduction_factor,
    same_rank,
    standardize_reduction,
    weights_of,
)
from ferrnn._src.tree.results import as_output
from ferrnn._src.tree.types import Array, Mask
from ferrnn._src.weights.parameter import Gradients, Parameter

LossVjp: TypeAlias = Callable[[float, Gradients], Array]
Vjp: TypeAlias = Callable[[Any, Gradients], Any]


class Loss(Averaged):
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

    # Whether `y_true` and `y_pred` may change places.
    symmetric: ClassVar[bool] = False

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
        values, vjp = self._values_and_vjp(y_true, y_pred)
        return values, lambda d_values: vjp(d_values, Gradients())

    def by_targets(self, y_true: Array, y_pred: Array) -> ValuesVjp | None:
        """As the vjp of `pointwise`, the gradient of `y_true`; None for a loss without one."""
        return self.pointwise(y_pred, y_true)[1] if self.symmetric else None

    def call(self, y_true: Array, y_pred: Array) -> Array:
        """Values `[batch, ...]`, before weights and reduction."""
        if tracing.current.get() is not None:
            recorded: Array = self._recorded(y_true, y_pred)
            return recorded
        return self.pointwise(y_true, y_pred)[0]

    def values(self, y_true: ArrayLike, y_pred: ArrayLike) -> Array:
        """Values `[batch, ...]` for arrays as the user has them, before weights and reduction."""
        if tracing.current.get() is not None:
            traced: Array = self._traced_values(y_true, y_pred, None, None)[1]
            return traced
        pred = as_float(y_pred, self.dtype)
        true, pred = self._aligned(np.asarray(y_true), pred, None, None)
        values: Array = as_output(as_float(self.call(true, pred), pred.dtype))
        return values

    def _values_and_vjp(self, true: Array, pred: Array) -> tuple[Array, Vjp]:
        """Values and `vjp(d_values, grads) -> d_pred`, by `call` or `pointwise`, as written."""
        if self._written_as_call():
            values, vjp = tracing.differentiate(lambda pred: self.call(true, pred), pred)
            return as_float(values, pred.dtype), vjp
        values, own_vjp = self.pointwise(true, pred)
        return values, lambda d_values, grads: own_vjp(d_values)

    def _written_as_call(self) -> bool:
        return overridden(type(self), "call", "pointwise", Loss)

    def _recorded(self, y_true: Any, y_pred: Any) -> Any:
        """What `pointwise` gives for aligned values, as one node of a running trace."""
        by_targets = isinstance(tracing.traced_parameter(y_true), tracing.Traced)

        def forward(arrays: Any) -> tuple[Array, Any]:
            true, pred = arrays
            values, vjp = self.pointwise(true, pred)
            back = self.by_targets(true, pred) if by_targets else None
            return values, lambda d, grads: (None if back is None else back(d), vjp(d))

        return tracing.record(forward, (y_true, y_pred))

    def _refuse_traced_targets(self) -> None:
        if not self.symmetric and type(self).by_targets is Loss.by_targets:
            raise TypeError(
                f"the loss {self.name!r} has no gradient for `y_true`, which is traced: give "
                "`ops.stop_gradient(y_true)`"
            )

    def _traced_values(
        self, y_true: Any, y_pred: Any, sample_weight: Any, mask: Any
    ) -> tuple[Any, Any]:
        """Targets and values while a trace runs: what `call` does becomes part of it."""
        true, pred = map(tracing.traced_parameter, (y_true, y_pred))
        if not isinstance(true, tracing.Traced):
            true = np.asarray(true)
        elif not self._written_as_call():
            self._refuse_traced_targets()
        if isinstance(pred, tracing.Traced):
            pred = pred if self.dtype is None else tracing.cast(pred, np.dtype(self.dtype))
        else:
            pred = as_float(pred, self.dtype)
        true, pred = self._aligned(true, pred, mask, sample_weight)
        return true, self.call(true, pred)

    def __call__(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> Any:
        """The reduced loss; a mask attached to `y_pred` is applied."""
        mask = getattr(y_pred, "_keras_mask", None)
        if tracing.current.get() is not None:
            weight = tracing.traced_parameter(sample_weight)
            if isinstance(weight, tracing.Traced):
                return self._traced_weights(y_true, y_pred, weight, mask)
            if not (self._written_as_call() or isinstance(y_true, tracing.Traced | Parameter)):
                return tracing.record(
                    lambda pred: self.forward(y_true, pred, sample_weight=weight, mask=mask), y_pred
                )
            true, values = self._traced_values(y_true, y_pred, weight, mask)
            labels = tracing.plain(true)
            return tracing.record(lambda each: self._reduced(labels, each, weight, mask), values)
        value = self.evaluate(y_true, y_pred, sample_weight=sample_weight, mask=mask)
        return as_output(value)

    def _traced_weights(self, y_true: Any, y_pred: Any, weight: Any, mask: Any) -> Any:
        """The reduced loss where the weights of samples are part of a running trace."""
        if self.reduction not in ("sum_over_batch_size", "mean", "sum"):
            raise TypeError(
                f"the loss {self.name!r} of the reduction {self.reduction!r} has no gradient for "
                "`sample_weight`, which is traced: give `ops.stop_gradient(sample_weight)`"
            )
        true, values = self._traced_values(y_true, y_pred, weight, mask)
        labels, rescale = tracing.plain(true), self.reduction != "sum"

        def forward(arrays: Any) -> tuple[Any, Any]:
            each, given = arrays
            value, reduced_vjp = self._reduced(labels, each, given, mask)
            counted = both(mask, self.counts(labels, each))
            slope = by_sample_weight(each, given, counted, rescale=rescale)
            slope *= 1.0 / max(each.size, 1) if rescale else 1.0
            return value, lambda d, grads: (reduced_vjp(d, grads), d * slope)

        return tracing.record(forward, (values, weight))

    def evaluate(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        *,
        sample_weight: ArrayLike | None = None,
        mask: Mask | None = None,
    ) -> Any:
        """The reduced loss, without a gradient."""
        short = self.engine_mean(y_true, y_pred, sample_weight, mask)
        if short is not None:
            return np.asarray(y_pred).dtype.type(short[0])
        pred = as_float(y_pred, self.dtype)
        true, pred = self._aligned(np.asarray(y_true), pred, mask, sample_weight)
        values = as_float(self.call(true, pred), pred.dtype)
        if not values.ndim:
            values = np.broadcast_to(values, _shape_of_weights(sample_weight, mask))
        return self._reduce(values, sample_weight, both(mask, self.counts(true, values)))[0]

    def forward(
        self,
        y_true: ArrayLike,
        y_pred: Array,
        *,
        sample_weight: ArrayLike | None = None,
        mask: Mask | None = None,
    ) -> tuple[Any, LossVjp]:
        """The reduced loss and `vjp(d_loss, grads) -> d_y_pred`.

        >>> from ferrnn._src.training.losses import MeanSquaredError
        >>> value, vjp = MeanSquaredError().forward(np.zeros((2, 1)), np.ones((2, 1)))
        >>> float(value), vjp(1.0, Gradients()).tolist()
        (1.0, [[1.0], [1.0]])
        """
        short = self.engine_mean(y_true, y_pred, sample_weight, mask, True)
        if short is not None:
            mean, slope = y_pred.dtype.type(short[0]), np.asarray(short[1])
            return mean, lambda d_loss, grads: slope if d_loss == 1.0 else d_loss * slope
        pred = as_float(y_pred, self.dtype)
        true, aligned = self._aligned(np.asarray(y_true), pred, mask, sample_weight)
        values, values_vjp = self._values_and_vjp(true, aligned)
        value, reduced_vjp = self._reduced(true, values, sample_weight, mask)

        def vjp(d_loss: float, grads: Gradients) -> Array:
            d_pred: Array = values_vjp(reduced_vjp(d_loss, grads), grads)
            return d_pred.reshape(y_pred.shape).astype(y_pred.dtype, copy=False)

        return value, vjp

    def _reduced(
        self, true: Array, values: Any, sample_weight: ArrayLike | None, mask: Mask | None
    ) -> tuple[Any, Vjp]:
        """The reduced loss and `vjp(d_loss, grads) -> d_values`."""
        single = not np.ndim(values)
        if single:
            values = np.broadcast_to(values, _shape_of_weights(sample_weight, mask))
        mask = both(mask, self.counts(true, values))
        value, weights, factor = self._reduce(values, sample_weight, mask)

        def vjp(d_loss: float, grads: Gradients) -> Array:
            d_values = np.empty(values.shape, values.dtype)
            d_values[...] = d_loss * factor  # `np.full` takes four times as long
            if weights is not None:
                d_values *= weights
            return np.asarray(d_values.sum()) if single else d_values

        return value, vjp

    def _aligned(
        self, true: Array, pred: Array, mask: Mask | None, sample_weight: ArrayLike | None
    ) -> tuple[Array, Array]:
        # `[batch, time]` against `[batch, time, 1]`: Keras drops the last axis and takes the mean
        # over time, unless there is a mask or a weight for each step to apply first.
        if true.ndim >= 2 and pred.ndim == true.ndim + 1 and pred.shape[-1] == 1:
            per_step = mask is not None or np.ndim(_or_zero(sample_weight)) >= true.ndim
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
        return _as_dtype(true, pred.dtype)

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
        """The constructor's arguments."""
        return {"name": self.name, "reduction": self.reduction}

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
        return _as_dtype(true, pred.dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this loss again; the function by its name."""
        return {**super().get_config(), "fn": written(self.fn), **self._arguments}


def rewritten(loss: Loss, kind: type[Loss]) -> bool:
    """Whether a loss of this class overrides its values.

    >>> rewritten(LossFunctionWrapper(abs), Loss)
    True
    """
    cls = type(loss)
    return cls.pointwise is not kind.pointwise or cls.call is not Loss.call


def _or_zero(value: ArrayLike | None) -> ArrayLike:
    return 0.0 if value is None else value


def _shape_of_weights(sample_weight: ArrayLike | None, mask: Mask | None) -> tuple[int, ...]:
    """A single value for a whole batch counts once for each weight, as in Keras."""
    given = [np.shape(each) for each in (sample_weight, mask) if each is not None]
    rank = max(map(len, given), default=0)
    return np.broadcast_shapes(*(shape + (1,) * (rank - len(shape)) for shape in given))


def _as_dtype(true: Any, dtype: Any) -> Array:
    traced = isinstance(true, tracing.Traced)
    cast: Array = tracing.cast(true, dtype) if traced else true.astype(dtype, copy=False)
    return cast
