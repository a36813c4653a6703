"""The crossentropies: binary, categorical, and categorical with class numbers as labels."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.configs import config
from ferrnn._src.configs.notices import warn
from ferrnn._src.training import formulas
from ferrnn._src.training.averaged import Measure
from ferrnn._src.training.formulas import ValuesVjp
from ferrnn._src.training.loss import Loss
from ferrnn._src.training.losses import target_formulas
from ferrnn._src.training.losses.axes import checked_axis, checked_smoothing, moved_back
from ferrnn._src.tree.types import Array, Mask


def several_classes(name: str, y_pred: Array, axis: int = -1) -> None:
    """Warns about a softmax over a single class, which is always 1.

    >>> several_classes("categorical_crossentropy", np.zeros((4, 3)))
    """
    if -y_pred.ndim <= axis < y_pred.ndim and y_pred.shape[axis] == 1:
        warn(
            f"In loss {name}, expected y_pred.shape to be (batch_size, num_classes) with "
            f"num_classes > 1. Received: y_pred.shape={y_pred.shape}. Consider using "
            "'binary_crossentropy' if you only have 2 classes.",
            SyntaxWarning,
        )


class _OfClasses(Loss):
    """A crossentropy, whose unweighted mean the engine computes."""

    _labels: ClassVar[str]  # the engine's name for the form of its targets
    from_logits: bool
    label_smoothing: float = 0.0
    axis: int

    def measured(self) -> Measure | None:
        """The unweighted mean in the engine's form, or None if the engine does not have it."""
        if type(self) not in _KNOWN or self.axis != -1:
            return None
        kind = "logits" if self.from_logits else "crossentropy"
        ignored = () if self.ignore_class is None else (float(self.ignore_class),)
        return kind, self._labels, (float(self.label_smoothing), config.epsilon(), *ignored)

    def _by_engine(self, true: Array, pred: Array, *options: Any) -> Any:
        if self._labels == "one-hot":
            several_classes(self.name, pred)
        return super()._by_engine(true, pred, *options)


class BinaryCrossentropy(_OfClasses):
    """`-mean(y log p + (1 - y) log(1 - p))` over `axis`, for `[batch, ..., labels]`.

    `y_pred` are probabilities, or any numbers with `from_logits`. `label_smoothing` s makes labels
    `y (1 - s) + s / 2`.

    >>> round(float(BinaryCrossentropy()([[0.0, 1.0], [0.0, 0.0]], [[0.6, 0.4], [0.4, 0.6]])), 4)
    0.8149
    """

    _labels = "binary"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "binary_crossentropy",
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.from_logits = from_logits
        self.label_smoothing = checked_smoothing(label_smoothing)
        self.axis = checked_axis(axis)

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient with respect to `y_pred`."""
        true, pred = np.moveaxis(y_true, self.axis, -1), np.moveaxis(y_pred, self.axis, -1)
        values, vjp = formulas.binary_crossentropy(
            true, pred, from_logits=self.from_logits, label_smoothing=self.label_smoothing
        )
        return values, moved_back(vjp, self.axis)

    def by_targets(self, y_true: Array, y_pred: Array) -> ValuesVjp:
        """The gradient of the values with respect to `y_true`."""
        pred = np.moveaxis(y_pred, self.axis, -1)
        vjp = target_formulas.binary_crossentropy(
            pred, from_logits=self.from_logits, label_smoothing=self.label_smoothing
        )
        return moved_back(vjp, self.axis)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing}
        return {**super().get_config(), **own, "axis": self.axis}


class CategoricalCrossentropy(_OfClasses):
    """`-sum(y log p)` over `axis`, for one-hot or soft labels `[batch, ..., classes]`.

    `y_pred` are probabilities, scaled to sum 1, or any numbers with `from_logits`.
    `label_smoothing` s makes labels `y (1 - s) + s / classes`.

    >>> true, pred = [[0, 1, 0], [0, 0, 1]], [[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]]
    >>> round(float(CategoricalCrossentropy()(true, pred)), 4)
    1.1769
    """

    _labels = "one-hot"

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "categorical_crossentropy",
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.from_logits = from_logits
        self.label_smoothing = checked_smoothing(label_smoothing)
        self.axis = checked_axis(axis)

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient with respect to `y_pred`."""
        several_classes(self.name, y_pred, self.axis)
        true, pred = np.moveaxis(y_true, self.axis, -1), np.moveaxis(y_pred, self.axis, -1)
        values, vjp = formulas.categorical_crossentropy(
            true, pred, from_logits=self.from_logits, label_smoothing=self.label_smoothing
        )
        return values, moved_back(vjp, self.axis)

    def by_targets(self, y_true: Array, y_pred: Array) -> ValuesVjp:
        """The gradient of the values with respect to `y_true`."""
        pred = np.moveaxis(y_pred, self.axis, -1)
        vjp = target_formulas.categorical_crossentropy(
            pred, from_logits=self.from_logits, label_smoothing=self.label_smoothing
        )
        return moved_back(vjp, self.axis)

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing}
        return {**super().get_config(), **own, "axis": self.axis}


