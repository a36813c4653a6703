"""Operations composed of others, from which their gradients follow."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ferrnn._src.ops.arithmetic import divide, maximum, minimum, multiply, subtract
from ferrnn._src.ops.elementwise import erf, isnan, sin
from ferrnn._src.ops.reductions import cumprod, cumsum
from ferrnn._src.ops.reductions import max as max_of
from ferrnn._src.ops.reductions import min as min_of
from ferrnn._src.ops.reductions import sum as sum_of
from ferrnn._src.ops.rules import Primitive, own, unbroadcast
from ferrnn._src.ops.selection import diag, diagonal, sort, take_along_axis, where
from ferrnn._src.ops.shaping import (
    concatenate,
    diff,
    expand_dims,
    flip,
    moveaxis,
    reshape,
    split,
    stack,
    swapaxes,
)
from ferrnn._src.ops.values import axes_of, floating, operation, pair, tensor
from ferrnn._src.symbolic import tracing
from ferrnn._src.tree.types import Array

# Elementwise.

_fmod = Primitive(
    np.fmod,
    own(
        lambda y, a, b: lambda g: unbroadcast(g, a),
        lambda y, a, b: lambda g: unbroadcast(-g * np.trunc(a / b), b),
    ),
)


@operation
def fmod(x1: Any, x2: Any) -> Any:
    """The remainder of `x1 / x2`, with the sign of `x1`.

    >>> fmod([-3.0, 3.0], 2.0).tolist()
    [-1.0, 1.0]
    """
    return _fmod(*pair(x1, x2))


@operation
def fmax(x1: Any, x2: Any) -> Any:
    """The larger one, or the one that is not NaN."""
    a, b = pair(x1, x2)
    return where(isnan(a), b, where(isnan(b), a, maximum(a, b)))


@operation
def fmin(x1: Any, x2: Any) -> Any:
    """The smaller one, or the one that is not NaN."""
    a, b = pair(x1, x2)
    return where(isnan(a), b, where(isnan(b), a, minimum(a, b)))


@operation
def sinc(x: Any) -> Any:
    """`sin(pi x) / (pi x)`, 1 at 0."""
    turned = multiply(floating(x), math.pi)
    nowhere = tracing.plain(turned) == 0
    safe = where(nowhere, np.asarray(1, turned.dtype), turned)
    return where(nowhere, np.asarray(1, turned.dtype), divide(sin(safe), safe))


@operation
def erfc(x: Any) -> Any:
    """`1 - erf(x)`."""
    return subtract(1.0, erf(x))


@operation
def sparse_plus(x: Any) -> Any:
    """0 up to -1, `x` from 1 on, `(x + 1)^2 / 4` between."""
    x = floating(x)
    raised = x + 1.0
    zero = np.asarray(0, x.dtype)
    return where(x <= -1.0, zero, where(x < 1.0, raised * raised * 0.25, x))


@operation
def sparse_sigmoid(x: Any) -> Any:
    """0 up to -1, 1 from 1 on, `(x + 1) / 2` between."""
    x = floating(x)
    zero, one = np.asarray(0, x.dtype), np.asarray(1, x.dtype)
    return where(x <= -1.0, zero, where(x >= 1.0, one, (x + 1.0) * 0.5))


@operation
def sparsemax(x: Any, axis: int = -1) -> Any:
    """The nearest probabilities to `x` along an axis; many are 0.

    >>> sparsemax([1.0, 0.5, -1.0]).tolist()
    [0.75, 0.25, 0.0]
    """
    x = moveaxis(floating(x), axis, -1)
    falling = flip(sort(x, axis=-1), axis=-1)
    over = cumsum(falling, axis=-1) - 1.0
    place = np.arange(1, x.shape[-1] + 1, dtype=x.dtype)
    inside = tracing.plain(falling) * place > tracing.plain(over)
    count = np.sum(inside, axis=-1, keepdims=True)
    bound = divide(take_along_axis(over, count - 1, axis=-1), np.asarray(count, x.dtype))
    return moveaxis(maximum(x - bound, 0.0), -1, axis)


# Shapes.


@operation
def fliplr(x: Any) -> Any:
    """`x` in reversed order along its second axis."""
    return flip(x, axis=1)


@operation
def flipud(x: Any) -> Any:
    """`x` in reversed order along its first axis."""
    return flip(x, axis=0)


@operation
def rot90(array: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """`array` rotated by `k` right angles in the plane of two axes."""
    first, second = axes_of(axes, tensor(array).ndim)
    turns = k % 4
    if turns == 2:
        return flip(array, axis=(first, second))
    if turns == 1:
        return swapaxes(flip(array, axis=second), first, second)
    return flip(swapaxes(array, first, second), axis=second) if turns else tensor(array)


@operation
def dstack(xs: Any) -> Any:
    """Arrays joined along the third axis, which is added if it is missing."""
    parts = [tensor(x) for x in xs]
    deep = [x if x.ndim > 2 else reshape(x, _three(x.shape)) for x in parts]
    return concatenate(deep, axis=2)


def _three(shape: tuple[int, ...]) -> tuple[int, ...]:
    return (*shape, 1) if len(shape) == 2 else (1, *(shape or (1,)), 1)


@operation
def hsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """`split` along the second axis, of a vector along the only one."""
    return split(x, indices_or_sections, axis=0 if tensor(x).ndim == 1 else 1)


@operation
def vsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """`split` along the first axis."""
    return split(x, indices_or_sections, axis=0)


@operation
def dsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """`split` along the third axis."""
    return split(x, indices_or_sections, axis=2)


@operation
def diagflat(x: Any, k: int = 0) -> Any:
    """A matrix with the entries of `x` on a diagonal, 0 elsewhere."""
    return diag(reshape(x, (-1,)), k)


# Products and sums.


@operation
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum of a diagonal of two axes."""
    return sum_of(diagonal(x, offset, axis1, axis2), axis=-1)


