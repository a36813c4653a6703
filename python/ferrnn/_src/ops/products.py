"""Products of matrices and tensors, and norms."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.configs import config
from ferrnn._src.ops.arithmetic import add, divide, maximum, multiply, power, subtract
from ferrnn._src.ops.elementwise import absolute, rsqrt, sqrt, square
from ferrnn._src.ops.reductions import max as maximum_over
from ferrnn._src.ops.reductions import mean
from ferrnn._src.ops.reductions import min as minimum_over
from ferrnn._src.ops.reductions import sum as total
from ferrnn._src.ops.rules import Primitive, borrowed, own
from ferrnn._src.ops.tape import ufuncs
from ferrnn._src.ops.values import cast_to, common_dtype, floating, operation, pair, tensor
from ferrnn._src.symbolic import tracing

_borrowed_matmul = borrowed("matmul")


def _matmul_rule(places: tuple[int, ...], answer: Any, args: Any, options: Any) -> Any:
    a, b = args
    if a.ndim != 2 or b.ndim != 2:
        return _borrowed_matmul(places, answer, args, options)
    return lambda g: [a.T @ g if place else g @ b.T for place in places]


_matmul = Primitive(np.matmul, _matmul_rule)
_dot = Primitive(np.dot, borrowed("dot"))
_tensordot = Primitive(
    lambda a, b, *, axes: np.tensordot(a, b, axes),
    borrowed("tensordot"),
)
_einsum = Primitive(np.einsum, borrowed("einsum"))
_outer = Primitive(
    np.outer,
    own(
        lambda answer, a, b: lambda g: np.reshape(g @ np.ravel(b), np.shape(a)),
        lambda answer, a, b: lambda g: np.reshape(np.ravel(a) @ g, np.shape(b)),
    ),
)


@operation
def matmul(x1: Any, x2: Any) -> Any:
    """The product of matrices, over the last axis of `x1` and the last but one of `x2`.

    >>> matmul(np.ones((2, 5, 3)), np.ones((3, 4))).shape
    (2, 5, 4)
    """
    return _matmul(*pair(x1, x2))


@operation
def dot(x1: Any, x2: Any) -> Any:
    """The product over the last axis of `x1` and the last but one of `x2`, as `numpy.dot`."""
    return _dot(*pair(x1, x2))


@operation
def vdot(x1: Any, x2: Any) -> Any:
    """The product of all entries, summed: one number."""
    return total(multiply(*(_flat(part) for part in pair(x1, x2))))


def _flat(x: Any) -> Any:
    return x.reshape(-1) if isinstance(x, np.ndarray) else _raveled(x)


_raveled = Primitive(np.ravel, own(lambda answer, x: lambda g: np.reshape(g, np.shape(x))))


@operation
def inner(x1: Any, x2: Any) -> Any:
    """The product over the last axes."""
    a, b = pair(x1, x2)
    if not a.ndim or not b.ndim:
        return multiply(a, b)
    return _tensordot(a, b, axes=([a.ndim - 1], [b.ndim - 1]))


@operation
def outer(x1: Any, x2: Any) -> Any:
    """Each entry of `x1` times each entry of `x2`, `[entries, entries]`."""
    return _outer(*pair(x1, x2))


@operation
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Any:
    """The product over several axes: so many last of `x1` and first of `x2`, or those listed."""
    a, b = pair(x1, x2)
    if not isinstance(axes, int):
        first, second = ([each] if isinstance(each, int) else list(each) for each in axes)
        axes = (first, second)
    elif not axes:
        axes = ([], [])
    return _tensordot(a, b, axes=axes)


@operation
def einsum(subscripts: str, *operands: Any, **kwargs: Any) -> Any:
    """A sum of products by Einstein's convention; the subscripts name the axes.

    >>> einsum("bi,ij->bj", np.ones((2, 3)), np.ones((3, 4))).tolist()[0]
    [3.0, 3.0, 3.0, 3.0]
    """
    arrays = [tensor(operand) for operand in operands]
    dtype = common_dtype(arrays)
    arrays = [cast_to(array, dtype) for array in arrays]
    return _einsum(subscripts.replace(" ", ""), *arrays)


@operation
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The norm of a vector along an axis, or of a matrix over two (by `ord`).

    >>> float(norm([3.0, 4.0]))
    5.0
    """
    x = floating(x)
    axes = (axis,) if isinstance(axis, int) else axis
    if ord is None or (ord == "fro" and (x.ndim if axes is None else len(axes)) == 2):
        return _root_of_squares(x, axes, keepdims)
    if axes is None:
        axes = tuple(range(x.ndim))
    if len(axes) == 1:
        return _vector_norm(x, ord, axes, keepdims)
    if len(axes) == 2 and ord in (1, -1, np.inf, -np.inf):
        return _matrix_norm(x, ord, axes, keepdims)
    raise ValueError(
        f"`ord` of `ops.norm` over {len(axes)} axes must be None, 'fro', 1, -1, inf or -inf (over "
        f"one axis, any number), received {ord!r}"
    )


