"""Elementwise operations on two arrays: arithmetic, comparisons, logic."""

from __future__ import annotations

from typing import Any

import numpy as np

from ferrnn._src.ops.rules import Primitive, borrowed, own, quiet, unbroadcast
from ferrnn._src.ops.tape import ufuncs
from ferrnn._src.ops.values import cast_to, dtype_name, float_pair, operation, pair, tensor
from ferrnn._src.symbolic import tracing

_add = Primitive(
    np.add,
    own(
        lambda answer, a, b: lambda g: unbroadcast(g, a),
        lambda answer, a, b: lambda g: unbroadcast(g, b),
    ),
)
_subtract = Primitive(
    np.subtract,
    own(
        lambda answer, a, b: lambda g: unbroadcast(g, a),
        lambda answer, a, b: lambda g: unbroadcast(-g, b),
    ),
)
_multiply = Primitive(
    np.multiply,
    own(
        lambda answer, a, b: lambda g: unbroadcast(g * b, a),
        lambda answer, a, b: lambda g: unbroadcast(g * a, b),
    ),
)
_divide = Primitive(
    quiet(np.divide),
    own(
        lambda answer, a, b: lambda g: unbroadcast(g / b, a),
        lambda answer, a, b: lambda g: unbroadcast(-g * answer / b, b),
    ),
)


def _divide_no_nan(a: Any, b: Any) -> Any:
    return np.divide(a, np.where(b == 0, 1, b)) * (b != 0)


_safe_divide = Primitive(
    _divide_no_nan,
    own(
        lambda answer, a, b: lambda g: unbroadcast(_divide_no_nan(g, b), a),
        lambda answer, a, b: lambda g: unbroadcast(_divide_no_nan(-g * answer, b), b),
    ),
)
_power = Primitive(quiet(np.power), borrowed("power"))
_mod = Primitive(quiet(np.mod), borrowed("mod"))
_maximum = Primitive(np.maximum, borrowed("maximum"))
_minimum = Primitive(np.minimum, borrowed("minimum"))
_arctan2 = Primitive(np.arctan2, borrowed("arctan2"))
_hypot = Primitive(np.hypot, borrowed("hypot"))
_logaddexp = Primitive(np.logaddexp, borrowed("logaddexp"))
_logaddexp2 = Primitive(np.logaddexp2, borrowed("logaddexp2"))


@operation
def add(x1: Any, x2: Any) -> Any:
    """`x1 + x2`, with broadcasting; the result of a float and an integer is a float.

    >>> add(np.ones(2, "float32"), [1, 2]).tolist()
    [2.0, 3.0]
    """
    return _add(*pair(x1, x2))


@operation
def subtract(x1: Any, x2: Any) -> Any:
    """`x1 - x2`."""
    return _subtract(*pair(x1, x2))


@operation
def multiply(x1: Any, x2: Any) -> Any:
    """`x1 * x2`."""
    return _multiply(*pair(x1, x2))


@operation
def divide(x1: Any, x2: Any) -> Any:
    """`x1 / x2`, a float."""
    return _divide(*float_pair(x1, x2))


true_divide = divide


@operation
def divide_no_nan(x1: Any, x2: Any) -> Any:
    """`x1 / x2`, and zero where `x2` is zero."""
    return _safe_divide(*float_pair(x1, x2))


@operation
def floor_divide(x1: Any, x2: Any) -> Any:
    """`x1 / x2` rounded down; it has no gradient."""
    a, b = _counting(x1, x2)
    return _floor_divide(tracing.plain(a), tracing.plain(b))


_floor_divide = quiet(np.floor_divide)


def _counting(x1: Any, x2: Any) -> tuple[Any, Any]:
    """Two operands in one dtype, with booleans as integers."""
    a, b = pair(x1, x2)
    return (a.astype("int32"), b.astype("int32")) if a.dtype.kind == "b" else (a, b)


@operation
def mod(x1: Any, x2: Any) -> Any:
    """The remainder of `x1 / x2`, with the sign of `x2`."""
    return _mod(*_counting(x1, x2))


@operation
def power(x1: Any, x2: Any) -> Any:
    """`x1 ** x2`."""
    if isinstance(x2, int) and not isinstance(x2, bool) and x2 == 2:
        base = tensor(x1)
        if base.dtype.kind == "f":
            return _multiply(base, base)
    return _power(*_counting(x1, x2))


