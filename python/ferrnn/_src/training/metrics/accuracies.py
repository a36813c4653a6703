"""Accuracy metrics."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.training.metrics.means import FixedFunction
from ferrnn._src.training.metrics.metric import Metric
from ferrnn._src.training.reduction import as_float, same_rank
from ferrnn._src.tree.types import Array


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


def top_k_categorical_accuracy(y_true: ArrayLike, y_pred: ArrayLike, k: int = 5) -> Array:
    """1 where the one-hot label's prediction is among the `k` largest of `[..., classes]`, else 0.

    >>> top_k_categorical_accuracy([[0, 0, 1], [1, 0, 0]], [[0.5, 0.1, 0.4], [0.1, 0.5, 0.4]], k=2)
    array([1., 0.], dtype=float32)
    """
    return sparse_top_k_categorical_accuracy(np.argmax(y_true, axis=-1), y_pred, k)


def sparse_top_k_categorical_accuracy(
    y_true: ArrayLike, y_pred: ArrayLike, k: int = 5, from_sorted_ids: bool = False
) -> Array:
    """1 where the prediction of label `y_true` is among the `k` largest of a row, else 0.

    With `from_sorted_ids`, `y_pred` are class numbers, the most probable first.

    >>> sparse_top_k_categorical_accuracy([2, 0], [[0.5, 0.1, 0.4], [0.1, 0.5, 0.4]], k=2)
    array([1., 0.], dtype=float32)
    """
    true, pred = np.asarray(y_true), as_float(y_pred)
    if true.ndim == pred.ndim and true.shape[-1] == 1:
        true = true[..., 0]
    if from_sorted_ids:
        return as_float(np.any(true[..., None] == pred[..., :k], axis=-1))
    labels = true.astype(np.intp)
    inside = (labels >= 0) & (labels < pred.shape[-1])
    at = np.where(inside, labels, 0)[..., None]
    of_label = np.take_along_axis(pred, at, -1)
    of_label = np.where(np.isnan(of_label), -np.inf, of_label)
    above = np.count_nonzero(pred > of_label, axis=-1)
    return as_float((above < k) & inside)


class Accuracy(FixedFunction):
    """How often `y_pred` equals `y_true`.

    >>> Accuracy()([[1], [2], [3], [4]], [[0], [2], [3], [4]])
    0.75
    """

    _direction = "up"

    def __init__(self, name: str | None = "accuracy", dtype: object = None) -> None:
        super().__init__(accuracy, name, dtype)


class BinaryAccuracy(FixedFunction):
    """How often `y_pred > threshold` agrees with labels 0 and 1.

    >>> BinaryAccuracy()([[1], [1], [0], [0]], [[0.98], [1], [0], [0.6]])
    0.75
    """

    _direction = "up"

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


class CategoricalAccuracy(FixedFunction):
    """How often the largest prediction is that of the one-hot label, for `[..., classes]`.

    >>> CategoricalAccuracy()([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
    0.5
    """

    _direction = "up"

    def __init__(self, name: str | None = "categorical_accuracy", dtype: object = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


class SparseCategoricalAccuracy(FixedFunction):
    """How often the largest of the predictions `[..., classes]` is at the label `[...]`.

    >>> SparseCategoricalAccuracy()([2, 1], [[0.1, 0.6, 0.3], [0.05, 0.95, 0]])
    0.5
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "sparse_categorical_accuracy", dtype: object = None
    ) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)


class TopKCategoricalAccuracy(FixedFunction):
    """How often the prediction of the one-hot label is among the `k` largest of `[..., classes]`.

    >>> metric = TopKCategoricalAccuracy(k=1)
    >>> metric([[0, 0, 1], [0, 1, 0]], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
    0.5
    """

    _direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str | None = "top_k_categorical_accuracy",
        dtype: object = None,
    ) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)
        self.k = k


class SparseTopKCategoricalAccuracy(FixedFunction):
    """How often the prediction of the label `[...]` is among the `k` largest of `[..., classes]`.

    >>> SparseTopKCategoricalAccuracy(k=1)([2, 1], [[0.1, 0.9, 0.8], [0.05, 0.95, 0]])
    0.5
    """

    _direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str | None = "sparse_top_k_categorical_accuracy",
        dtype: object = None,
        from_sorted_ids: bool = False,
    ) -> None:
        arguments = {"k": k, "from_sorted_ids": from_sorted_ids}
        super().__init__(sparse_top_k_categorical_accuracy, name, dtype, **arguments)
        self.k = k
        self.from_sorted_ids = from_sorted_ids

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        given = super().get_config()
        return given if self.from_sorted_ids else {**Metric.get_config(self), "k": self.k}
