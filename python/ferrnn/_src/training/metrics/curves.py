"""Metrics over many thresholds: the best rate under a bound on another, and areas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.configs import config
from ferrnn._src.training.metrics.confusion import Counts, Thresholds, _Counting
from ferrnn._src.training.metrics.metric import Accumulator, Metric, divided
from ferrnn._src.training.reduction import as_float
from ferrnn._src.tree.types import Array

_KINDS = ("true_positives", "false_positives", "true_negatives", "false_negatives")


class _AtBound(_Counting):
    """The best value of one rate over the thresholds at which another is at least `bound`."""

    _direction = "up"
    kinds = _KINDS
    argument = ""

    def __init__(
        self,
        bound: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: object = None,
    ) -> None:
        super().__init__(dtype, name)
        if not 0 <= bound <= 1:
            raise ValueError(
                f"Argument `{self.argument}` must be in the range [0, 1]. "
                f"Received: {self.argument}={bound}"
            )
        if num_thresholds <= 0:
            raise ValueError(
                "Argument `num_thresholds` must be an integer > 0. "
                f"Received: num_thresholds={num_thresholds}"
            )
        self.bound = bound
        self.num_thresholds = num_thresholds
        self.class_id = class_id
        inner = [(i + 1) / (num_thresholds - 1) for i in range(num_thresholds - 2)]
        single = num_thresholds == 1
        self._begin(Thresholds([0.5] if single else [0.0, *inner, 1.0], even=not single))

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Adds a batch."""
        self._count(self._thresholds.counts(y_true, y_pred, sample_weight, class_id=self.class_id))

    def _rates(self, counts: Counts) -> tuple[Array, Array]:
        """The rate that is bounded, and the rate to be maximized."""
        raise NotImplementedError

    def result(self) -> float:
        """The best value since the last reset; 0 if the bound is met at no threshold."""
        bounded, wanted = self._rates(Counts(*(self._kept[kind].value for kind in _KINDS)))
        return float(np.max(np.where(bounded >= self.bound, wanted, 0.0), initial=0.0))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"num_thresholds": self.num_thresholds, self.argument: self.bound}
        return {**super().get_config(), "class_id": self.class_id, **own}


def _recall(counts: Counts) -> Array:
    return divided(counts.true_positives, counts.true_positives + counts.false_negatives)


def _precision(counts: Counts) -> Array:
    return divided(counts.true_positives, counts.true_positives + counts.false_positives)


def _specificity(counts: Counts) -> Array:
    return divided(counts.true_negatives, counts.true_negatives + counts.false_positives)


class SensitivityAtSpecificity(_AtBound):
    """The best recall of labels 1 where that of labels 0 is at least `specificity`.

    >>> SensitivityAtSpecificity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    0.5
    """

    argument = "specificity"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: object = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)
        self.specificity = specificity

    def _rates(self, counts: Counts) -> tuple[Array, Array]:
        return _specificity(counts), _recall(counts)


class SpecificityAtSensitivity(_AtBound):
    """The best recall of labels 0 where that of labels 1 is at least `sensitivity`.

    >>> round(SpecificityAtSensitivity(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8]), 4)
    0.6667
    """

    argument = "sensitivity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: object = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)
        self.sensitivity = sensitivity

    def _rates(self, counts: Counts) -> tuple[Array, Array]:
        return _recall(counts), _specificity(counts)


class PrecisionAtRecall(_AtBound):
    """The best precision where the recall is at least `recall`.

    >>> PrecisionAtRecall(0.5)([0, 0, 0, 1, 1], [0, 0.3, 0.8, 0.3, 0.8])
    0.5
    """

    argument = "recall"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: object = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)
        self.recall = recall

    def _rates(self, counts: Counts) -> tuple[Array, Array]:
        return _recall(counts), _precision(counts)


class RecallAtPrecision(_AtBound):
    """The best recall where the precision is at least `precision`.

    >>> RecallAtPrecision(0.8)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
    0.5
    """

    argument = "precision"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: object = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)
        self.precision = precision

    def _rates(self, counts: Counts) -> tuple[Array, Array]:
        return _precision(counts), _recall(counts)


