"""Operands of operations (arrays, traced values, parameters, numbers, lists), and their dtypes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from ferrnn._src.configs import config
from ferrnn._src.ops.rules import Primitive, own
from ferrnn._src.ops.tape import Traced
from ferrnn._src.symbolic import tracing
from ferrnn._src.symbolic.symbolic import Recorded
from ferrnn._src.tree.results import Output, as_output
from ferrnn._src.weights.parameter import Parameter

Operation = TypeVar("Operation", bound=Callable[..., Any])

# The function for operations on symbolic tensors, set by `ops.symbolic`.
symbolic_call: list[Callable[[Callable[..., Any], Any, Any], Any]] = []


_NEVER_SYMBOLIC = frozenset({np.ndarray, Output, Traced, float, int, bool, str, type(None)})


def operation(function: Operation) -> Operation:
    """A public operation: a layer of the model on symbolic tensors; adds `numpy()` to arrays."""

    @functools.wraps(function)
    def outer(*args: Any, **options: Any) -> Any:
        for arg in args:
            if type(arg) not in _NEVER_SYMBOLIC and _is_symbolic(arg):
                return _on_symbolic(outer, args, options)
        for arg in options.values():
            if type(arg) not in _NEVER_SYMBOLIC and _is_symbolic(arg):
                return _on_symbolic(outer, args, options)
        return as_output(function(*args, **options))

    return outer  # type: ignore[return-value]


def _is_symbolic(arg: Any) -> bool:
    if isinstance(arg, list | tuple):
        return any(_is_symbolic(part) for part in arg)
    if isinstance(arg, dict):
        return any(_is_symbolic(part) for part in arg.values())
    if isinstance(arg, Parameter):
        trace = tracing.current.get()
        return trace is not None and trace.operation is not None
    return isinstance(arg, Recorded)


def _on_symbolic(function: Callable[..., Any], args: Any, options: Any) -> Any:
    trace = tracing.current.get()
    if trace is not None and trace.operation is not None:
        return trace.operation(function, args, options)
    return symbolic_call[0](function, args, options)


def dtype_name(dtype: Any) -> str:
    """The name of a dtype given as a name, a NumPy dtype or a type; None is the default float.

    >>> dtype_name(None), dtype_name("int"), dtype_name(np.float64)
    ('float32', 'int32', 'float64')
    """
    if dtype is None or dtype == "float" or dtype is float:
        return config.floatx()
    if dtype == "int" or dtype is int:
        return "int32"
    if dtype == "bool" or dtype is bool:
        return "bool"
    try:
        return str(np.dtype(getattr(dtype, "name", dtype)).name)
    except TypeError as error:
        raise ValueError(
            f"`dtype` must be the name of a NumPy dtype, received {dtype!r}"
        ) from error


def tensor(x: Any) -> Any:
    """`x` as an array or a traced value, with numbers and lists in Keras' default dtypes.

    >>> tensor(2).dtype.name, tensor([1.0, 2.0]).dtype.name, tensor(np.ones(1)).dtype.name
    ('int32', 'float32', 'float64')
    """
    kind = type(x)
    if kind is np.ndarray or kind is Traced:
        return x
    if isinstance(x, Parameter):
        return x.value
    if isinstance(x, np.ndarray):
        return x.view(np.ndarray)
    if isinstance(x, np.generic):
        return np.asarray(x)
    if isinstance(x, list | tuple):
        return _listed(x)
    if x is None or isinstance(x, str):
        raise ValueError(f"an operation takes arrays and numbers, received {x!r}")
    return _defaulted(np.asarray(x)) if isinstance(x, bool | int | float) else np.asarray(x)


def _listed(parts: Any) -> Any:
    """A list as one array, in which traced parts keep their gradients."""
    if _holds_traced(parts):
        return _stacked(*(_listed(p) if isinstance(p, list | tuple) else tensor(p) for p in parts))
    typed = _holds_arrays(parts)
    array = np.asarray(_plain_parts(parts))
    return array if typed else _defaulted(array)


def _holds_traced(part: Any) -> bool:
    if isinstance(part, list | tuple):
        return any(map(_holds_traced, part))
    tracing_now = tracing.current.get() is not None
    return type(part) is Traced or (tracing_now and isinstance(part, Parameter))


def _holds_arrays(part: Any) -> bool:
    if isinstance(part, list | tuple):
        return any(map(_holds_arrays, part))
    return isinstance(part, np.ndarray | np.generic | Parameter)


def _plain_parts(part: Any) -> Any:
    if isinstance(part, list | tuple):
        return [_plain_parts(inner) for inner in part]
    return part.value if isinstance(part, Parameter) else part


def _defaulted(array: Any) -> Any:
    """Python numbers in Keras' default dtypes."""
    if array.dtype.kind == "f":
        return array.astype(config.floatx())
    return array.astype("int32") if array.dtype.kind == "i" else array


