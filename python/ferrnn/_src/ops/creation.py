"""New arrays, conversions, and properties of arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.ops.tape import Traced
from ferrnn._src.ops.values import cast_to, dtype_name, operation, tensor
from ferrnn._src.symbolic import tracing
from ferrnn._src.symbolic.symbolic import SymbolicTensor
from ferrnn._src.tree.results import as_output
from ferrnn._src.tree.types import Array
from ferrnn._src.weights.parameter import Parameter


def convert_to_tensor(
    x: Any, dtype: Any = None, sparse: bool | None = None, ragged: bool | None = None
) -> Any:
    """`x` as an array, in Keras' default dtypes; a traced value keeps its gradient.

    >>> convert_to_tensor([1.0, 2.0]).dtype.name, convert_to_tensor(1).dtype.name
    ('float32', 'int32')
    """
    if isinstance(x, SymbolicTensor):
        return x
    array = tensor(x)
    return as_output(array if dtype is None else cast_to(array, np.dtype(dtype_name(dtype))))


def array(x: Any, dtype: Any = None) -> Any:
    """`x` as a new array."""
    found = convert_to_tensor(x, dtype)
    return np.array(found, subok=True) if isinstance(found, np.ndarray) else found


def convert_to_numpy(x: Any) -> Array:
    """`x` as a NumPy array; raises TypeError for traced values, whose gradient would be lost."""
    if isinstance(x, Parameter):
        return np.asarray(x)
    if isinstance(x, Traced) and tracing.running.get():
        raise TypeError(
            "`ops.convert_to_numpy` would cut the gradient of a traced value: use only functions "
            "of `ferrnn.ops`, or `ops.stop_gradient(x)` where no gradient is wanted"
        )
    return np.asarray(tracing.plain(tensor(x)))


@operation
def stop_gradient(variable: Any) -> Any:
    """The plain array of a traced value: a constant for the gradient.

    >>> from ferrnn._src.symbolic.tracing import differentiate
    >>> _, vjp = differentiate(lambda x: x * stop_gradient(x), np.array([3.0]))
    >>> vjp(np.array([1.0]), None).tolist()
    [3.0]
    """
    return tracing.plain(tensor(variable))


@operation
def copy(x: Any) -> Any:
    """A copy; a traced value itself, as it cannot be written to."""
    x = tensor(x)
    return np.array(x) if isinstance(x, np.ndarray) else x


def is_tensor(x: Any) -> bool:
    """Whether `x` is an array, traced or symbolic."""
    return isinstance(x, np.ndarray | np.generic | Traced | SymbolicTensor)


def shape(x: Any) -> tuple[Any, ...]:
    """The lengths of the axes.

    >>> shape(np.ones((2, 3)))
    (2, 3)
    """
    return tuple(x.shape) if hasattr(x, "shape") else tuple(tensor(x).shape)


def ndim(x: Any) -> int:
    """The number of axes."""
    return len(shape(x))


def size(x: Any) -> int:
    """The number of entries."""
    return int(np.prod(shape(x), dtype=np.int64))


def dtype(x: Any) -> str:
    """The name of the dtype."""
    return str(np.dtype(x.dtype if hasattr(x, "dtype") else tensor(x).dtype).name)


def _lengths(given: Any) -> tuple[int, ...]:
    return (int(given),) if isinstance(given, int | np.integer) else tuple(map(int, given))


def zeros(shape: Any, dtype: Any = None) -> Any:
    """Zeros of a shape."""
    return as_output(np.zeros(_lengths(shape), dtype_name(dtype)))


def ones(shape: Any, dtype: Any = None) -> Any:
    """Ones of a shape."""
    return as_output(np.ones(_lengths(shape), dtype_name(dtype)))


def empty(shape: Any, dtype: Any = None) -> Any:
    """Zeros of a shape, rather than arbitrary values."""
    return zeros(shape, dtype)


@operation
def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """One value everywhere, of a shape."""
    return np.full(_lengths(shape), tracing.plain(tensor(fill_value)), dtype_name(dtype))


@operation
def zeros_like(x: Any, dtype: Any = None) -> Any:
    """Zeros of the shape and dtype of `x`."""
    x = tracing.plain(tensor(x))
    return np.zeros(x.shape, x.dtype if dtype is None else dtype_name(dtype))


@operation
def ones_like(x: Any, dtype: Any = None) -> Any:
    """Ones of the shape and dtype of `x`."""
    x = tracing.plain(tensor(x))
    return np.ones(x.shape, x.dtype if dtype is None else dtype_name(dtype))


empty_like = zeros_like


@operation
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """One value everywhere, of the shape and dtype of `x`."""
    x = tracing.plain(tensor(x))
    kind = x.dtype if dtype is None else dtype_name(dtype)
    return np.full(x.shape, tracing.plain(tensor(fill_value)), kind)


def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Any:
    """Numbers from `start` (0 if only one is given) up to `stop`, without it.

    >>> arange(3).tolist(), arange(1.0, 2.0, 0.5).dtype.name
    ([0, 1, 2], 'float32')
    """
    given = [tracing.plain(part) for part in (start, stop, step) if part is not None]
    if dtype is None:
        whole = all(np.asarray(part).dtype.kind in "iub" for part in given)
        dtype = "int32" if whole else None
    low, high = (0, start) if stop is None else (start, stop)
    return as_output(np.arange(low, high, 1 if step is None else step).astype(dtype_name(dtype)))


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """`num` evenly spaced numbers from `start` to `stop`."""
    found = np.linspace(
        tracing.plain(tensor(start)), tracing.plain(tensor(stop)), num, endpoint, axis=axis
    ).astype(dtype_name(dtype))
    if not retstep:
        return as_output(found)
    step = np.linspace(start, stop, num, endpoint, retstep=True)[1]
    return as_output(found), step


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:  # noqa: N803
    """Ones on a diagonal of a matrix, zeros elsewhere."""
    return as_output(np.eye(N, M, k, dtype_name(dtype)))


def identity(n: int, dtype: Any = None) -> Any:
    """The identity matrix."""
    return as_output(np.eye(n, dtype=dtype_name(dtype)))


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = None) -> Any:  # noqa: N803
    """Ones on and below a diagonal of a matrix, zeros elsewhere."""
    return as_output(np.tri(N, M, k, dtype_name(dtype)))