class AUC(Metric):
    """The area under a curve through `num_thresholds` points, for labels and probabilities.

    `curve` is "ROC" (recall over false positive rate), "PR" (precision over recall) or "PRGAIN";
    `summation_method` "interpolation", "minoring" or "majoring". `thresholds` replaces the even
    ones. With `multi_label` each column of `[batch, labels]` has its area, and the result is their
    mean, weighted by `label_weights`.

    >>> AUC(num_thresholds=3)([0, 0, 1, 1], [0, 0.5, 0.3, 0.9])
    0.75
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: object = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: ArrayLike | None = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(dtype, name)
        self.curve = _choice(curve, ("PR", "ROC", "PRGAIN"), "AUC curve")
        methods = ("interpolation", "majoring", "minoring")
        self.summation_method = _choice(summation_method, methods, "AUC summation method")
        self._given = None if thresholds is None else sorted(float(each) for each in thresholds)
        self._thresholds = self._chosen(num_thresholds)
        self.num_thresholds = len(self._thresholds)
        if num_labels and not multi_label:
            raise ValueError("`num_labels` is needed only when `multi_label` is True.")
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.label_weights = None if label_weights is None else as_float(label_weights)
        self.from_logits = from_logits
        self._kept: list[Accumulator] = []
        if not multi_label or num_labels:
            self._build(num_labels)

    def _chosen(self, count: int) -> Thresholds:
        inner = self._given
        if inner is None:
            if count <= 1:
                raise ValueError(
                    "Argument `num_thresholds` must be an integer > 1. "
                    f"Received: num_thresholds={count}"
                )
            inner = [(i + 1) / (count - 1) for i in range(count - 2)]
        # Spacing is checked with ends 0 and 1; the actual ends lie beyond, to include everything.
        even = self._given is None or Thresholds([0.0, *inner, 1.0]).even
        eps = config.epsilon()
        return Thresholds([-eps, *inner, 1.0 + eps], even=even)

    @property
    def thresholds(self) -> list[float]:
        """What predictions are compared with."""
        return self._thresholds.values

    def _build(self, labels: int | None) -> None:
        shape = (self.num_thresholds, labels) if labels else (self.num_thresholds,)
        self._kept = [self.add_variable(shape, "zeros", "float64", name=kind) for kind in _KINDS]
        for kind, variable in zip(_KINDS, self._kept, strict=True):
            setattr(self, kind, variable)

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Adds a batch."""
        pred = as_float(y_pred)
        if self.multi_label and pred.ndim != 2:
            raise ValueError(
                f"`y_pred` must have rank 2 when `multi_label=True`. Found rank {pred.ndim}. "
                f"Full shape received for `y_pred`: {pred.shape}"
            )
        if not self._kept:
            self._build(pred.shape[1])
        if self.from_logits:
            pred = np.asarray(1.0 / (1.0 + np.exp(-np.clip(pred, -80, 80))))
        counts = self._thresholds.counts(
            y_true,
            pred,
            sample_weight,
            multi_label=self.multi_label,
            label_weights=None if self.multi_label else self.label_weights,
        )
        for kind, variable in zip(_KINDS, self._kept, strict=True):
            variable.assign_add(getattr(counts, kind))

    def result(self) -> float:
        """The area since the last reset; 0 before the first batch."""
        if not self._kept:
            return 0.0
        counts = Counts(*(variable.value for variable in self._kept))
        if self.curve == "PR" and self.summation_method == "interpolation":
            parts = _interpolated(counts)
        else:
            x, y = self._points(counts)
            parts = (x[:-1] - x[1:]) * self._heights(y)
        if not self.multi_label:
            return float(parts.sum())
        areas = parts.sum(axis=0)
        if self.label_weights is None:
            return float(areas.mean())
        return float(divided((areas * self.label_weights).sum(), self.label_weights.sum()))

    def _points(self, counts: Counts) -> tuple[Array, Array]:
        if self.curve == "ROC":
            false = counts.false_positives
            return divided(false, false + counts.true_negatives), _recall(counts)
        if self.curve == "PR":
            return _recall(counts), _precision(counts)
        hits = counts.true_positives
        positive = hits + counts.false_negatives
        scale = divided(positive, counts.true_negatives + counts.false_positives)
        recall = np.where(hits == 0, 0.0, 1.0 - scale * divided(counts.false_negatives, hits))
        precision = np.where(hits == 0, 1.0, 1.0 - scale * divided(counts.false_positives, hits))
        return np.maximum(recall, 0.0), precision

    def _heights(self, y: Array) -> Array:
        if self.summation_method == "interpolation":
            return (y[:-1] + y[1:]) / 2.0
        return (np.minimum if self.summation_method == "minoring" else np.maximum)(y[:-1], y[1:])

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        weights = self.label_weights
        own = {
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": None if weights is None else weights.tolist(),
            "from_logits": self.from_logits,
        }
        given = {} if self._given is None else {"thresholds": self._given}
        return {**super().get_config(), **own, **given}


def _interpolated(counts: Counts) -> Array:
    """Areas under precision over recall, with true positives linear in positives.

    Between two points precision is then not linear (Davis and Goadrich, 2006).
    """
    hits, found = counts.true_positives, counts.true_positives + counts.false_positives
    d_hits, d_found = hits[:-1] - hits[1:], np.maximum(found[:-1] - found[1:], 0)
    slope = divided(d_hits, d_found)
    intercept = hits[1:] - slope * found[1:]
    both = (found[:-1] > 0) & (found[1:] > 0)
    ratio = np.where(both, divided(found[:-1], np.maximum(found[1:], 0)), 1.0)
    positive = np.maximum(hits[1:] + counts.false_negatives[1:], 0)
    return divided(slope * (d_hits + intercept * np.log(ratio)), positive)


def _choice(value: str, known: tuple[str, ...], what: str) -> str:
    for name in known:
        if value in (name, name.lower(), name.capitalize()):
            return name
    raise ValueError(f'Invalid {what} value: "{value}". Expected values are {list(known)}')
