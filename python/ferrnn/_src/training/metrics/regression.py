"""Regression metrics that are not means of a loss, such as correlations and R²."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.configs import config
from ferrnn._src.configs.notices import warn
from ferrnn._src.training import losses
from ferrnn._src.training.metrics.means import FixedFunction
from ferrnn._src.training.metrics.metric import Accumulator, Metric
from ferrnn._src.training.reduction import as_float, same_rank, spread
from ferrnn._src.tree.types import Array


class CosineSimilarity(FixedFunction):
    """The mean of `sum(y p) / (|y| |p|)` over `axis`: 1 for the same direction (a loss has -1).

    >>> round(CosineSimilarity(axis=1)([[0.0, 1.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 1.0]]), 4)
    0.5
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "cosine_similarity", dtype: object = None, axis: int = -1
    ) -> None:
        super().__init__(_similarity, name, dtype, axis=axis)
        self.axis = axis


def _similarity(y_true: ArrayLike, y_pred: ArrayLike, axis: int) -> Array:
    return -losses.cosine_similarity(y_true, y_pred, axis)


def pearson_correlation(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> Array:
    """The correlation of `y_true` and `y_pred` along `axis`.

    >>> pearson_correlation([[0.0, 1.0, 2.0]], np.array([[3.0, 5.0, 7.0]])).round(4).tolist()
    [1.0]
    """
    true, pred = same_rank(as_float(y_true), as_float(y_pred))
    true = true - np.mean(true, axis=axis, keepdims=True)
    pred = pred - np.mean(pred, axis=axis, keepdims=True)
    true = true / np.std(true, axis=axis, keepdims=True)
    pred = pred / np.std(pred, axis=axis, keepdims=True)
    return np.asarray(np.mean(true * pred, axis=axis))


def concordance_correlation(y_true: ArrayLike, y_pred: ArrayLike, axis: int = -1) -> Array:
    """The concordance of `y_true` and `y_pred` along `axis`: both correlation and equal values.

    >>> concordance_correlation([[0.0, 1.0, 2.0]], np.array([[0.0, 1.0, 2.0]])).round(4).tolist()
    [1.0]
    """
    true, pred = same_rank(as_float(y_true), as_float(y_pred))
    true_mean = np.mean(true, axis=axis, keepdims=True)
    pred_mean = np.mean(pred, axis=axis, keepdims=True)
    spread = np.var(true, axis=axis, keepdims=True) + np.var(pred, axis=axis, keepdims=True)
    norm = spread + (true_mean - pred_mean) ** 2
    # Keras subtracts the predictions' mean from both; the mean of the product is the same.
    together = (true - pred_mean) * (pred - pred_mean)
    return np.asarray(np.mean(2.0 * together / (norm + config.epsilon()), axis=axis))


class PearsonCorrelation(FixedFunction):
    """The mean over samples of the correlation of `y_true` and `y_pred` along `axis`.

    >>> round(PearsonCorrelation()([[0.0, 1.0, 0.5]], [[0.1, 0.9, 0.5]]), 4)
    1.0
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "pearson_correlation", dtype: object = None, axis: int = -1
    ) -> None:
        super().__init__(pearson_correlation, name, dtype, axis=axis)
        self.axis = axis


class ConcordanceCorrelation(FixedFunction):
    """The mean over samples of the concordance of `y_true` and `y_pred` along `axis`.

    >>> round(ConcordanceCorrelation()([[0.0, 1.0, 0.5]], [[0.1, 0.9, 0.5]]), 4)
    0.9756
    """

    _direction = "up"

    def __init__(
        self, name: str | None = "concordance_correlation", dtype: object = None, axis: int = -1
    ) -> None:
        super().__init__(concordance_correlation, name, dtype, axis=axis)
        self.axis = axis


class R2Score(Metric):
    """The explained share of the variance, `1 - sum((y - p)^2) / sum((y - mean(y))^2)`.

    For `[batch, features]`. `class_aggregation` is "uniform_average" over the features,
    "variance_weighted_average", or None: one number per feature. `num_regressors` adjusts the score
    by the number of independent regressors; a sample counts once if any of its weights is not 0.

    >>> round(R2Score()([[1.0], [4.0], [3.0]], [[2.0], [4.0], [4.0]]), 4)
    0.5714
    """

    _direction = "up"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str | None = "r2_score",
        dtype: object = None,
    ) -> None:
        super().__init__(dtype, name)
        known = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in known:
            raise ValueError(
                "Invalid value for argument `class_aggregation`. Expected one of "
                f"{known}. Received: class_aggregation={class_aggregation}"
            )
        if num_regressors < 0:
            raise ValueError(
                "Invalid value for argument `num_regressors`. Expected a value >= 0. "
                f"Received: num_regressors={num_regressors}"
            )
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self.num_samples = self.add_variable((), "zeros", "float64", name="num_samples")
        self._sums: list[Accumulator] = []

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Adds a batch."""
        true, pred = same_rank(as_float(y_true), as_float(y_pred))
        if true.ndim != 2 or pred.ndim != 2:
            raise ValueError(
                "R2Score expects 2D inputs with shape (batch_size, output_dim). Received input "
                f"shapes: y_pred.shape={pred.shape} and y_true.shape={true.shape}."
            )
        if not self._sums:
            names = ("squared_sum", "sum", "residual", "count")
            features = pred.shape[1:]
            self._sums = [self.add_variable(features, "zeros", "float64", name=n) for n in names]
        weight = np.asarray(1.0 if sample_weight is None else sample_weight, np.float64)
        weight = np.broadcast_to(spread(weight, true.shape, "sample_weight"), true.shape)
        true = true.astype(np.float64)
        gathered = (true * true * weight, true * weight, (true - pred) ** 2 * weight, weight)
        for variable, values in zip(self._sums, gathered, strict=True):
            variable.assign_add(values.sum(axis=0))
        self.num_samples.assign_add(np.count_nonzero((weight != 0).any(axis=1)))

    def result(self) -> Any:
        """The score since the last reset; 0 before the first batch."""
        if not self._sums:
            return 0.0
        squares, total, residual, count = (variable.value for variable in self._sums)
        with np.errstate(divide="ignore", invalid="ignore"):
            variance = squares - total * (total / count)
            scores = 1.0 - residual / variance
        scores = np.where(np.isinf(scores), 0.0, scores)
        if self.class_aggregation == "uniform_average":
            return self._adjusted(float(scores.mean()))
        if self.class_aggregation == "variance_weighted_average":
            return self._adjusted(float((variance * scores).sum() / variance.sum()))
        return self._adjusted(scores)

    def _adjusted(self, score: Any) -> Any:
        if not self.num_regressors:
            return score
        left = float(self.num_samples) - 1.0 - self.num_regressors
        if left < 0:
            problem = "More independent predictors than datapoints in adjusted R2 score."
        elif left == 0:
            problem = "Division by zero in Adjusted R2 score."
        else:
            return 1.0 - (1.0 - score) * (float(self.num_samples) - 1.0) / left
        warn(f"{problem} Falling back to standard R2 score.")
        return score

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {
            "class_aggregation": self.class_aggregation,
            "num_regressors": self.num_regressors,
        }
        return {**super().get_config(), **own}
