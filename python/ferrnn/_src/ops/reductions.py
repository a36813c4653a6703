"""Sums, means, extremes and running sums along axes."""

from __future__ import annotations

import builtins
from typing import Any

import numpy as np

from ferrnn._src.ops.arithmetic import add, divide, maximum, minimum, multiply, subtract
from ferrnn._src.ops.elementwise import exp, log
from ferrnn._src.ops.rules import Primitive, own
from ferrnn._src.ops.values import axes_of, cast_to, floating, one_axis, operation, tensor
from ferrnn._src.symbolic import tracing

Axis = Any


def _expanded(reduced: Any, shape: tuple[int, ...], axis: Axis, keepdims: bool) -> Any:
    """The result of a reduction, with the reduced axes restored as 1."""
    if keepdims:
        return reduced
    axes = axes_of(axis, len(shape))
    return np.reshape(reduced, [1 if at in axes else size for at, size in enumerate(shape)])


def _spread(reduced: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    return np.broadcast_to(_expanded(reduced, x.shape, axis, keepdims), x.shape)


def _count(x: Any, axis: Axis) -> int:
    count = 1
    for at in axes_of(axis, x.ndim):
        count *= x.shape[at]
    return count


def _axis(axis: Axis) -> Axis:
    return tuple(axis) if isinstance(axis, list) else axis


def _sum_of(x: Any, *, axis: Axis, keepdims: bool) -> Any:
    return np.sum(x, axis=axis, keepdims=keepdims, dtype=x.dtype)


_sum = Primitive(_sum_of, own(lambda y, x, axis, keepdims: lambda g: _spread(g, x, axis, keepdims)))
_mean = Primitive(
    lambda x, *, axis, keepdims: np.mean(x, axis=axis, keepdims=keepdims),
    own(
        lambda y, x, axis, keepdims: (
            lambda g: _spread(g, x, axis, keepdims) / np.asarray(_count(x, axis), x.dtype)
        )
    ),
)


def _extreme_maker(y: Any, x: Any, axis: Axis, keepdims: bool) -> Any:
    def vjp(g: Any) -> Any:
        chosen = (x == _expanded(y, x.shape, axis, keepdims)).astype(x.dtype)
        share = chosen / np.add.reduce(chosen, axis=axis, keepdims=True)
        return share * _expanded(g, x.shape, axis, keepdims)

    return vjp


_max = Primitive(
    lambda x, *, axis, keepdims: np.max(x, axis=axis, keepdims=keepdims), own(_extreme_maker)
)
_min = Primitive(
    lambda x, *, axis, keepdims: np.min(x, axis=axis, keepdims=keepdims), own(_extreme_maker)
)


def _products_of_others(x: Any, axis: int) -> Any:
    """For each entry, the product of all others along the axis, without dividing by zeros."""
    moved = np.moveaxis(x, axis, -1)
    before, after = np.ones_like(moved), np.ones_like(moved)
    np.cumprod(moved[..., :-1], axis=-1, out=before[..., 1:])
    np.cumprod(moved[..., :0:-1], axis=-1, out=after[..., -2::-1])
    return np.moveaxis(before * after, -1, axis)


def _prod_maker(y: Any, x: Any, axis: int, keepdims: bool) -> Any:
    return lambda g: _expanded(g, x.shape, axis, keepdims) * _products_of_others(x, axis)


_prod = Primitive(
    lambda x, *, axis, keepdims: np.prod(x, axis=axis, keepdims=keepdims, dtype=x.dtype),
    own(_prod_maker),
)


def _reversed_cumsum(g: Any, axis: int) -> Any:
    return np.flip(np.cumsum(np.flip(g, axis), axis), axis)


_cumsum = Primitive(
    lambda x, *, axis: np.cumsum(x, axis=axis, dtype=x.dtype),
    own(lambda y, x, axis: lambda g: _reversed_cumsum(g, axis)),
)


def _cumprod_maker(y: Any, x: Any, axis: int) -> Any:
    def vjp(g: Any) -> Any:
        # d y[j] / d x[i] is the product of the entries up to j except i, which holds for zeros too.
        steps, d_steps = np.moveaxis(x, axis, 0), np.moveaxis(g, axis, 0)
        d_x = np.empty_like(steps)
        for at in range(len(steps)):
            front = np.prod(steps[:at], axis=0)
            tail = np.cumprod(steps[at + 1 :], axis=0)
            d_x[at] = front * (d_steps[at] + np.add.reduce(d_steps[at + 1 :] * tail, axis=0))
        return np.moveaxis(d_x, 0, axis)

    return vjp


_cumprod = Primitive(
    lambda x, *, axis: np.cumprod(x, axis=axis, dtype=x.dtype), own(_cumprod_maker)
)


def _summable(x: Any) -> Any:
    x = tensor(x)
    return x.astype("int32") if x.dtype.kind == "b" else x


@operation
def sum(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The sum over axes, all by default.

    >>> sum(np.ones((2, 3)), axis=-1).tolist()
    [3.0, 3.0]
    """
    return _sum(_summable(x), axis=_axis(axis), keepdims=keepdims)


@operation
def mean(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The mean over axes, a float."""
    return _mean(floating(x), axis=_axis(axis), keepdims=keepdims)


@operation
def var(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The variance over axes, divided by the number of entries."""
    x = floating(x)
    centred = subtract(x, mean(x, axis, keepdims=True))
    return mean(multiply(centred, centred), axis, keepdims)


@operation
def std(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The standard deviation over axes; where it is zero, so is its gradient."""
    return _safe_root(var(x, axis, keepdims))


_safe_root = Primitive(
    np.sqrt,
    own(lambda y, x: lambda g: np.where(y > 0, 0.5 * g / np.where(y > 0, y, 1), 0)),
)


@operation
def moments(
    x: Any, axes: Axis, keepdims: bool = False, synchronized: bool = False
) -> tuple[Any, Any]:
    """Mean and variance over axes."""
    return mean(x, axes, keepdims), var(x, axes, keepdims)


@operation
def average(x: Any, axis: Axis = None, weights: Any = None) -> Any:
    """The mean over an axis, weighted by `weights` of the shape of `x`, or of that axis."""
    x = floating(x)
    if weights is None:
        return mean(x, axis)
    weights = floating(weights)
    if weights.ndim == 1 and x.ndim > 1:
        if axis is None:
            raise ValueError(
                "`axis` of `ops.average` must be given for weights with one axis, received None"
            )
        at = one_axis(axis, x.ndim)
        weights = weights[(...,) + (None,) * (x.ndim - 1 - at)]
    return divide(sum(multiply(x, weights), axis), sum(add(multiply(x, 0), weights), axis))


@operation
def max(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Any:
    """The largest entry over axes; equal ones share the gradient.

    >>> float(max([1.0, 3.0]))
    3.0
    """
    x = tensor(x)
    if initial is not None and not builtins.all(x.shape):
        return np.max(tracing.plain(x), axis=_axis(axis), keepdims=keepdims, initial=initial)
    found = _max(x, axis=_axis(axis), keepdims=keepdims)
    return found if initial is None else maximum(found, initial)


@operation
def min(x: Any, axis: Axis = None, keepdims: bool = False, initial: Any = None) -> Any:
    """The smallest entry over axes; equal ones share the gradient."""
    x = tensor(x)
    if initial is not None and not builtins.all(x.shape):
        return np.min(tracing.plain(x), axis=_axis(axis), keepdims=keepdims, initial=initial)
    found = _min(x, axis=_axis(axis), keepdims=keepdims)
    return found if initial is None else minimum(found, initial)


amax, amin = max, min


@operation
def ptp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """The largest less the smallest entry."""
    return subtract(max(x, axis, keepdims), min(x, axis, keepdims))


@operation
def prod(x: Any, axis: Axis = None, keepdims: bool = False, dtype: Any = None) -> Any:
    """The product over axes."""
    x = _summable(x)
    if dtype is not None:
        x = cast_to(x, np.dtype(dtype))
    axes = axes_of(axis, x.ndim)
    for at in sorted(axes, reverse=True):
        x = _prod(x, axis=at, keepdims=keepdims)
    return x


@operation
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """The sums up to each entry along an axis (None: of all entries in a row).

    >>> cumsum([1, 2, 3]).tolist()
    [1, 3, 6]
    """
    x, at = _in_a_row(x, axis, dtype)
    return _cumsum(x, axis=at)


@operation
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """The products up to each entry along an axis (None: of all entries in a row)."""
    x, at = _in_a_row(x, axis, dtype)
    return _cumprod(x, axis=at)


_row = Primitive(lambda x: np.reshape(x, -1), own(lambda y, x: lambda g: np.reshape(g, x.shape)))


def _in_a_row(x: Any, axis: int | None, dtype: Any) -> tuple[Any, int]:
    x = _summable(x)
    if dtype is not None:
        x = cast_to(x, np.dtype(dtype))
    return (_row(x), 0) if axis is None else (x, one_axis(axis, x.ndim))


@operation
def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """`log(sum(exp(x)))` over axes, without overflow."""
    x = floating(x)
    top = np.max(tracing.plain(x), axis=_axis(axis), keepdims=True)
    top = np.where(np.isfinite(top), top, 0).astype(x.dtype)
    found = log(sum(exp(subtract(x, top)), axis, keepdims=True))
    if keepdims:
        return add(found, top)
    return sum(add(found, top), axis)


def _plain(x: Any) -> Any:
    return tracing.plain(tensor(x))


@operation
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the largest entry, int32; it has no gradient."""
    return np.asarray(np.argmax(_plain(x), axis=axis, keepdims=keepdims), "int32")


@operation
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the smallest entry, int32; it has no gradient."""
    return np.asarray(np.argmin(_plain(x), axis=axis, keepdims=keepdims), "int32")


@operation
def all(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Whether all entries are true (not zero)."""
    return np.all(_plain(x), axis=_axis(axis), keepdims=keepdims)


@operation
def any(x: Any, axis: Axis = None, keepdims: bool = False) -> Any:
    """Whether any entry is true (not zero)."""
    return np.any(_plain(x), axis=_axis(axis), keepdims=keepdims)


@operation
def count_nonzero(x: Any, axis: Axis = None) -> Any:
    """The number of entries that are not zero, int32."""
    return np.asarray(np.count_nonzero(_plain(x), axis=_axis(axis)), "int32")