def _root_of_squares(x: Any, axes: Any, keepdims: bool) -> Any:
    squares = total(square(x), axis=axes, keepdims=keepdims)
    return _safe_root(squares)


# The gradient of the norm of zeros is defined as zero, not NaN.
_safe_root = Primitive(
    np.sqrt,
    own(lambda y, x: lambda g: np.where(y > 0, 0.5 * g / np.where(y > 0, y, 1), 0)),
)


def _vector_norm(x: Any, ord: Any, axes: Any, keepdims: bool) -> Any:
    if ord == 2:
        return _root_of_squares(x, axes, keepdims)
    sizes = absolute(x)
    if ord == 1:
        return total(sizes, axis=axes, keepdims=keepdims)
    if ord in (np.inf, -np.inf):
        choose = maximum_over if ord > 0 else minimum_over
        return choose(sizes, axis=axes, keepdims=keepdims)
    if ord == 0:
        return total(
            np.not_equal(tracing.plain(x), 0).astype(x.dtype), axis=axes, keepdims=keepdims
        )
    if not isinstance(ord, int | float):
        raise TypeError(f"`ord` of `ops.norm` of a vector must be a number, received {ord!r}")
    return power(total(power(sizes, ord), axis=axes, keepdims=keepdims), 1 / ord)


def _matrix_norm(x: Any, ord: Any, axes: Any, keepdims: bool) -> Any:
    rows, columns = (axis % x.ndim for axis in axes)
    summed, chosen = (rows, columns) if ord in (1, -1) else (columns, rows)
    sums = total(absolute(x), axis=summed, keepdims=True)
    choose = maximum_over if ord > 0 else minimum_over
    found = choose(sums, axis=chosen, keepdims=True)
    return found if keepdims else total(found, axis=(rows, columns))


@operation
def normalize(x: Any, axis: Any = -1, order: int = 2, epsilon: float | None = None) -> Any:
    """`x` divided by its norm along an axis, or by `epsilon` if that is larger."""
    x = floating(x)
    epsilon = config.epsilon() if epsilon is None else epsilon
    if order == 2:
        squares = total(square(x), axis=axis, keepdims=True)
        return multiply(x, rsqrt(maximum(squares, epsilon**2)))
    return divide(x, maximum(norm(x, ord=order, axis=axis, keepdims=True), epsilon))


@operation
def layer_normalization(
    x: Any, gamma: Any = None, beta: Any = None, axis: Any = -1, epsilon: float | None = None
) -> Any:
    """`x` with mean 0 and variance 1 over `axis`, times `gamma`, plus `beta`."""
    x = floating(x)
    centred = subtract(x, mean(x, axis=axis, keepdims=True))
    spread = mean(square(centred), axis=axis, keepdims=True)
    result = multiply(centred, rsqrt(add(spread, config.epsilon() if epsilon is None else epsilon)))
    if gamma is not None:
        result = multiply(result, gamma)
    return result if beta is None else add(result, beta)


@operation
def rms_normalization(
    x: Any, scale: Any = None, axis: Any = -1, epsilon: float | None = None
) -> Any:
    """`x` divided by the root of its mean square over `axis`, times `scale`."""
    x = floating(x)
    mean_square = mean(square(x), axis=axis, keepdims=True)
    result = multiply(x, rsqrt(add(mean_square, config.epsilon() if epsilon is None else epsilon)))
    return result if scale is None else multiply(result, scale)


@operation
def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    axis: int,
    offset: Any = None,
    scale: Any = None,
    epsilon: float = 1e-3,
) -> Any:
    """`(x - mean) / sqrt(variance + epsilon) * scale + offset`, all but `x` along `axis`."""
    x = floating(x)
    shape = [1] * x.ndim
    shape[axis] = -1
    along = [None if part is None else _placed(part, shape) for part in (mean, variance)]
    result = divide(subtract(x, along[0]), sqrt(add(along[1], epsilon)))
    if scale is not None:
        result = multiply(result, _placed(scale, shape))
    return result if offset is None else add(result, _placed(offset, shape))


_reshaped = Primitive(
    lambda x, *, shape: np.reshape(x, shape),
    own(lambda answer, x, shape: lambda g: np.reshape(g, np.shape(x))),
)


def _placed(x: Any, shape: list[int]) -> Any:
    return _reshaped(floating(x), shape=tuple(shape))


ufuncs[np.matmul] = matmul
