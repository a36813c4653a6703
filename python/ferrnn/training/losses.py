"""The losses by name: classes with a reduction, functions that give values per sample, `get`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ferrnn.core.names import snake_case
from ferrnn.core.types import Array, Mask
from ferrnn.training import formulas
from ferrnn.training.formulas import ValuesVjp
from ferrnn.training.loss import Loss, LossFunctionWrapper

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "Loss",
    "LossFunctionWrapper",
    "MeanAbsoluteError",
    "MeanSquaredError",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "categorical_crossentropy",
    "get",
    "mean_absolute_error",
    "mean_squared_error",
    "sparse_categorical_crossentropy",
]


class MeanSquaredError(Loss):
    """`mean((y_true - y_pred)^2)` over the last axis, for `[batch, ..., features]`.

    >>> float(MeanSquaredError()([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [1.0, 0.0]]))
    0.5
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_squared_error",
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient by `y_pred`."""
        return formulas.squared_error(y_true, y_pred)


class MeanAbsoluteError(Loss):
    """`mean(|y_true - y_pred|)` over the last axis, for `[batch, ..., features]`.

    >>> float(MeanAbsoluteError()([[0.0, 1.0], [0.0, 0.0]], [[1.0, 1.0], [3.0, 0.0]]))
    1.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = "mean_absolute_error",
        dtype: object = None,
    ) -> None:
        super().__init__(name, reduction, dtype)

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient by `y_pred`."""
        return formulas.absolute_error(y_true, y_pred)


class BinaryCrossentropy(Loss):
    """`-mean(y log p + (1 - y) log(1 - p))` over `axis`, for `[batch, ..., labels]`.

    `y_pred` are probabilities, or any numbers with `from_logits`. `label_smoothing` s makes labels
    `y (1 - s) + s / 2`.

    >>> round(float(BinaryCrossentropy()([[0.0, 1.0], [0.0, 0.0]], [[0.6, 0.4], [0.4, 0.6]])), 4)
    0.8149
    """

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
        self.label_smoothing = _smoothing(label_smoothing)
        self.axis = axis

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient by `y_pred`."""
        true, pred = np.moveaxis(y_true, self.axis, -1), np.moveaxis(y_pred, self.axis, -1)
        values, vjp = formulas.binary_crossentropy(
            true, pred, from_logits=self.from_logits, label_smoothing=self.label_smoothing
        )
        return values, _moved_back(vjp, self.axis)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this loss again."""
        own = {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing}
        return {**super().get_config(), **own, "axis": self.axis}


class CategoricalCrossentropy(Loss):
    """`-sum(y log p)` over `axis`, for one-hot or soft labels `[batch, ..., classes]`.

    `y_pred` are probabilities, scaled to sum 1, or any numbers with `from_logits`.
    `label_smoothing` s makes labels `y (1 - s) + s / classes`.

    >>> true, pred = [[0, 1, 0], [0, 0, 1]], [[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]]
    >>> round(float(CategoricalCrossentropy()(true, pred)), 4)
    1.1769
    """

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
        self.label_smoothing = _smoothing(label_smoothing)
        self.axis = axis

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient by `y_pred`."""
        true, pred = np.moveaxis(y_true, self.axis, -1), np.moveaxis(y_pred, self.axis, -1)
        values, vjp = formulas.categorical_crossentropy(
            true, pred, from_logits=self.from_logits, label_smoothing=self.label_smoothing
        )
        return values, _moved_back(vjp, self.axis)

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this loss again."""
        own = {"from_logits": self.from_logits, "label_smoothing": self.label_smoothing}
        return {**super().get_config(), **own, "axis": self.axis}


class SparseCategoricalCrossentropy(Loss):
    """`-log p[label]` for labels `[batch, ...]` or `[batch, ..., 1]`, `y_pred` `[..., classes]`.

    `y_pred` are probabilities, scaled to sum 1, or any numbers with `from_logits`. Entries labelled
    `ignore_class` do not count.

    >>> true, pred = [1, 2], [[0.05, 0.95, 0.0], [0.1, 0.8, 0.1]]
    >>> round(float(SparseCategoricalCrossentropy()(true, pred)), 4)
    1.1769
    """

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
        if axis != -1:
            raise NotImplementedError(
                f"`axis` of SparseCategoricalCrossentropy must be -1, received {axis}: "
                "classes on another axis are not available yet"
            )
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis

    def pointwise(self, y_true: Array, y_pred: Array) -> tuple[Array, ValuesVjp]:
        """Values `[batch, ...]` and their gradient by `y_pred`."""
        valid = self.counts(y_true, y_pred)
        labels = y_true if valid is None else np.where(valid, y_true, 0)
        if not np.all((labels >= 0) & (labels < y_pred.shape[-1])):
            raise ValueError(
                f"`y_true` of the loss {self.name!r} must hold labels in [0, {y_pred.shape[-1]}), "
                f"one for each of the {y_pred.shape[-1]} predicted classes, "
                f"received labels from {np.min(labels)} to {np.max(labels)}"
            )
        return formulas.sparse_categorical_crossentropy(
            labels.astype(np.intp, copy=False), valid, y_pred, from_logits=self.from_logits
        )

    def counts(self, y_true: Array, y_pred: Array) -> Mask | None:
        """False where the label is `ignore_class`."""
        if self.ignore_class is None:
            return None
        return np.asarray(y_true != self.ignore_class)

    def _aligned(
        self, true: Array, pred: Array, mask: Mask | None, sample_weight: ArrayLike | None
    ) -> tuple[Array, Array]:
        if true.ndim == pred.ndim and true.shape[-1] == 1:
            true = true[..., 0]
        if true.shape != pred.shape[:-1]:
            raise ValueError(
                f"`y_true` of the loss {self.name!r} must hold one label for each row of `y_pred`, "
                f"received y_true of shape {true.shape} and y_pred of shape {pred.shape}"
            )
        return true, pred

    def get_config(self) -> dict[str, Any]:
        """The arguments that make this loss again."""
        own = {"from_logits": self.from_logits, "ignore_class": self.ignore_class}
        return {**super().get_config(), **own, "axis": self.axis}


def mean_squared_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Values `[batch, ...]` of `MeanSquaredError`, for arrays `[batch, ..., features]`.

    >>> mean_squared_error([[0.0, 1.0]], [[1.0, 1.0]]).tolist()
    [0.5]
    """
    return MeanSquaredError().values(y_true, y_pred)