@operation
def kron(x1: Any, x2: Any) -> Any:
    """The Kronecker product: `x2` times each entry of `x1`, side by side."""
    a, b = pair(x1, x2)
    rank = max(a.ndim, b.ndim)
    first, second = ((1,) * (rank - len(each)) + each for each in (a.shape, b.shape))
    apart = multiply(
        reshape(a, [size for each in first for size in (each, 1)]),
        reshape(b, [size for each in second for size in (1, each)]),
    )
    return reshape(apart, [one * two for one, two in zip(first, second, strict=True)])


@operation
def cross(
    x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    """The vector product of vectors of three entries; of two entries each, one number."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = pair(x1, x2)
    a, b = moveaxis(a, axisa, -1), moveaxis(b, axisb, -1)
    sizes = {a.shape[-1], b.shape[-1]}
    if sizes == {2}:
        return a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
    if sizes != {3}:
        raise ValueError(
            "`x1` and `x2` must hold vectors of three entries, or of two, received the shapes "
            f"{a.shape} and {b.shape}"
        )
    turns = ((1, 2), (2, 0), (0, 1))
    parts = [a[..., i] * b[..., j] - a[..., j] * b[..., i] for i, j in turns]
    return stack(parts, axis=axisc)


@operation
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral along an axis by the trapezoidal rule, at places `x` or steps `dx`.

    >>> float(trapezoid([1.0, 2.0, 3.0]))
    4.0
    """
    y = moveaxis(floating(y), axis, -1)
    step: Any = dx
    if x is not None:
        x = floating(x)
        step = diff(x if x.ndim == 1 else moveaxis(x, axis, -1), axis=-1)
    return sum_of(multiply(multiply(y[..., 1:] + y[..., :-1], step), 0.5), axis=-1)


@operation
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:  # noqa: N803 - Keras'
    """The powers of the entries of a vector, a row for each, the highest first."""
    x = tensor(x)
    count = len(x) if N is None else N
    ones = np.ones((len(x), min(count, 1)), x.dtype)
    rows = np.repeat([0], max(count - 1, 0))
    powers = concatenate([ones, cumprod(expand_dims(x, 1)[:, rows], axis=1)], axis=1)
    return powers if increasing else flip(powers, axis=1)


def _segments(data: Any, ids: Any, count: int | None) -> tuple[Any, list[Array]]:
    x, numbers = tensor(data), np.asarray(tracing.plain(tensor(ids)))
    total = int(numbers.max(initial=-1)) + 1 if count is None else count
    return x, [np.flatnonzero(numbers == each) for each in range(total)]


@operation
def segment_max(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """The maximum of the rows with the same segment id; -inf where there is none."""
    x, rows = _segments(data, segment_ids, num_segments)
    nothing = np.full(x.shape[1:], -np.inf, x.dtype)
    return stack([max_of(x[each], axis=0) if len(each) else nothing for each in rows])


@operation
def segment_min(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """The minimum of the rows with the same segment id; inf where there is none."""
    x, rows = _segments(data, segment_ids, num_segments)
    nothing = np.full(x.shape[1:], np.inf, x.dtype)
    return stack([min_of(x[each], axis=0) if len(each) else nothing for each in rows])
