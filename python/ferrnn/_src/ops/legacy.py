"""Keras 2's module `backend`, for older code, in terms of today's operations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ferrnn._src.configs import config
from ferrnn._src.ops import (
    arithmetic,
    creation,
    drawing,
    elementwise,
    neural,
    products,
    reductions,
    selection,
    shaping,
)
from ferrnn._src.symbolic.symbolic import SymbolicTensor
from ferrnn._src.weights.variable import Variable


def cast_to_floatx(x: Any) -> Any:
    """`x` in the session's default dtype.

    >>> cast_to_floatx([1, 2]).dtype.name
    'float32'
    """
    return arithmetic.cast(x, config.floatx())


def clip(x: Any, min_value: Any, max_value: Any) -> Any:
    """`x` between two bounds, either of which may be None."""
    low = -np.inf if min_value is None else min_value
    return elementwise.clip(x, low, np.inf if max_value is None else max_value)


def concatenate(tensors: Sequence[Any], axis: int = -1) -> Any:
    """The arrays joined, by default along the last axis."""
    return shaping.concatenate(tensors, axis=axis)


def constant(
    value: Any, dtype: Any = None, shape: Sequence[int] | None = None, name: str | None = None
) -> Any:
    """An array of `value`, by default in the default dtype."""
    array = creation.convert_to_tensor(value, dtype or config.floatx())
    return array if shape is None else shaping.broadcast_to(array, tuple(shape))


def argmax(x: Any, axis: int = -1) -> Any:
    """The index of the largest entry, by default along the last axis."""
    return reductions.argmax(x, axis=axis)


def argmin(x: Any, axis: int = -1) -> Any:
    """The index of the smallest entry, by default along the last axis."""
    return reductions.argmin(x, axis=axis)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = "int32") -> Any:
    """Numbers from `start` up to `stop`, or from 0 up to `start`."""
    return creation.arange(start, stop, step, dtype)


def cumprod(x: Any, axis: int = 0) -> Any:
    """Running products, by default along the first axis."""
    return reductions.cumprod(x, axis=axis)


def cumsum(x: Any, axis: int = 0) -> Any:
    """Running sums, by default along the first axis."""
    return reductions.cumsum(x, axis=axis)


def elu(x: Any, alpha: float = 1.0) -> Any:
    """`x` above 0, else `alpha * (exp(x) - 1)`."""
    return neural.elu(x, alpha)


def expand_dims(x: Any, axis: int = -1) -> Any:
    """`x` with a new axis of length 1."""
    return shaping.expand_dims(x, axis)


def eye(size: int, dtype: Any = None, name: str | None = None) -> Any:
    """The identity matrix."""
    return creation.eye(size, dtype=dtype or config.floatx())


def flatten(x: Any) -> Any:
    """All entries in one axis."""
    return shaping.reshape(x, (-1,))


def batch_flatten(x: Any) -> Any:
    """`[batch, ...] -> [batch, entries of a sample]`."""
    return shaping.reshape(x, (-1, int(np.prod(tuple(x.shape)[1:]))))


def gather(reference: Any, indices: Any) -> Any:
    """The rows of `reference` at `indices`."""
    return selection.take(reference, indices, axis=0)


def get_value(x: Any) -> Any:
    """The array behind a variable."""
    return creation.convert_to_numpy(x)


def set_value(x: Any, value: Any) -> None:
    """Assigns to a variable."""
    x.assign(value)


def batch_get_value(tensors: Sequence[Any]) -> list[Any]:
    """The arrays behind several variables."""
    return [get_value(each) for each in tensors]


def batch_set_value(tuples: Sequence[tuple[Any, Any]]) -> None:
    """Assigns to several variables: `(variable, value)` each."""
    for variable_, value in tuples:
        set_value(variable_, value)


def int_shape(x: Any) -> tuple[int | None, ...] | None:
    """The shape as a tuple, None for lengths not known yet.

    >>> int_shape(np.zeros((2, 3)))
    (2, 3)
    """
    shape_ = getattr(x, "shape", None)
    return None if shape_ is None else tuple(shape_)


def l2_normalize(x: Any, axis: int | None = None) -> Any:
    """`x` over its length along `axis`."""
    total = reductions.sum(elementwise.square(x), axis=axis, keepdims=True)
    return arithmetic.multiply(x, elementwise.rsqrt(arithmetic.maximum(total, 1e-12)))


def ones(shape: Sequence[int], dtype: Any = None, name: str | None = None) -> Any:
    """Ones, by default in the default dtype."""
    return creation.ones(tuple(shape), dtype or config.floatx())


def zeros(shape: Sequence[int], dtype: Any = None, name: str | None = None) -> Any:
    """Zeros, by default in the default dtype."""
    return creation.zeros(tuple(shape), dtype or config.floatx())


def ones_like(x: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Ones of the shape of `x`."""
    return creation.ones_like(x, dtype)


