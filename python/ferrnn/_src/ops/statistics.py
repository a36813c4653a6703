"""Quantiles, and reductions that ignore NaN."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.ops.arithmetic import add, divide, multiply, subtract
from ferrnn._src.ops.elementwise import isnan, sqrt
from ferrnn._src.ops.reductions import all as all_of
from ferrnn._src.ops.reductions import cumprod, cumsum, prod
from ferrnn._src.ops.reductions import max as max_of
from ferrnn._src.ops.reductions import min as min_of
from ferrnn._src.ops.reductions import sum as sum_of
from ferrnn._src.ops.selection import sort, where
from ferrnn._src.ops.shaping import reshape, transpose
from ferrnn._src.ops.values import axes_of, floating, operation, tensor
from ferrnn._src.symbolic import tracing


@operation
def quantile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """The entries below which the fractions `q` (0 to 1) of all entries along axes lie.

    Between two entries, `method` chooses: "linear", "lower", "higher", "nearest", "midpoint".

    >>> float(quantile([1.0, 2.0, 4.0], 0.75))
    3.0
    """
    if method not in ("linear", "lower", "higher", "nearest", "midpoint"):
        raise ValueError(
            "`method` must be 'linear', 'lower', 'higher', 'nearest' or 'midpoint', "
            f"received {method!r}"
        )
    x, parts = floating(x), np.asarray(tracing.plain(q), np.float64)
    axes = axes_of(axis, x.ndim)
    kept = [at for at in range(x.ndim) if at not in axes]
    rows = reshape(transpose(x, (*kept, *axes)), (*(x.shape[at] for at in kept), -1))
    rows = sort(rows, axis=-1)
    place = parts * (rows.shape[-1] - 1)
    if method == "nearest":
        place = np.ceil(place - 0.5)  # halfway between two, the lower one
    below, above = np.floor(place).astype(np.intp), np.ceil(place).astype(np.intp)
    share = {"linear": place - below, "lower": 0.0 * place, "midpoint": 0.5 + 0.0 * place}
    weight = np.asarray(share.get(method, np.ones_like(place)), x.dtype)
    found = add(
        multiply(rows[..., below], 1 - weight),
        multiply(rows[..., above], weight),
    )
    order = [*range(len(kept), len(kept) + parts.ndim), *range(len(kept))]
    found = transpose(found, order) if parts.ndim else found
    if not keepdims:
        return found
    ones = (1 if at in axes else size for at, size in enumerate(x.shape))
    return reshape(found, (*parts.shape, *ones))


@operation
def percentile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """`quantile` of `q / 100`."""
    parts = np.asarray(tracing.plain(q), np.float64)
    return quantile(x, parts / 100, axis, method, keepdims)


@operation
def median(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The middle entry along axes, or the mean of the two middle ones.

    >>> float(median([1.0, 4.0, 2.0]))
    2.0
    """
    return quantile(x, 0.5, axis, "midpoint", keepdims)


def _instead(x: Any, value: float) -> Any:
    """`x` with a number in place of NaN; integers are unchanged."""
    return where(isnan(x), np.asarray(value, x.dtype), x) if x.dtype.kind == "f" else x


def _nan_where(missing: Any, x: Any) -> Any:
    return where(missing, np.asarray(np.nan, x.dtype), x) if x.dtype.kind == "f" else x


@operation
def nansum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The sum over axes, ignoring NaN."""
    return sum_of(_instead(tensor(x), 0.0), axis, keepdims)


@operation
def nanprod(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The product over axes, ignoring NaN."""
    return prod(_instead(tensor(x), 1.0), axis, keepdims)


@operation
def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Running sums along an axis, NaN as 0."""
    return cumsum(_instead(tensor(x), 0.0), axis, dtype)


@operation
def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """Running products along an axis, NaN as 1."""
    return cumprod(_instead(tensor(x), 1.0), axis, dtype)


@operation
def nanmax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest entry over axes, ignoring NaN; NaN where all entries are NaN."""
    x = tensor(x)
    missing = all_of(isnan(x), axis, keepdims)
    return _nan_where(missing, max_of(_instead(x, -np.inf), axis, keepdims))


@operation
def nanmin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The smallest entry over axes, ignoring NaN; NaN where all entries are NaN."""
    x = tensor(x)
    missing = all_of(isnan(x), axis, keepdims)
    return _nan_where(missing, min_of(_instead(x, np.inf), axis, keepdims))


@operation
def nanmean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The mean over axes, ignoring NaN.

    >>> float(nanmean([1.0, float("nan"), 3.0]))
    2.0
    """
    x = floating(x)
    count = np.sum(~np.isnan(tracing.plain(x)), axis=_tuple(axis), keepdims=keepdims)
    return divide(nansum(x, axis, keepdims), np.asarray(count, x.dtype))


@operation
def nanvar(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The variance over axes, ignoring NaN."""
    x = floating(x)
    missing = np.isnan(tracing.plain(x))
    # To avoid NaN times 0 in the gradient, which is NaN.
    distance = multiply(subtract(_instead(x, 0.0), nanmean(x, axis, keepdims=True)), ~missing)
    count = np.sum(~missing, axis=_tuple(axis), keepdims=keepdims)
    return divide(sum_of(multiply(distance, distance), axis, keepdims), np.asarray(count, x.dtype))


@operation
def nanstd(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The root of `nanvar`."""
    return sqrt(nanvar(x, axis, keepdims))


@operation
def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the largest entry along an axis, ignoring NaN; -1 where all are NaN."""
    return _place(np.argmax, tracing.plain(tensor(x)), -np.inf, axis, keepdims)


@operation
def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the smallest entry along an axis, ignoring NaN; -1 where all are NaN."""
    return _place(np.argmin, tracing.plain(tensor(x)), np.inf, axis, keepdims)


def _place(function: Any, x: Any, value: float, axis: int | None, keepdims: bool) -> Any:
    missing = np.isnan(x)
    found = function(np.where(missing, value, x), axis=axis, keepdims=keepdims)
    nowhere = np.all(missing, axis=axis, keepdims=keepdims)
    return np.where(nowhere, -1, found).astype("int32")


def _tuple(axis: Any) -> Any:
    return tuple(axis) if isinstance(axis, list) else axis