def _stack_gradient(place: int, shape: Any) -> Callable[[Any], Any]:
    return lambda g: np.reshape(g[place], shape)


def _stack_rule(places: Any, answer: Any, args: Any, options: Any) -> Any:
    vjps = [_stack_gradient(place, args[place].shape) for place in places]
    return lambda g: [vjp(g) for vjp in vjps]


_stacked = Primitive(lambda *parts: np.stack([np.asarray(part) for part in parts]), _stack_rule)

as_dtype = Primitive(
    lambda x, *, dtype: x.astype(dtype),
    own(lambda answer, x, dtype: lambda g: g.astype(x.dtype)),
)


def cast_to(x: Any, dtype: Any) -> Any:
    """`x` in the given dtype; integers and booleans have no gradient."""
    if x.dtype == dtype:
        return x
    if np.dtype(dtype).kind != "f":
        return tracing.plain(x).astype(dtype)
    return as_dtype(x, dtype=dtype)


def floating(x: Any) -> Any:
    """`x` as an array of floats: integers become the default float."""
    x = tensor(x)
    return x if x.dtype.kind in "fc" else cast_to(x, config.floatx())


def pair(x1: Any, x2: Any) -> tuple[Any, Any]:
    """Two operands in one dtype, where floats win over integers, and arrays over Python numbers.

    >>> [part.dtype.name for part in pair(np.ones(1, "float32"), np.ones(1, "int64"))]
    ['float32', 'float32']
    """
    if type(x1) is Traced and type(x2) is Traced and x1._value.dtype == x2._value.dtype:
        return x1, x2
    weak1, weak2 = _is_weak(x1), _is_weak(x2)
    a, b = tensor(x1), tensor(x2)
    if a.dtype == b.dtype:
        return a, b
    kind1, kind2 = a.dtype.kind, b.dtype.kind
    if weak1 != weak2:
        # A Python number takes the array's dtype, unless it is a float and the array is not.
        strong, number = (b, a) if weak1 else (a, b)
        if _rank(number.dtype.kind) <= _rank(strong.dtype.kind):
            # From the number itself: a detour through float32 would lose half of float64's digits.
            cast = np.asarray(x1 if weak1 else x2, strong.dtype)
            return (cast, strong) if weak1 else (strong, cast)
    if kind1 == "f" and kind2 in "iub":
        return a, cast_to(b, a.dtype)
    if kind2 == "f" and kind1 in "iub":
        return cast_to(a, b.dtype), b
    common = np.result_type(a.dtype, b.dtype)
    return cast_to(a, common), cast_to(b, common)


def _is_weak(x: Any) -> bool:
    return isinstance(x, bool | int | float | np.floating)


def _rank(kind: str) -> int:
    return {"b": 0, "u": 1, "i": 1, "f": 2}.get(kind, 3)


def float_pair(x1: Any, x2: Any) -> tuple[Any, Any]:
    """Two operands in one floating-point dtype."""
    a, b = pair(x1, x2)
    return floating(a), floating(b)


def common_dtype(arrays: Any) -> np.dtype[Any]:
    """The common dtype of several operands: the largest float, if there is one."""
    floats = [array.dtype for array in arrays if array.dtype.kind == "f"]
    return np.result_type(*(floats or [array.dtype for array in arrays]))


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """An axis, several, or None for all, counted from the front.

    >>> axes_of(-1, 3), axes_of(None, 2)
    ((2,), (0, 1))
    """
    if axis is None:
        return tuple(range(ndim))
    given = axis if isinstance(axis, list | tuple) else (axis,)
    return tuple(one_axis(each, ndim) for each in given)


def one_axis(axis: Any, ndim: int) -> int:
    """An axis, counted from the front."""
    index = int(axis)
    if not -ndim <= index < ndim:
        raise ValueError(f"`axis` must lie in [{-ndim}, {ndim}), received {axis}")
    return index % ndim
