"""Counts of true and false positives and negatives at thresholds, and metrics of these."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.configs import config
from ferrnn._src.training.metrics.metric import Accumulator, Metric, divided, number_or_array
from ferrnn._src.training.reduction import as_float, same_rank, spread
from ferrnn._src.tree.types import Array

# Below all predictions: for those not among the `top_k`, and as the threshold that admits these.
_LOWEST = -1e10


@dataclass(frozen=True)
class Counts:
    """Weighted counts at each threshold, `[thresholds]` or `[thresholds, labels]`."""

    true_positives: Array
    false_positives: Array
    true_negatives: Array
    false_negatives: Array


class Thresholds:
    """Thresholds: a prediction above one is positive.

    >>> counts = Thresholds([0.5]).counts([1, 0, 1], [0.9, 0.6, 0.2])
    >>> counts.true_positives.tolist(), counts.false_positives.tolist()
    ([1.0], [1.0])
    """

    def __init__(self, values: Sequence[float], even: bool | None = None) -> None:
        self.values = [float(value) for value in values]
        self.even = evenly_spaced(self.values) if even is None else even
        self._order = np.argsort(self.values, kind="stable")

    @classmethod
    def given(cls, thresholds: Any, top_k: int | None = None) -> Thresholds:
        """The user's argument: a number, a list, or None for 0.5 (with `top_k`: no threshold)."""
        if thresholds is None:
            return cls([0.5 if top_k is None else _LOWEST])
        values = list(thresholds) if isinstance(thresholds, list | tuple) else [thresholds]
        wrong = [value for value in values if value is None or not 0 <= value <= 1]
        if wrong:
            raise ValueError(f"Threshold values must be in [0, 1]. Received: {wrong}")
        return cls(values)

    def __len__(self) -> int:
        return len(self.values)

    def counts(
        self,
        y_true: ArrayLike,
        y_pred: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        top_k: int | None = None,
        class_id: int | None = None,
        multi_label: bool = False,
        label_weights: Array | None = None,
    ) -> Counts:
        """Counts the labels and predictions `[batch, ...]`, compared in the default dtype."""
        pred, true = same_rank(as_float(y_pred, config.floatx()), np.asarray(y_true))
        if top_k is not None:
            pred = _only_largest(pred, top_k)
        if class_id is not None:
            if pred.ndim == 1:
                raise ValueError(
                    "When class_id is provided, y_pred must be a 2D array with shape "
                    f"(num_samples, num_classes), found shape: {pred.shape}"
                )
            true, pred = true[..., class_id, None], pred[..., class_id, None]
        if true.shape != pred.shape:
            raise ValueError(
                "`y_true` and `y_pred` must have the same shape, received y_true of shape "
                f"{true.shape} and y_pred of shape {pred.shape}"
            )
        weights = np.broadcast_to(_weights(pred, sample_weight), pred.shape)
        if label_weights is not None:
            weights = weights * label_weights
        labels = pred.shape[-1] if multi_label else 1
        positive = np.where(true.astype(bool), weights, 0.0)
        return self._counted(pred, positive, weights - positive, labels, multi_label)

    def _counted(
        self, pred: Array, positive: Array, negative: Array, labels: int, multi_label: bool
    ) -> Counts:
        bucket = self._buckets(pred).reshape(-1, labels)
        column = np.broadcast_to(np.arange(labels), bucket.shape)
        kept = bucket >= 0
        at = bucket[kept] * labels + column[kept]

        def above(weights: Array) -> Array:
            flat = weights.reshape(-1, labels)[kept]
            found = np.bincount(at, flat, len(self) * labels).reshape(len(self), labels)
            summed = np.empty_like(found)
            summed[self._order] = np.cumsum(found[::-1], axis=0)[::-1]
            return summed if multi_label else summed[:, 0]

        def total(weights: Array) -> Array:
            sums = weights.reshape(-1, labels).sum(axis=0)
            return np.asarray(sums if multi_label else sums[0])

        hits, false = above(positive), above(negative)
        return Counts(hits, false, total(negative) - false, total(positive) - hits)

    def _buckets(self, pred: Array) -> Array:
        """The index of the largest sorted threshold below each prediction, or -1."""
        if self.even:
            # Rounded as in Keras; otherwise a prediction at a threshold might count differently.
            with_margin = self.values[0] < 0.0 or self.values[-1] > 1.0
            number = pred.dtype.type(len(self) - 1)
            bucket = np.ceil(np.clip(pred, 0.0, 1.0) * number) - 1
            bucket = np.maximum(bucket, 0) if with_margin else bucket
        else:
            ordered = np.asarray(self.values, pred.dtype)[self._order]
            bucket = np.searchsorted(ordered, pred, side="left") - 1
        return np.where(np.isnan(pred), -1, bucket).astype(np.intp)