@operation
def maximum(x1: Any, x2: Any) -> Any:
    """The larger of each two entries; equal ones share the gradient."""
    return _maximum(*pair(x1, x2))


@operation
def minimum(x1: Any, x2: Any) -> Any:
    """The smaller of each two entries; equal ones share the gradient."""
    return _minimum(*pair(x1, x2))


@operation
def arctan2(x1: Any, x2: Any) -> Any:
    """The angle of the point `(x2, x1)`, in radians."""
    return _arctan2(*float_pair(x1, x2))


@operation
def hypot(x1: Any, x2: Any) -> Any:
    """`sqrt(x1**2 + x2**2)`."""
    return _hypot(*float_pair(x1, x2))


@operation
def logaddexp(x1: Any, x2: Any) -> Any:
    """`log(exp(x1) + exp(x2))`, without overflow."""
    return _logaddexp(*float_pair(x1, x2))


@operation
def logaddexp2(x1: Any, x2: Any) -> Any:
    """`log2(2**x1 + 2**x2)`, without overflow."""
    return _logaddexp2(*float_pair(x1, x2))


def _compare(ufunc: np.ufunc, x1: Any, x2: Any) -> Any:
    a, b = pair(x1, x2)
    return ufunc(tracing.plain(a), tracing.plain(b))


@operation
def equal(x1: Any, x2: Any) -> Any:
    """Where `x1 == x2`."""
    return _compare(np.equal, x1, x2)


@operation
def not_equal(x1: Any, x2: Any) -> Any:
    """Where `x1 != x2`."""
    return _compare(np.not_equal, x1, x2)


@operation
def less(x1: Any, x2: Any) -> Any:
    """Where `x1 < x2`."""
    return _compare(np.less, x1, x2)


@operation
def less_equal(x1: Any, x2: Any) -> Any:
    """Where `x1 <= x2`."""
    return _compare(np.less_equal, x1, x2)


@operation
def greater(x1: Any, x2: Any) -> Any:
    """Where `x1 > x2`."""
    return _compare(np.greater, x1, x2)


@operation
def greater_equal(x1: Any, x2: Any) -> Any:
    """Where `x1 >= x2`."""
    return _compare(np.greater_equal, x1, x2)


def _bools(x: Any) -> Any:
    return tracing.plain(tensor(x)).astype(bool, copy=False)


@operation
def logical_and(x1: Any, x2: Any) -> Any:
    """Where both are true (not zero)."""
    return np.logical_and(_bools(x1), _bools(x2))


@operation
def logical_or(x1: Any, x2: Any) -> Any:
    """Where one is true (not zero)."""
    return np.logical_or(_bools(x1), _bools(x2))


@operation
def logical_xor(x1: Any, x2: Any) -> Any:
    """Where exactly one is true (not zero)."""
    return np.logical_xor(_bools(x1), _bools(x2))


@operation
def logical_not(x: Any) -> Any:
    """Where `x` is false (zero)."""
    return np.logical_not(_bools(x))


@operation
def isclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    """Where `|x1 - x2| <= atol + rtol * |x2|`."""
    a, b = pair(x1, x2)
    return np.isclose(tracing.plain(a), tracing.plain(b), rtol, atol, equal_nan)


@operation
def allclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    """Whether `|x1 - x2| <= atol + rtol * |x2|` everywhere."""
    return np.all(isclose(x1, x2, rtol, atol, equal_nan))


@operation
def cast(x: Any, dtype: Any) -> Any:
    """`x` in another dtype; integers and booleans have no gradient.

    >>> cast([0.5, 2.5], "int32").tolist()
    [0, 2]
    """
    return cast_to(tensor(x), np.dtype(dtype_name(dtype)))


ufuncs.update(
    {
        np.add: add,
        np.subtract: subtract,
        np.multiply: multiply,
        np.divide: divide,
        np.floor_divide: floor_divide,
        np.mod: mod,
        np.power: power,
        np.float_power: power,
        np.maximum: maximum,
        np.minimum: minimum,
        np.arctan2: arctan2,
        np.hypot: hypot,
        np.logaddexp: logaddexp,
        np.logaddexp2: logaddexp2,
        np.equal: equal,
        np.not_equal: not_equal,
        np.less: less,
        np.less_equal: less_equal,
        np.greater: greater,
        np.greater_equal: greater_equal,
        np.logical_and: logical_and,
        np.logical_or: logical_or,
        np.logical_xor: logical_xor,
        np.logical_not: logical_not,
    }
)
