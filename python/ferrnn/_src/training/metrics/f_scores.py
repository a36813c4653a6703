"""F-scores: the harmonic mean of precision and recall, class by class."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.configs import config
from ferrnn._src.training.metrics.metric import Accumulator, Metric
from ferrnn._src.training.reduction import spread
from ferrnn._src.tree.types import Array

_AVERAGES = (None, "micro", "macro", "weighted")


class FBetaScore(Metric):
    """`(1 + beta^2) precision recall / (beta^2 precision + recall)`, for `[batch, classes]`.

    `average` None gives one number for each class; "micro" counts all classes together, "macro"
    takes their mean, "weighted" the mean weighted by how often each occurs. Without a `threshold`
    the largest prediction is the positive one, else all above it are.

    >>> metric = FBetaScore(beta=2.0, threshold=0.5, average="macro")
    >>> true = np.array([[1, 1, 1], [1, 0, 0], [1, 1, 0]])
    >>> pred = np.array([[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]])
    >>> round(metric(true, pred), 4)
    0.709
    """

    _direction = "up"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str | None = "fbeta_score",
        dtype: object = None,
    ) -> None:
        super().__init__(dtype, name)
        _check(average, beta, threshold)
        self.average = average
        self.beta = beta
        self.threshold = threshold
        self._counts: list[Accumulator] = []

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Adds a batch."""
        true, pred = np.asarray(y_true, self.dtype), np.asarray(y_pred, self.dtype)
        if true.ndim != 2 or pred.ndim != 2:
            raise ValueError(
                f"{type(self).__name__} expects 2D inputs with shape (batch_size, output_dim). "
                f"Received input shapes: y_pred.shape={pred.shape} and y_true.shape={true.shape}."
            )
        if not self._counts:
            names = ("true_positives", "false_positives", "false_negatives", "intermediate_weights")
            shape = () if self.average == "micro" else pred.shape[1:]
            self._counts = [self.add_variable(shape, "zeros", "float64", name=n) for n in names]
        if self.threshold is None:
            # A row of zeros has no positive entry.
            chosen = (pred >= pred.max(axis=-1, keepdims=True)) & (np.abs(pred) > 1e-9)
        else:
            chosen = pred > self.threshold
        found = chosen.astype(np.float64)
        weight = None if sample_weight is None else np.asarray(sample_weight, np.float64)
        parts = (found * true, found * (1.0 - true), (1.0 - found) * true, true)
        for variable, part in zip(self._counts, parts, strict=True):
            weighted = part
            if weight is not None:
                weighted = part * spread(weight, part.shape, "sample_weight")
            variable.assign_add(weighted.sum(axis=None if self.average == "micro" else 0))

    def result(self) -> Any:
        """The score since the last reset; 0 before the first batch."""
        if not self._counts:
            return 0.0
        eps = config.epsilon()
        hits, false, missed, occurring = (variable.value for variable in self._counts)
        precision = hits / (hits + false + eps)
        recall = hits / (hits + missed + eps)
        squared = self.beta**2
        score: Array = (1.0 + squared) * precision * recall / (squared * precision + recall + eps)
        if self.average == "weighted":
            return float((score * (occurring / (occurring.sum() + eps))).sum())
        return score if self.average is None else float(np.mean(score))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"average": self.average, "beta": self.beta, "threshold": self.threshold}
        return {**super().get_config(), **own}


class F1Score(FBetaScore):
    """`2 precision recall / (precision + recall)`, for `[batch, classes]`; as `FBetaScore`.

    >>> true = np.array([[1, 1, 1], [1, 0, 0], [1, 1, 0]])
    >>> pred = np.array([[0.2, 0.6, 0.7], [0.2, 0.6, 0.6], [0.6, 0.8, 0.0]])
    >>> F1Score(threshold=0.5)(true, pred).round(4).tolist()
    [0.5, 0.8, 0.6667]
    """

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str | None = "f1_score",
        dtype: object = None,
    ) -> None:
        super().__init__(average, 1.0, threshold, name, dtype)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        given = super().get_config()
        del given["beta"]
        return given


def _check(average: object, beta: object, threshold: object) -> None:
    if average not in _AVERAGES:
        known = ", ".join(map(repr, _AVERAGES))
        raise ValueError(
            f"Invalid `average` argument value. Expected one of: {{{known}}}. "
            f"Received: average={average}"
        )
    if not isinstance(beta, float):
        raise ValueError(  # noqa: TRY004 - Keras' error
            "Invalid `beta` argument value. It should be a Python float. "
            f"Received: beta={beta} of type '{type(beta)}'"
        )
    if beta <= 0.0:
        raise ValueError(f"Invalid `beta` argument value. It should be > 0. Received: beta={beta}")
    if threshold is None:
        return
    if not isinstance(threshold, float):
        raise ValueError(  # noqa: TRY004 - Keras' error
            "Invalid `threshold` argument value. It should be a Python float. "
            f"Received: threshold={threshold} of type '{type(threshold)}'"
        )
    if not 0.0 < threshold <= 1.0:
        raise ValueError(
            "Invalid `threshold` argument value. It should verify 0 < threshold <= 1. Received: "
            f"threshold={threshold}"
        )
