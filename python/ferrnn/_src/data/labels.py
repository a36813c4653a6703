"""Labels and features in the form for networks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ferrnn._src.tree.types import Array


def to_categorical(x: ArrayLike, num_classes: int | None = None) -> Array:
    """One-hot rows `[..., classes]` for class numbers `[...]` or `[..., 1]`, in float64.

    `num_classes` is the largest number plus one unless given.

    >>> to_categorical([0, 2, 1]).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    labels = np.asarray(x).astype(np.int64)
    if labels.ndim > 1 and labels.shape[-1] == 1:
        labels = labels[..., 0]
    count = int(num_classes) if num_classes else int(labels.max()) + 1
    if labels.size and not (labels.min() >= 0 and labels.max() < count):
        raise IndexError(
            f"`x` must hold classes in [0, {count}), received {labels.min()} to {labels.max()}"
        )
    rows = np.zeros((labels.size, count))
    rows[np.arange(labels.size), labels.ravel()] = 1.0
    return rows.reshape(*labels.shape, count)


def normalize(x: ArrayLike, axis: int = -1, order: Any = 2) -> Array:
    """`x` divided by its norm along `axis`; where the norm is 0, `x` is unchanged.

    As in Keras, an array of one axis becomes a row `[1, features]`.

    >>> normalize([[3.0, 4.0], [0.0, 0.0]]).tolist()
    [[0.6, 0.8], [0.0, 0.0]]
    """
    array = np.asarray(x)
    if isinstance(x, np.ndarray) and x.ndim == 1:  # programs for Keras rely on this
        array = array[None]
    norm = np.linalg.norm(array, order, axis, keepdims=True)
    return np.asarray(array / np.where(norm == 0, 1, norm))


def pack_x_y_sample_weight(x: Any, y: Any = None, sample_weight: Any = None) -> Any:
    """What a dataset yields for a batch: `x`, `(x, y)` or `(x, y, sample_weight)`.

    >>> pack_x_y_sample_weight(1), pack_x_y_sample_weight(1, 2)
    (1, (1, 2))
    """
    if y is None:
        return (x,) if isinstance(x, list | tuple) else x
    return (x, y) if sample_weight is None else (x, y, sample_weight)


def unpack_x_y_sample_weight(data: Any) -> tuple[Any, Any, Any]:
    """`x`, `y` and `sample_weight` of what a dataset yields for a batch; None for what is missing.

    >>> unpack_x_y_sample_weight((1, 2))
    (1, 2, None)
    """
    parts = tuple(data) if isinstance(data, list) else data
    if not isinstance(parts, tuple):
        return parts, None, None
    if not 1 <= len(parts) <= 3:
        raise ValueError(
            "Data is expected to be in format `x`, `(x,)`, `(x, y)`, or `(x, y, sample_weight)`, "
            f"found: {data}"
        )
    x, y, sample_weight = (*parts, None, None)[:3]
    return x, y, sample_weight
