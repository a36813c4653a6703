"""Metrics: numbers gathered over an epoch, as weighted means of values per sample."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ferrnn.core.names import snake_case, unique_name
from ferrnn.core.types import Array, Mask
from ferrnn.training import losses
from ferrnn.training.loss import Loss
from ferrnn.training.reduction import as_float, same_rank, weights_of


class Metric:
    """Something gathered from batches: `update_state`, `result`, `reset_state`.

    >>> class Largest(Metric):
    ...     def reset_state(self):
    ...         self.largest = 0.0
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         self.largest = max(self.largest, float(abs(y_true - y_pred).max()))
    ...     def result(self):
    ...         return self.largest
    >>> Largest(name="largest")(np.zeros(3), np.array([0.5, -2.0, 1.0]))
    2.0
    """

    def __init__(self, dtype: object = None, name: str | None = None) -> None:
        self.name = name or unique_name(snake_case(type(self).__name__))
        self.dtype = dtype
        self.reset_state()

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Takes a batch in."""
        raise NotImplementedError(f"{type(self).__name__} must write `update_state`")

    def result(self) -> float:
        """The number gathered since the last reset."""
        raise NotImplementedError(f"{type(self).__name__} must write `result`")

    def reset_state(self) -> None:
        """Forgets all batches."""

    def __call__(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Takes a batch in and gives the number gathered so far."""
        self.update_state(y_true, y_pred, sample_weight)
        return self.result()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


class _Weighted(Metric):
    """A weighted sum of values and the sum of weights, both in float64."""

    _total: float
    _count: float

    def reset_state(self) -> None:
        """Forgets all batches."""
        self._total, self._count = 0.0, 0.0

    def _gather(
        self, values: Array, sample_weight: ArrayLike | None, mask: Mask | None = None
    ) -> None:
        # A sample counts once, however many steps it has: hence the division by the steps.
        steps = values.size / len(values) if values.ndim > 1 and len(values) else 1.0
        weights = weights_of(values, sample_weight, mask, rescale=False)
        if weights is None:
            self._total += float(np.add.reduce(values, axis=None, dtype=np.float64)) / steps
            self._count += values.size / steps
        else:
            self._total += float(np.sum(values * weights, dtype=np.float64)) / steps
            self._count += float(np.sum(weights, dtype=np.float64)) / steps

    @property
    def _mean(self) -> float:
        return self._total / self._count if self._count else 0.0


class Mean(_Weighted):
    """The weighted mean of values.

    >>> mean = Mean()
    >>> mean.update_state([1, 3, 5, 7])
    >>> mean.update_state([2], sample_weight=[4])
    >>> mean.result()
    3.0
    """

    def __init__(self, name: str | None = "mean", dtype: object = None) -> None:
        super().__init__(dtype=dtype, name=name)

    def update_state(  # type: ignore[override]
        self, values: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Takes values `[batch, ...]` in."""
        self._gather(as_float(values), sample_weight)

    def add(self, value: float, weight: float) -> None:
        """Takes one number in, cheaply."""
        self._total += value * weight
        self._count += weight

    def __call__(  # type: ignore[override]
        self, values: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> float:
        """Takes values in and gives the mean so far."""
        self.update_state(values, sample_weight)
        return self.result()

    def result(self) -> float:
        """The mean since the last reset; 0 before the first batch."""
        return self._mean


class MeanMetricWrapper(_Weighted):
    """The mean of what `fn(y_true, y_pred)` gives for each sample.

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

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Takes a batch in; a mask that rides on `y_pred` is honoured."""
        mask = getattr(y_pred, "_keras_mask", None)
        values = as_float(self._fn(np.asarray(y_true), as_float(y_pred), **self._arguments))
        self._gather(values, sample_weight, mask)

    def result(self) -> float:
        """The mean since the last reset; 0 before the first batch."""
        return self._mean


def accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """1 where `y_pred` equals `y_true`, else 0, in their shape.

    >>> accuracy([[1], [2]], [[1], [3]]).ravel().tolist()
    [1.0, 0.0]
    """
    true, pred = same_rank(np.asarray(y_true), as_float(y_pred))
    return as_float(true == pred)


def binary_accuracy(y_true: ArrayLike, y_pred: ArrayLike, threshold: float = 0.5) -> Array:
    """1 where `y_pred > threshold` agrees with the label, else 0, in their shape.

    >>> binary_accuracy([[1], [1], [0]], [[0.9], [0.5], [0.1]]).ravel().tolist()
    [1.0, 0.0, 1.0]
    """
    true, pred = same_rank(np.asarray(y_true), as_float(y_pred))
    return as_float(true == (pred > threshold))


def categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """1 where the largest of `y_pred` `[..., classes]` is the label's, else 0: `[...]`.

    >>> categorical_accuracy([[0, 1], [1, 0]], [[0.3, 0.7], [0.4, 0.6]]).tolist()
    [1.0, 0.0]
    """
    return as_float(np.argmax(y_true, axis=-1) == np.argmax(y_pred, axis=-1))


def sparse_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """1 where the largest of `y_pred` `[..., classes]` is `y_true` `[...]` or `[..., 1]`, else 0.

    >>> sparse_categorical_accuracy([1, 0], [[0.3, 0.7], [0.4, 0.6]]).tolist()
    [1.0, 0.0]
    """
    true, pred = np.asarray(y_true), np.asarray(y_pred)
    if true.ndim == pred.ndim and true.shape[-1] == 1:
        true = true[..., 0]
    return as_float(true == np.argmax(pred, axis=-1))


class Accuracy(MeanMetricWrapper):
    """How often `y_pred` equals `y_true`.

    >>> Accuracy()([[1], [2], [3], [4]], [[0], [2], [3], [4]])
    0.75
    """

    def __init__(self, name: str | None = "accuracy", dtype: object = None) -> None:
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(MeanMetricWrapper):
    """How often `y_pred > threshold` agrees with labels 0 and 1.

    >>> BinaryAccuracy()([[1], [1], [0], [0]], [[0.98], [1], [0], [0.6]])
    0.75
    """

    def __init__(
        self,
        name: str | None = "binary_accuracy",
        dtype: object = None,
        threshold: float = 0.5,
    ) -> None:
        if not 0 < threshold < 1:
            raise ValueError(f"`threshold` must lie between 0 and 1, received {threshold}")
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)
        self.threshold = threshold


class CategoricalAccuracy(MeanMetricWrapper):
    """How often the largest prediction is that of the one-hot label, for `[..., classes]`.

    >>> CategoricalAccuracy()([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
    0.5
    """

    def __init__(self, name: str | None = "categorical_accuracy", dtype: object = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(MeanMetricWrapper):
    """How often the largest of the predictions `[..., classes]` is at the label `[...]`.

    >>> SparseCategoricalAccuracy()([2, 1], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]])
    0.5
    """

    def __init__(
        self, name: str | None = "sparse_categorical_accuracy", dtype: object = None
    ) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


class MeanSquaredError(MeanMetricWrapper):
    """The mean of `(y_true - y_pred)^2`.

    >>> MeanSquaredError()([[0, 1], [0, 0]], [[1, 1], [0, 0]])
    0.25
    """

    def __init__(self, name: str | None = "mean_squared_error", dtype: object = None) -> None:
        super().__init__(losses.mean_squared_error, name, dtype)


class MeanAbsoluteError(MeanMetricWrapper):
    """The mean of `|y_true - y_pred|`.

    >>> MeanAbsoluteError()([[0, 1], [0, 0]], [[1, 1], [0, 0]])
    0.25
    """

    def __init__(self, name: str | None = "mean_absolute_error", dtype: object = None) -> None:
        super().__init__(losses.mean_absolute_error, name, dtype)


class RootMeanSquaredError(MeanMetricWrapper):
    """The root of the mean of `(y_true - y_pred)^2`.

    >>> RootMeanSquaredError()([[0, 1], [0, 0]], [[1, 1], [0, 0]])
    0.5
    """

    def __init__(self, name: str | None = "root_mean_squared_error", dtype: object = None) -> None:
        super().__init__(losses.mean_squared_error, name, dtype)

    def result(self) -> float:
        """The root of the mean since the last reset."""
        return float(np.sqrt(self._mean))


class BinaryCrossentropy(MeanMetricWrapper):
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
        super().__init__(losses.binary_crossentropy, name, dtype, **arguments)


class CategoricalCrossentropy(MeanMetricWrapper):
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
        super().__init__(losses.categorical_crossentropy, name, dtype, **arguments)


class SparseCategoricalCrossentropy(MeanMetricWrapper):
    """The mean of `losses.sparse_categorical_crossentropy`.

    >>> round(SparseCategoricalCrossentropy()([1], [[0.05, 0.9, 0.05]]), 4)
    0.1054
    """

    def __init__(
        self,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: object = None,
        from_logits: bool = False,
        axis: int = -1,
    ) -> None:
        arguments = {"from_logits": from_logits, "axis": axis}
        super().__init__(losses.sparse_categorical_crossentropy, name, dtype, **arguments)


_CLASSES: tuple[type[Metric], ...] = (
    Accuracy,
    BinaryAccuracy,
    BinaryCrossentropy,
    CategoricalAccuracy,
    CategoricalCrossentropy,
    Mean,
    MeanAbsoluteError,
    MeanSquaredError,
    RootMeanSquaredError,
    SparseCategoricalAccuracy,
    SparseCategoricalCrossentropy,
)
_KNOWN: dict[str, type[Metric]] = {
    **{cls.__name__: cls for cls in _CLASSES},
    **{snake_case(cls.__name__): cls for cls in _CLASSES},
    **dict.fromkeys(("mse", "MSE"), MeanSquaredError),
    **dict.fromkeys(("mae", "MAE"), MeanAbsoluteError),
    **dict.fromkeys(("bce", "BCE"), BinaryCrossentropy),
}


def get(identifier: Any) -> Any:
    """A `Metric`, or a function of (y_true, y_pred), from a name, a configuration, or itself.

    >>> get("mae")
    <MeanAbsoluteError name=mean_absolute_error>
    """
    if identifier is None:
        return None
    found = identifier
    if isinstance(identifier, dict):
        made = _KNOWN.get(str(identifier.get("class_name")))
        found = made and made(**identifier.get("config", {}))
    elif isinstance(identifier, str):
        found = _KNOWN.get(identifier)
    if isinstance(found, type) and issubclass(found, Metric):
        return found()
    if isinstance(found, Metric | Loss) or callable(found):
        return found
    raise ValueError(
        f"Could not interpret metric identifier: {identifier!r}. Expected a `Metric`, a function "
        f"of (y_true, y_pred), 'accuracy', or one of {sorted(_KNOWN)}"
    )
