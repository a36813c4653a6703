"""Reduction of values per element to one number: ranks, weights, masks, sums and means."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ferrnn._src.configs import config
from ferrnn._src.tree.types import Array, Mask

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


def standardize_reduction(reduction: object) -> str | None:
    """`reduction`, or None for "none"; raises ValueError unless it is in `REDUCTIONS`.

    >>> standardize_reduction("sum")
    'sum'
    """
    if reduction not in REDUCTIONS:
        raise ValueError(
            f"Invalid value for argument `reduction`. Expected one of {REDUCTIONS}. "
            f"Received: reduction={reduction!r}"
        )
    return None if reduction in (None, "none") else str(reduction)


def as_float(value: ArrayLike, dtype: DTypeLike | None = None) -> Array:
    """An array of `dtype`; by default float arrays keep theirs, and others become `floatx`.

    >>> as_float([1, 2]).dtype.name, as_float(np.zeros(2)).dtype.name
    ('float32', 'float64')
    """
    if dtype is not None:
        return np.asarray(value, dtype)
    if isinstance(value, np.ndarray | np.generic) and value.dtype.char in "fd":
        return np.asarray(value)
    return np.asarray(value, config.floatx())


def same_rank(first: Array, second: Array) -> tuple[Array, Array]:
    """Adds or removes a last axis of size 1 where the ranks differ by exactly one.

    >>> [part.shape for part in same_rank(np.zeros(3), np.zeros((3, 1)))]
    [(3, 1), (3, 1)]
    """
    if first.ndim == second.ndim + 1 and first.shape[-1] == 1:
        return (first, second[..., None]) if second.ndim == 1 else (first[..., 0], second)
    if second.ndim == first.ndim + 1 and second.shape[-1] == 1:
        return (first[..., None], second) if first.ndim == 1 else (first, second[..., 0])
    return first, second


def weights_of(
    values: Array,
    sample_weight: ArrayLike | None,
    mask: Mask | None,
    *,
    rescale: bool,
) -> Array | None:
    """One weight for each of `values`, or None where all weigh the same.

    With `rescale`, the weights of unmasked entries sum to the number of all entries, so that a sum
    divided by the number of entries is the mean over the unmasked ones.

    >>> weights_of(np.zeros(4), None, np.array([True, True, False, False]), rescale=True).tolist()
    [2.0, 2.0, 0.0, 0.0]
    """
    if sample_weight is None and mask is None:
        return None
    weights = np.ones((), values.dtype)
    if mask is not None:
        weights = spread(mask, values.shape, "mask").astype(values.dtype)
        if rescale:
            weights = weights * (mask.size / max(int(np.count_nonzero(mask)), 1))
    if sample_weight is not None:
        given = np.asarray(sample_weight, values.dtype)
        weights = weights * spread(given, values.shape, "sample_weight")
    return np.broadcast_to(weights, values.shape)


def both(first: Mask | None, second: Mask | None) -> Mask | None:
    """The conjunction of two masks, either of which may be None.

    >>> both(None, np.array([True, False])).tolist()
    [True, False]
    """
    if first is None or second is None:
        return second if first is None else first
    return np.asarray(first & second)


def by_sample_weight(
    values: Array, sample_weight: Array, mask: Mask | None, *, rescale: bool
) -> Array:
    """The derivative of the weighted sum of `values` with respect to `sample_weight`.

    >>> by_sample_weight(np.array([[1.0, 2.0], [3.0, 4.0]]), np.ones(2), None, rescale=True)
    array([3., 7.])
    """
    ones = np.ones(sample_weight.shape, values.dtype)
    counted = values * np.asarray(weights_of(values, ones, mask, rescale=rescale))
    sizes = spread(ones, values.shape, "sample_weight").shape
    shared = tuple(axis for axis, size in enumerate(sizes) if size == 1)
    found: Array = counted.sum(axis=shared, keepdims=True).reshape(sample_weight.shape)
    return found


def spread(weights: Array, shape: tuple[int, ...], name: str) -> Array:
    """Gives `weights` the rank of values of this shape, so that they broadcast to it.

    Their axes are the first of the values' (weights of samples, of steps) or, if they do not fit
    there, the last, as in NumPy, or those before the features. Additional axes of size 1 at the end
    are dropped.

    >>> [spread(np.ones(s), (4, 3), "weights").shape for s in [(), (4,), (4, 3, 1), (1, 3), (3,)]]
    [(1, 1), (4, 1), (4, 3), (1, 3), (1, 3)]
    >>> spread(np.ones(3), (4, 3, 2), "weights").shape
    (1, 3, 1)
    """
    given: tuple[int, ...] = weights.shape
    sizes = given
    while len(sizes) > len(shape) and sizes[-1] == 1:
        sizes = sizes[:-1]
    ones = (1,) * (len(shape) - len(sizes))
    for axes in ((*sizes, *ones), (*ones, *sizes), (*ones[1:], *sizes, 1)):
        pairs = zip(axes, shape, strict=False)
        if len(axes) == len(shape) and all(have in (1, want) for have, want in pairs):
            return weights.reshape(axes)
    raise ValueError(
        f"`{name}` must have one weight for each value of the shape {shape}, received an array of "
        f"the shape {given}"
    )


def reduction_factor(
    values: Array, weights: Array | None, *, reduction: str, weighted: bool
) -> float:
    """The factor of the weighted sum of `values`; 0 if there is nothing to divide by.

    >>> reduction_factor(np.zeros((2, 5)), None, reduction="sum_over_batch_size", weighted=False)
    0.1
    """
    if reduction == "sum":
        return 1.0
    divisor = float(values.size)
    if reduction == "mean_with_sample_weight" and weighted and weights is not None:
        divisor = float(np.sum(weights, dtype=np.float64))
    return 1.0 / divisor if divisor else 0.0
