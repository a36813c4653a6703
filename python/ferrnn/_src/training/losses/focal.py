"""Crossentropies weighted by the confidence of predictions: focal, and generalized."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.configs import config
from ferrnn._src.training.formulas import ValuesVjp
from ferrnn._src.training.loss import Loss
from ferrnn._src.training.losses.axes import checked_axis, checked_smoothing, moved_back
from ferrnn._src.training.losses.crossentropies import (
    SparseCategoricalCrossentropy,
    several_classes,
)
from ferrnn._src.training.losses.regression_formulas import mean_of
from ferrnn._src.tree.types import Array, Mask


class BinaryFocalCrossentropy(Loss):
    """`mean((1 - p_t)^gamma * binary crossentropy)` over `axis`; `p_t = y p + (1 - y) (1 - p)`.

    `y_pred` `[batch, ..., labels]` are probabilities, or any numbers with `from_logits`. With
    `apply_class_balancing`, labels 1 have the weight `alpha` and labels 0 the weight `1 - alpha`.

    >>> loss = BinaryFocalCrossentropy(gamma=2)
    >>> round(float(loss([[0.0, 1.0], [0.0, 0.0]], [[0.6, 0.4], [0.4, 0.6]])), 4)
    0.2678
    """

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_focal_crossentropy",
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.from_logits = from_logits
        self.label_smoothing = checked_smoothing(label_smoothing)
        self.axis = checked_axis(axis)
        self.apply_class_balancing = apply_class_balancing
        self.alpha = alpha
        self.gamma = gamma

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient with respect to `y_pred`."""
        true, pred = np.moveaxis(y_true, self.axis, -1), np.moveaxis(y_pred, self.axis, -1)
        true = true * (1.0 - self.label_smoothing) + 0.5 * self.label_smoothing
        p = _sigmoid(pred) if self.from_logits else pred
        entries, slope = self._entries(true, p)
        if self.from_logits:
            slope = slope * p * (1.0 - p)
        values, vjp = mean_of(entries, slope)
        return values, moved_back(vjp, self.axis)

    def _entries(self, true: Array, p: Array) -> tuple[Array, Array]:
        """The loss of each entry, and its derivative with respect to the probability."""
        eps, gamma = config.epsilon(), self.gamma
        clipped = np.clip(p, eps, 1.0 - eps)
        crossentropy = -(true * np.log(clipped) + (1.0 - true) * np.log(1.0 - clipped))
        slope = np.where(p == clipped, (clipped - true) / (clipped * (1.0 - clipped)), 0)
        wrong = 1.0 - (true * p + (1.0 - true) * (1.0 - p))
        factor = wrong**gamma
        d_factor = gamma * wrong ** (gamma - 1.0) * (1.0 - 2.0 * true) if gamma else 0.0
        entries, slope = factor * crossentropy, factor * slope + d_factor * crossentropy
        if self.apply_class_balancing:
            weight = true * self.alpha + (1.0 - true) * (1.0 - self.alpha)
            entries, slope = weight * entries, weight * slope
        return entries, slope

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
            "axis": self.axis,
            "apply_class_balancing": self.apply_class_balancing,
            "alpha": self.alpha,
            "gamma": self.gamma,
        }
        return {**super().get_config(), **own}


