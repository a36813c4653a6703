"""Intersection over union, for segmentation: from a matrix of true and predicted classes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.configs import config
from ferrnn._src.configs.notices import warn
from ferrnn._src.training.metrics.metric import Metric
from ferrnn._src.training.reduction import spread


class IoU(Metric):
    """The mean over `target_class_ids` of `hits / (hits + false + missed)`.

    `y_true` and `y_pred` are class numbers of any shape, or `[..., classes]` along `axis` where
    `sparse_y_true`, `sparse_y_pred` are False: then the largest entry counts. What is labelled
    `ignore_class`, or out of range, does not count; nor does a class that occurs nowhere.

    >>> round(IoU(num_classes=2, target_class_ids=[0])([0, 0, 1, 1], [0, 1, 0, 1]), 4)
    0.3333
    """

    _direction = "up"

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: object = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(dtype or "int", name)
        self.num_classes = num_classes
        self.ignore_class = ignore_class
        self.sparse_y_true = sparse_y_true
        self.sparse_y_pred = sparse_y_pred
        self.axis = axis
        if max(target_class_ids) >= num_classes:
            raise ValueError(
                f"Target class id {max(target_class_ids)} is out of range, which is "
                f"[0, {num_classes})."
            )
        self.target_class_ids = list(target_class_ids)
        shape = (num_classes, num_classes)
        self.total_cm = self.add_variable(shape, "zeros", "float64", name="total_confusion_matrix")

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Adds a batch; weights are cut to whole numbers unless `dtype` is a float."""
        true = np.asarray(y_true) if self.sparse_y_true else np.argmax(y_true, axis=self.axis)
        pred = np.asarray(y_pred) if self.sparse_y_pred else np.argmax(y_pred, axis=self.axis)
        weights = self._weights(sample_weight, true.shape)
        true, pred = true.astype(np.int64).ravel(), pred.astype(np.int64).ravel()
        counted = (true >= 0) & (true < self.num_classes)
        counted &= (pred >= 0) & (pred < self.num_classes)
        if self.ignore_class is not None:
            counted &= true != self.ignore_class
        pairs = true[counted] * self.num_classes + pred[counted]
        counts = np.bincount(pairs, weights[counted], self.num_classes**2)
        self.total_cm.assign_add(counts.reshape(self.num_classes, self.num_classes))

    def _weights(self, sample_weight: ArrayLike | None, shape: tuple[int, ...]) -> Any:
        weights = np.asarray(1.0 if sample_weight is None else sample_weight)
        if "int" in self.dtype:
            if weights.dtype.kind == "f" and sample_weight is not None:
                warn(
                    "You are passing weight as `float`, but dtype is `int`. This may result in an "
                    "incorrect weight due to type casting. Consider using integer weights."
                )
            weights = weights.astype(np.int64)
        if weights.size != math.prod(shape):
            weights = np.broadcast_to(spread(weights, shape, "sample_weight"), shape)
        return weights.ravel()

    def result(self) -> float:
        """The mean since the last reset; 0 before the first batch."""
        matrix = self.total_cm.value
        hits = np.diag(matrix)[self.target_class_ids]
        union = (matrix.sum(axis=0) + matrix.sum(axis=1))[self.target_class_ids] - hits
        occurs = union > 1e-9
        ratios = np.where(occurs, hits / (union + config.epsilon()), 0.0)
        return float(ratios.sum() / (np.count_nonzero(occurs) + config.epsilon()))

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {
            "num_classes": self.num_classes,
            "target_class_ids": self.target_class_ids,
            "ignore_class": self.ignore_class,
            "sparse_y_true": self.sparse_y_true,
            "sparse_y_pred": self.sparse_y_pred,
            "axis": self.axis,
        }
        return {**super().get_config(), **own}


class BinaryIoU(IoU):
    """`IoU` of two classes; predictions of at least `threshold` are of class 1.

    >>> round(BinaryIoU(threshold=0.3)([0, 1, 0, 1], [0.1, 0.2, 0.4, 0.7]), 4)
    0.3333
    """

    def __init__(
        self,
        target_class_ids: Sequence[int] = (0, 1),
        threshold: float = 0.5,
        name: str | None = None,
        dtype: object = None,
    ) -> None:
        super().__init__(2, target_class_ids, name, dtype)
        self.threshold = threshold

    def update_state(
        self, y_true: ArrayLike, y_pred: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> None:
        """Adds a batch."""
        found = np.asarray(y_pred, np.float32) >= self.threshold
        super().update_state(y_true, found, sample_weight)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"target_class_ids": self.target_class_ids, "threshold": self.threshold}
        return {**Metric.get_config(self), **own}


class MeanIoU(IoU):
    """`IoU` of all classes.

    >>> round(MeanIoU(num_classes=2)([0, 0, 1, 1], [0, 1, 0, 1]), 4)
    0.3333
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: object = None,
        ignore_class: int | None = None,
        sparse_y_true: bool = True,
        sparse_y_pred: bool = True,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes,
            range(num_classes),
            name,
            dtype,
            ignore_class,
            sparse_y_true,
            sparse_y_pred,
            axis,
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        given = super().get_config()
        del given["target_class_ids"]
        return given


class OneHotIoU(IoU):
    """`IoU` for one-hot labels, and predictions `[..., classes]` unless `sparse_y_pred`.

    >>> metric = OneHotIoU(num_classes=3, target_class_ids=[0, 2])
    >>> true = [[0, 0, 1], [1, 0, 0], [0, 1, 0], [1, 0, 0]]
    >>> pred = [[0.2, 0.3, 0.5], [0.1, 0.2, 0.7], [0.5, 0.3, 0.1], [0.1, 0.4, 0.5]]
    >>> round(metric(true, pred), 4)
    0.1667
    """

    def __init__(
        self,
        num_classes: int,
        target_class_ids: Sequence[int],
        name: str | None = None,
        dtype: object = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(
            num_classes, target_class_ids, name, dtype, ignore_class, False, sparse_y_pred, axis
        )

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        given = super().get_config()
        del given["sparse_y_true"]
        return given


class OneHotMeanIoU(MeanIoU):
    """`MeanIoU` for one-hot labels, and predictions `[..., classes]` unless `sparse_y_pred`.

    >>> true = [[0, 0, 1], [1, 0, 0], [0, 1, 0], [1, 0, 0]]
    >>> pred = [[0.2, 0.3, 0.5], [0.1, 0.2, 0.7], [0.5, 0.3, 0.1], [0.1, 0.4, 0.5]]
    >>> round(OneHotMeanIoU(num_classes=3)(true, pred), 4)
    0.1111
    """

    def __init__(
        self,
        num_classes: int,
        name: str | None = None,
        dtype: object = None,
        ignore_class: int | None = None,
        sparse_y_pred: bool = False,
        axis: int = -1,
    ) -> None:
        super().__init__(num_classes, name, dtype, ignore_class, False, sparse_y_pred, axis)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        given = super().get_config()
        del given["sparse_y_true"]
        return given