def evenly_spaced(thresholds: Sequence[float]) -> bool:
    """Whether these are at least three evenly spaced numbers from 0 to 1.

    >>> evenly_spaced([0.0, 0.5, 1.0]), evenly_spaced([0.25, 0.5])
    (True, False)
    """
    count = len(thresholds)
    if count < 3:
        return False
    even = np.arange(count) / (count - 1)
    return bool(np.allclose(thresholds, even, atol=config.epsilon()))


def _weights(pred: Array, sample_weight: ArrayLike | None) -> Array:
    """Weights for each sample (or step), in a shape that broadcasts to the predictions."""
    if sample_weight is None:
        return np.ones((), np.float64)
    return spread(np.asarray(sample_weight, np.float64), pred.shape, "sample_weight")


def _only_largest(pred: Array, k: int) -> Array:
    order = np.argsort(-pred, axis=-1, kind="stable")[..., :k]
    kept = np.zeros(pred.shape, bool)
    np.put_along_axis(kept, order, True, -1)
    return np.where(kept, pred, pred.dtype.type(_LOWEST))


class _Counting(Metric):
    """The base of metrics that count at thresholds, with a variable for each kind of count."""

    kinds: tuple[str, ...] = ()

    def _begin(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self._kept: dict[str, Accumulator] = {
            kind: self.add_variable((len(thresholds),), "zeros", "float64", name=kind)
            for kind in self.kinds
        }
        for kind, variable in self._kept.items():
            setattr(self, kind, variable)

    @property
    def thresholds(self) -> list[float]:
        """The thresholds that predictions are compared with."""
        return self._thresholds.values

    def _count(self, counts: Counts) -> None:
        for kind, variable in self._kept.items():
            variable.assign_add(getattr(counts, kind))


class _OneKind(_Counting):
    """A metric of one kind of count."""

    def __init__(
        self, thresholds: Any = None, name: str | None = None, dtype: object = None
    ) -> None:
        super().__init__(dtype, name)
        self.init_thresholds = thresholds
        self._begin(Thresholds.given(thresholds))

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Adds a batch."""
        self._count(self._thresholds.counts(y_true, y_pred, sample_weight))

    def result(self) -> Any:
        """The weighted count, or one for each threshold."""
        return number_or_array(self._kept[self.kinds[0]].value)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {**super().get_config(), "thresholds": self.init_thresholds}


class TruePositives(_OneKind):
    """How many labels 1 are predicted above the threshold (0.5), weighted.

    >>> TruePositives()([0, 1, 1, 1], [1, 0, 1, 1])
    2.0
    """

    kinds = ("true_positives",)


class FalsePositives(_OneKind):
    """How many labels 0 are predicted above the threshold (0.5), weighted.

    >>> FalsePositives()([0, 1, 0, 0], [0, 0, 1, 1])
    2.0
    """

    kinds = ("false_positives",)


class TrueNegatives(_OneKind):
    """How many labels 0 are not predicted above the threshold (0.5), weighted.

    >>> TrueNegatives()([0, 1, 0, 0], [1, 1, 0, 0])
    2.0
    """

    kinds = ("true_negatives",)


class FalseNegatives(_OneKind):
    """How many labels 1 are not predicted above the threshold (0.5), weighted.

    >>> FalseNegatives()([0, 1, 1, 1], [0, 1, 0, 0])
    2.0
    """

    kinds = ("false_negatives",)


class _Share(_Counting):
    """The ratio of true positives to another count."""

    _direction = "up"

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: object = None,
    ) -> None:
        super().__init__(dtype, name)
        self.init_thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id
        self._begin(Thresholds.given(thresholds, top_k))

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Adds a batch."""
        counts = self._thresholds.counts(
            y_true, y_pred, sample_weight, top_k=self.top_k, class_id=self.class_id
        )
        self._count(counts)

    def result(self) -> Any:
        """The ratio since the last reset, or one for each threshold; 0 for 0 / 0."""
        hits, other = (self._kept[kind].value for kind in self.kinds)
        return number_or_array(divided(hits, hits + other))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {
            "thresholds": self.init_thresholds,
            "top_k": self.top_k,
            "class_id": self.class_id,
        }
        return {**super().get_config(), **own}


class Precision(_Share):
    """How many of those predicted above the threshold (0.5) have the label 1.

    With `top_k` only the `k` largest of a row can be positive; with `class_id` only that column of
    `[batch, classes]` counts.

    >>> Precision()([0, 1, 1, 1], [1, 0, 1, 1])
    0.6666666666666666
    """

    kinds = ("true_positives", "false_positives")


class Recall(_Share):
    """How many of those with the label 1 are predicted above the threshold (0.5).

    `top_k` and `class_id` as for `Precision`.

    >>> Recall()([0, 1, 1, 1], [1, 0, 1, 1])
    0.6666666666666666
    """

    kinds = ("true_positives", "false_negatives")