class CategoricalFocalCrossentropy(Loss):
    """`-sum(alpha (1 - p)^gamma y log p)` over `axis`, for one-hot labels `[batch, ..., classes]`.

    `y_pred` are probabilities, scaled to sum 1 and clipped, or any numbers with `from_logits`.
    `alpha` is a number, or one for each class.

    >>> true, pred = [[0, 1, 0], [0, 0, 1]], [[0.05, 0.9, 0.05], [0.1, 0.85, 0.05]]
    >>> round(float(CategoricalFocalCrossentropy()(true, pred)), 4)
    0.3381
    """

    def __init__(
        self,
        alpha: float | Sequence[float] = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_focal_crossentropy",
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.from_logits = from_logits
        self.label_smoothing = checked_smoothing(label_smoothing)
        self.axis = checked_axis(axis)
        self.alpha = alpha
        self.gamma = gamma

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient with respect to `y_pred`."""
        several_classes(self.name, y_pred, self.axis)
        true, pred = np.moveaxis(y_true, self.axis, -1), np.moveaxis(y_pred, self.axis, -1)
        true = true * (1.0 - self.label_smoothing) + self.label_smoothing / true.shape[-1]
        eps, gamma = config.epsilon(), self.gamma
        alpha = np.asarray(self.alpha, pred.dtype)
        raised = _softmax(pred) if self.from_logits else pred
        total = np.sum(raised, axis=-1, keepdims=True)
        p = raised / total
        clipped = np.clip(p, eps, 1.0 - eps)
        weight, log_p = -alpha * true, np.log(clipped)
        factor = (1.0 - clipped) ** gamma
        values = np.sum(weight * factor * log_p, axis=-1)

        def vjp(d_values: Array) -> Array:
            d_factor = -gamma * (1.0 - clipped) ** (gamma - 1.0) if gamma else 0.0
            slope = weight * (factor / clipped + d_factor * log_p)
            d_p = d_values[..., None] * np.where(p == clipped, slope, 0)
            d_raised: Array = (d_p - np.sum(d_p * p, axis=-1, keepdims=True)) / total
            # A softmax sums to 1 already, so the division above does not change it.
            return raised * d_raised if self.from_logits else d_raised

        return values, moved_back(vjp, self.axis)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {
            "from_logits": self.from_logits,
            "label_smoothing": self.label_smoothing,
            "axis": self.axis,
            "alpha": self.alpha,
            "gamma": self.gamma,
        }
        return {**super().get_config(), **own}


class CategoricalGeneralizedCrossEntropy(SparseCategoricalCrossentropy):
    """`(1 - p[label]^q) / q` for labels `[batch, ...]`, probabilities `[batch, ..., classes]`.

    Between the crossentropy (`q` near 0) and the mean absolute error (`q` near 1), for labels that
    may be wrong.

    >>> round(float(CategoricalGeneralizedCrossEntropy()([0, 1], [[0.81, 0.19], [0.64, 0.36]])), 4)
    0.5
    """

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_generalized_cross_entropy",
        dtype: object = None,
    ) -> None:
        if not 0 < q < 1:
            raise ValueError(f"`q` must lie in the interval (0, 1), received {q}")
        super().__init__(reduction=reduction, name=name, dtype=dtype)
        self.q = q

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient with respect to `y_pred`."""
        at = self.checked_labels(y_true, y_pred.shape[-1])[..., None]
        p = np.take_along_axis(y_pred, at, -1)

        def vjp(d_values: Array) -> Array:
            d_pred = np.zeros_like(y_pred)
            # The slope at 0 is infinite, which would give NaN in a softmax, so that at eps is used.
            slope = np.maximum(p, config.epsilon()) ** (self.q - 1.0)
            np.put_along_axis(d_pred, at, -d_values[..., None] * slope, -1)
            return d_pred

        return ((1.0 - p**self.q) / self.q)[..., 0], vjp

    def counts(self, y_true: Array, values: Array | None = None) -> Mask | None:
        """True for all labels, as none is ignored."""
        return None

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**Loss.get_config(self), "q": self.q}


def _sigmoid(x: Array) -> Array:
    decay = np.exp(-np.abs(x))
    return np.asarray(np.where(x >= 0, 1.0, decay) / (1.0 + decay))


def _softmax(x: Array) -> Array:
    raised = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return np.asarray(raised / np.sum(raised, axis=-1, keepdims=True))


def binary_focal_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """Values `[batch, ...]` of `BinaryFocalCrossentropy`, for arrays `[batch, ..., labels]`.

    >>> binary_focal_crossentropy([[0, 1]], np.array([[0.6, 0.4]])).round(4).tolist()
    [0.3299]
    """
    loss = BinaryFocalCrossentropy(
        apply_class_balancing, alpha, gamma, from_logits, label_smoothing, axis
    )
    return loss.values(y_true, y_pred)


def categorical_focal_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    alpha: float | Sequence[float] = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """Values `[batch, ...]` of `CategoricalFocalCrossentropy`, for `[batch, ..., classes]`.

    >>> categorical_focal_crossentropy([[0, 1]], np.array([[0.5, 0.5]])).round(4).tolist()
    [0.0433]
    """
    loss = CategoricalFocalCrossentropy(alpha, gamma, from_logits, label_smoothing, axis)
    return loss.values(y_true, y_pred)


def categorical_generalized_cross_entropy(y_true: ArrayLike, y_pred: ArrayLike, q: float) -> Array:
    """Values `[batch, ...]` of `CategoricalGeneralizedCrossEntropy`; `y_pred` `[..., classes]`.

    >>> categorical_generalized_cross_entropy([0], np.array([[0.81, 0.19]]), 0.5).round(4).tolist()
    [0.2]
    """
    return CategoricalGeneralizedCrossEntropy(q).values(y_true, y_pred)