def zeros_like(x: Any, dtype: Any = None, name: str | None = None) -> Any:
    """Zeros of the shape of `x`."""
    return creation.zeros_like(x, dtype)


def permute_dimensions(x: Any, pattern: Sequence[int]) -> Any:
    """`x` with its axes in another order."""
    return shaping.transpose(x, tuple(pattern))


def pow(x: Any, a: Any) -> Any:
    """`x` to the power of `a`."""
    return arithmetic.power(x, a)


def random_normal(
    shape: Sequence[int],
    mean: float = 0.0,
    stddev: float = 1.0,
    dtype: Any = None,
    seed: Any = None,
) -> Any:
    """Normally distributed numbers."""
    return drawing.normal(tuple(shape), mean, stddev, dtype, seed)


def random_uniform(
    shape: Sequence[int],
    minval: float = 0.0,
    maxval: float = 1.0,
    dtype: Any = None,
    seed: Any = None,
) -> Any:
    """Uniformly distributed numbers between two bounds."""
    return drawing.uniform(tuple(shape), minval, maxval, dtype, seed)


def relu(x: Any, alpha: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """`x` above `threshold`, at most `max_value`; `alpha * (x - threshold)` below."""
    below = arithmetic.multiply(alpha, arithmetic.subtract(x, threshold))
    kept = x if max_value is None else arithmetic.minimum(x, max_value)
    return selection.where(arithmetic.greater_equal(x, threshold), kept, below)


def repeat(x: Any, n: int) -> Any:
    """`[batch, features] -> [batch, n, features]`."""
    return shaping.repeat(shaping.expand_dims(x, 1), n, axis=1)


def repeat_elements(x: Any, rep: int, axis: int) -> Any:
    """Each entry `rep` times along `axis`."""
    return shaping.repeat(x, rep, axis=axis)


def reverse(x: Any, axes: int | Sequence[int]) -> Any:
    """`x` reversed along `axes`."""
    return shaping.flip(x, axis=axes)


def switch(condition: Any, then_expression: Any, else_expression: Any) -> Any:
    """`then_expression` where the condition holds, else the other; functions are called."""
    parts = (part() if callable(part) else part for part in (then_expression, else_expression))
    then, other = parts
    missing = np.ndim(then) - len(tuple(condition.shape)) if hasattr(condition, "shape") else 0
    for _ in range(max(missing, 0)):
        condition = shaping.expand_dims(condition, -1)
    return selection.where(condition, then, other)


def temporal_padding(x: Any, padding: tuple[int, int] = (1, 1)) -> Any:
    """`[batch, time, features]` with steps of zeros before and after."""
    return shaping.pad(x, ((0, 0), tuple(padding), (0, 0)))


def variable(value: Any, dtype: Any = None, name: str | None = None, constraint: Any = None) -> Any:
    """A variable of this value."""
    return Variable(np.asarray(value, dtype or config.floatx()), name=name)


def update(x: Any, new_x: Any) -> Any:
    """Assigns to a variable, and returns it."""
    x.assign(new_x)
    return x


def update_add(x: Any, increment: Any) -> Any:
    """Adds to a variable, and returns it."""
    x.assign(x.value + increment)
    return x


def update_sub(x: Any, decrement: Any) -> Any:
    """Subtracts from a variable, and returns it."""
    x.assign(x.value - decrement)
    return x


def count_params(x: Any) -> int:
    """The number of entries."""
    return int(np.prod(tuple(x.shape)))


def batch_dot(x: Any, y: Any, axes: int | Sequence[int] | None = None) -> Any:
    """The product of each sample along one axis of both arrays; vectors give `[batch, 1]`.

    >>> batch_dot(np.ones((2, 3, 4)), np.ones((2, 4, 5))).shape
    (2, 3, 5)
    """
    x_axes, y_axes = len(tuple(x.shape)), len(tuple(y.shape))
    if axes is None:
        axes = (x_axes - 1, 1 if y_axes == 2 else y_axes - 2)
    over = (axes, axes) if isinstance(axes, int) else tuple(axes)
    x_letters, y_letters = list("abcdefgh"[:x_axes]), list("apqrstuv"[:y_axes])
    y_letters[over[1] % y_axes] = x_letters[over[0] % x_axes]
    shared = x_letters[over[0] % x_axes]
    kept = [each for each in (*x_letters, *y_letters[1:]) if each != shared]
    equation = f"{''.join(x_letters)},{''.join(y_letters)}->{''.join(kept)}"
    product = products.einsum(equation, x, y)
    return shaping.expand_dims(product, 1) if len(kept) == 1 else product


def is_keras_tensor(x: Any) -> bool:
    """Whether `x` is a symbolic tensor.

    >>> is_keras_tensor(np.zeros(3))
    False
    """
    return isinstance(x, SymbolicTensor)