def mean_absolute_error(y_true: ArrayLike, y_pred: ArrayLike) -> Array:
    """Values `[batch, ...]` of `MeanAbsoluteError`, for arrays `[batch, ..., features]`.

    >>> mean_absolute_error([[0.0, 1.0]], [[2.0, 1.0]]).tolist()
    [1.0]
    """
    return MeanAbsoluteError().values(y_true, y_pred)


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


def _moved_back(vjp: ValuesVjp, axis: int) -> ValuesVjp:
    return vjp if axis == -1 else lambda d_values: np.moveaxis(vjp(d_values), -1, axis)


def _smoothing(value: float) -> float:
    if not 0 <= value <= 1:
        raise ValueError(f"`label_smoothing` must lie in [0, 1], received {value}")
    return float(value)


_CLASSES: dict[Callable[..., Array], type[Loss]] = {
    mean_squared_error: MeanSquaredError,
    mean_absolute_error: MeanAbsoluteError,
    binary_crossentropy: BinaryCrossentropy,
    categorical_crossentropy: CategoricalCrossentropy,
    sparse_categorical_crossentropy: SparseCategoricalCrossentropy,
}
_KNOWN: dict[str, Any] = {
    **{fn.__name__: fn for fn in _CLASSES},
    **{cls.__name__: cls for cls in _CLASSES.values()},
    **dict.fromkeys(("mse", "MSE"), mean_squared_error),
    **dict.fromkeys(("mae", "MAE"), mean_absolute_error),
    **dict.fromkeys(("bce", "BCE"), binary_crossentropy),
}
_KERAS_ONLY = frozenset(
    (
        "mape",
        "msle",
        "kld",
        "mean_absolute_percentage_error",
        "mean_squared_logarithmic_error",
        "huber",
        "log_cosh",
        "kl_divergence",
        "poisson",
        "hinge",
        "squared_hinge",
        "categorical_hinge",
        "cosine_similarity",
        "binary_focal_crossentropy",
        "categorical_focal_crossentropy",
        "dice",
        "tversky",
        "circle",
        "ctc",
    )
)


def get(identifier: Any) -> Any:
    """A loss function or `Loss` object from a name, a configuration, or itself.

    >>> get("mse") is mean_squared_error, get("MeanSquaredError")
    (True, <MeanSquaredError name=mean_squared_error reduction=sum_over_batch_size>)
    """
    if identifier is None:
        return None
    found = identifier
    if isinstance(identifier, dict):
        found = _KNOWN.get(str(identifier.get("class_name")))
        if isinstance(found, type):
            return found(**identifier.get("config", {}))
    elif isinstance(identifier, str):
        found = _KNOWN.get(identifier)
        if found is None and snake_case(identifier) in _KERAS_ONLY:
            raise NotImplementedError(f"the loss {identifier!r} is not available yet")
    if isinstance(found, type) and issubclass(found, Loss):
        return found()
    if callable(found):
        return found
    raise ValueError(
        f"Could not interpret loss identifier: {identifier!r}. Expected a `Loss`, a function of "
        f"(y_true, y_pred), or one of {sorted(_KNOWN)}"
    )


def as_loss(identifier: Any) -> Loss:
    """The `Loss` object that training uses, called as the user called it.

    >>> as_loss("mse")
    <MeanSquaredError name=mse reduction=sum_over_batch_size>
    """
    found = get(identifier)
    if isinstance(found, Loss):
        return found
    name = identifier if isinstance(identifier, str) else snake_case(getattr(found, "__name__", ""))
    if found in _CLASSES:
        loss = _CLASSES[found]()
        loss.name = name
        return loss
    return LossFunctionWrapper(found, name=name or None)
