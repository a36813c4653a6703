"""The circle loss (Sun et al., 2020): embeddings of one label close together, others apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.training.formulas import ValuesVjp
from ferrnn._src.training.loss import Loss
from ferrnn._src.training.reduction import as_float
from ferrnn._src.tree.types import Array, Mask


class Circle(Loss):
    """`softplus(lse(gamma a_p (d_p - margin)) + lse(gamma a_n (1 - margin - d_n)))`.

    `lse` is the logarithm of the sum of exponentials, `d` are the cosine distances of a row of
    `y_pred` `[batch, features]` (rows of norm 1) to those of its own label (p) and of others (n),
    `a_p = margin + d_p`, `a_n = max(1 + margin - d_n, 0)`. `y_true` are the labels, `[batch]` or
    `[batch, 1]`. `remove_diagonal` ignores a row's distance to itself. Rows with a loss of 0 do
    not count: those without another row of their label, or without one of another label.

    >>> pred = [[1.0, 0.0], [0.8, 0.6], [0.6, -0.8]]
    >>> round(float(Circle(gamma=2.0)([0, 0, 1], pred)), 4)
    0.6141
    """

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "circle",
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.gamma = gamma
        self.margin = margin
        self.remove_diagonal = remove_diagonal

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch]` and their gradient with respect to `y_pred`."""
        same, other = _pairs(y_true, y_true, self.remove_diagonal)
        values, by_distance = self._values(y_pred, y_pred, same, other)

        def vjp(d_values: Array) -> Array:
            # A row is in the distances twice: as a row and as another row's counterpart.
            d_products = -d_values[:, None] * by_distance
            d_pred: Array = d_products @ y_pred + d_products.T @ y_pred
            return d_pred

        return values, vjp

    def _values(self, pred: Array, others: Array, same: Mask, other: Mask) -> tuple[Array, Array]:
        """Values `[batch]`, and their derivative for each distance `[batch, others]`."""
        gamma, margin = self.gamma, self.margin
        raw = 1.0 - pred @ others.T
        distance = np.maximum(raw, 0)
        near = gamma * (distance * distance - margin * margin)
        reach = np.maximum(1.0 + margin - distance, 0)
        far = gamma * reach * (1.0 - margin - distance)
        near_sum, near_share = _log_sum_exp(near, same)
        far_sum, far_share = _log_sum_exp(far, other)
        total = near_sum + far_sum
        slope = near_share * (2.0 * gamma * distance)
        slope += far_share * (-gamma * (reach + np.where(reach > 0, 1.0 - margin - distance, 0)))
        values = np.where(total == -np.inf, 0, np.logaddexp(0, total))
        by_total = np.exp(np.minimum(total, 0)) / (1.0 + np.exp(-np.abs(total)))
        return values.astype(pred.dtype), np.where(raw > 0, by_total[:, None] * slope, 0)

    def counts(self, y_true: Array, values: Array) -> Mask | None:
        """False where the loss is 0."""
        return np.asarray(values > 0)

    def _aligned(
        self, true: Array, pred: Array, mask: Mask | None, sample_weight: ArrayLike | None
    ) -> tuple[Array, Array]:
        if pred.ndim != 2 or true.shape not in ((len(pred),), (len(pred), 1)):
            raise ValueError(
                f"the loss {self.name!r} must be given `y_pred` of the shape (batch, features) and "
                f"one label for each row in `y_true`, received y_pred of the shape {pred.shape} "
                f"and y_true of the shape {true.shape}"
            )
        return true.reshape(-1), pred

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {
            "gamma": self.gamma,
            "margin": self.margin,
            "remove_diagonal": self.remove_diagonal,
        }
        return {**super().get_config(), **own}


def circle(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    ref_labels: ArrayLike | None = None,
    ref_embeddings: ArrayLike | None = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Array:
    """Values `[batch]` of `Circle`, against the rows of `ref_embeddings` (by default `y_pred`).

    >>> pred = np.array([[1.0, 0.0], [0.8, 0.6], [0.6, -0.8]])
    >>> circle([0, 0, 1], pred, gamma=2.0).round(4).tolist()
    [0.7763, 0.4518, 0.0]
    """
    if ref_labels is None and ref_embeddings is None:
        return Circle(gamma, margin, remove_diagonal).values(y_true, y_pred)
    labels = y_true if ref_labels is None else ref_labels
    others = y_pred if ref_embeddings is None else ref_embeddings
    return _Against(labels, others, gamma, margin, remove_diagonal).values(y_true, y_pred)


class _Against(Circle):
    """Distances to given rows, which get no gradient."""

    def __init__(self, labels: ArrayLike, others: ArrayLike, *options: Any) -> None:
        super().__init__(*options)
        self._labels, self._others = np.asarray(labels).reshape(-1), as_float(others)

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch]` and their gradient with respect to `y_pred`."""
        others = self._others.astype(y_pred.dtype, copy=False)
        pairs = _pairs(y_true, self._labels, self.remove_diagonal)
        values, by_distance = self._values(y_pred, others, *pairs)

        def vjp(d_values: Array) -> Array:
            d_pred: Array = (-d_values[:, None] * by_distance) @ others
            return d_pred

        return values, vjp


def _pairs(labels: Array, others: Array, remove_diagonal: bool) -> tuple[Mask, Mask]:
    """The pairs with the same label, and those with different labels."""
    same = labels.astype(np.int64)[:, None] == others.astype(np.int64)[None, :]
    other = ~same
    if remove_diagonal:
        same &= ~np.eye(len(labels), len(others), dtype=bool)
    return same, other


def _log_sum_exp(entries: Array, where: Mask) -> tuple[Array, Array]:
    """The value for each row over the entries in `where` (-inf if none), and their shares."""
    entries = np.where(where, entries, -np.inf)
    highest = np.max(entries, axis=1, keepdims=True, initial=-np.inf)
    highest = np.where(np.isfinite(highest), highest, 0)
    raised = np.exp(entries - highest)
    total = raised.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        result = np.log(total) + highest
    share = raised / np.where(total > 0, total, 1)
    return result[:, 0], share