class SparseCategoricalCrossentropy(_OfClasses):
    """`-log p[label]` for labels `[batch, ...]` or `[batch, ..., 1]`, `y_pred` `[..., classes]`.

    `y_pred` are probabilities, scaled to sum 1, or any numbers with `from_logits`. Entries labelled
    `ignore_class` do not count.

    >>> true, pred = [1, 2], [[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]]
    >>> round(float(SparseCategoricalCrossentropy()(true, pred)), 4)
    1.1769
    """

    _labels = "numbers"

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str | None = "sparse_categorical_crossentropy",
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = checked_axis(axis)

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient with respect to `y_pred`."""
        valid = self.counts(y_true)
        pred = y_pred if self.axis == -1 else np.moveaxis(y_pred, self.axis, -1)
        labels = y_true if valid is None else np.where(valid, y_true, 0)
        values, vjp = formulas.sparse_categorical_crossentropy(
            self.checked_labels(labels, pred.shape[-1]), valid, pred, from_logits=self.from_logits
        )
        return values, moved_back(vjp, self.axis)

    def checked_labels(self, labels: Array, classes: int) -> Array:
        """`labels` as indices; raises ValueError for labels outside `[0, classes)`."""
        # Written so that NaN is refused too.
        if labels.size and not (labels.min() >= 0 and labels.max() < classes):
            raise ValueError(
                f"`y_true` of the loss {self.name!r} must hold labels in [0, {classes}), for the "
                f"{classes} predicted classes, received labels from {np.min(labels)} to "
                f"{np.max(labels)}"
            )
        return labels.astype(np.intp, copy=False)

    def counts(self, y_true: Array, values: Array | None = None) -> Mask | None:
        """False where the label is `ignore_class`."""
        if self.ignore_class is None:
            return None
        return np.asarray(y_true != self.ignore_class)

    def _aligned(
        self, true: Array, pred: Array, mask: Mask | None, sample_weight: ArrayLike | None
    ) -> tuple[Array, Array]:
        if true.ndim == pred.ndim and true.shape[self.axis] == 1:
            true = true.squeeze(self.axis)
        axis = self.axis % max(pred.ndim, 1)
        if true.shape != pred.shape[:axis] + pred.shape[axis + 1 :]:
            raise ValueError(
                f"`y_true` of the loss {self.name!r} must hold one label for each row of `y_pred`, "
                f"received y_true of shape {true.shape} and y_pred of shape {pred.shape}"
            )
        return true, pred

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        own = {"from_logits": self.from_logits, "ignore_class": self.ignore_class}
        return {**super().get_config(), **own, "axis": self.axis}


# Subclasses may define other values.
_KNOWN = (BinaryCrossentropy, CategoricalCrossentropy, SparseCategoricalCrossentropy)


def binary_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """Values `[batch, ...]` of `BinaryCrossentropy`, for arrays `[batch, ..., labels]`.

    >>> binary_crossentropy([[1.0], [0.0]], [[0.5], [0.5]]).round(4).tolist()
    [0.6930999755859375, 0.6930999755859375]
    """
    return BinaryCrossentropy(from_logits, label_smoothing, axis).values(y_true, y_pred)


def categorical_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Array:
    """Values `[batch, ...]` of `CategoricalCrossentropy`, for arrays `[batch, ..., classes]`.

    >>> categorical_crossentropy([[0, 1]], np.array([[1.0, 1.0]])).round(4).tolist()
    [0.6931]
    """
    return CategoricalCrossentropy(from_logits, label_smoothing, axis).values(y_true, y_pred)


def sparse_categorical_crossentropy(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Array:
    """Values `[batch, ...]` of `SparseCategoricalCrossentropy`; `y_pred` is `[..., classes]`.

    >>> sparse_categorical_crossentropy([1], np.array([[1.0, 1.0]])).round(4).tolist()
    [0.6931]
    """
    loss = SparseCategoricalCrossentropy(from_logits, ignore_class, axis=axis)
    return loss.values(y_true, y_pred)
