"""Elementwise functions of one array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ferrnn._src.activations.erf import erf as _error_function
from ferrnn._src.ops.rules import Maker, Primitive, Rule, borrowed, own, quiet
from ferrnn._src.ops.tape import ufuncs
from ferrnn._src.ops.values import floating, operation, tensor
from ferrnn._src.symbolic import tracing

Function = Callable[[Any], Any]
_TWO_OVER_ROOT_PI = 1.1283791670955126


def _of(function: Callable[..., Any], rule: Rule, name: str, text: str) -> Function:
    """The public operation of a function of floats."""
    primitive = Primitive(quiet(function), rule)

    def apply(x: Any) -> Any:
        return primitive(floating(x))

    apply.__name__ = apply.__qualname__ = name
    apply.__doc__ = text
    public = operation(apply)
    if isinstance(function, np.ufunc):
        ufuncs[function] = public
    return public


def _by(maker: Maker) -> Rule:
    return own(maker)


exp = _of(np.exp, _by(lambda y, x: lambda g: g * y), "exp", "`e**x`.")
exp2 = _of(np.exp2, borrowed("exp2"), "exp2", "`2**x`.")
expm1 = _of(np.expm1, borrowed("expm1"), "expm1", "`e**x - 1`, exact near zero.")
log = _of(np.log, _by(lambda y, x: lambda g: g / x), "log", "The natural logarithm.")
log2 = _of(np.log2, borrowed("log2"), "log2", "The logarithm to the base 2.")
log10 = _of(np.log10, borrowed("log10"), "log10", "The logarithm to the base 10.")
log1p = _of(np.log1p, borrowed("log1p"), "log1p", "`log(1 + x)`, exact near zero.")
sqrt = _of(np.sqrt, _by(lambda y, x: lambda g: 0.5 * g / y), "sqrt", "The square root.")
cbrt = _of(np.cbrt, _by(lambda y, x: lambda g: g / (3 * y * y)), "cbrt", "The cube root.")
rsqrt = _of(
    lambda x: 1 / np.sqrt(x),
    _by(lambda y, x: lambda g: -0.5 * g * y / x),
    "rsqrt",
    "`1 / sqrt(x)`.",
)
reciprocal = _of(np.reciprocal, _by(lambda y, x: lambda g: -g * y * y), "reciprocal", "`1 / x`.")
sin = _of(np.sin, borrowed("sin"), "sin", "The sine.")
cos = _of(np.cos, borrowed("cos"), "cos", "The cosine.")
tan = _of(np.tan, _by(lambda y, x: lambda g: g * (1 + y * y)), "tan", "The tangent.")
arcsin = _of(np.arcsin, borrowed("arcsin"), "arcsin", "The inverse of the sine.")
arccos = _of(np.arccos, borrowed("arccos"), "arccos", "The inverse of the cosine.")
arctan = _of(np.arctan, borrowed("arctan"), "arctan", "The inverse of the tangent.")
sinh = _of(np.sinh, borrowed("sinh"), "sinh", "The hyperbolic sine.")
cosh = _of(np.cosh, borrowed("cosh"), "cosh", "The hyperbolic cosine.")
# Not autograd's rule: `1 / cosh(x)**2` overflows where tanh is 1 to the last bit.
tanh = _of(np.tanh, _by(lambda y, x: lambda g: g * (1 - y * y)), "tanh", "The hyperbolic tangent.")
arcsinh = _of(np.arcsinh, borrowed("arcsinh"), "arcsinh", "The inverse of the hyperbolic sine.")
arccosh = _of(np.arccosh, borrowed("arccosh"), "arccosh", "The inverse of the hyperbolic cosine.")
arctanh = _of(np.arctanh, borrowed("arctanh"), "arctanh", "The inverse of the hyperbolic tangent.")
erf = _of(
    _error_function,
    _by(lambda y, x: lambda g: g * _TWO_OVER_ROOT_PI * np.exp(-x * x)),
    "erf",
    "The error function.",
)
deg2rad = _of(np.deg2rad, borrowed("deg2rad"), "deg2rad", "Degrees as radians.")
rad2deg = _of(np.rad2deg, borrowed("rad2deg"), "rad2deg", "Radians as degrees.")

_negative = Primitive(np.negative, own(lambda y, x: lambda g: -g))
_square = Primitive(np.square, own(lambda y, x: lambda g: 2 * g * x))
_absolute = Primitive(np.absolute, own(lambda y, x: lambda g: g * np.sign(x)))
_clip = Primitive(
    lambda x, *, low, high: np.clip(x, low, high),
    own(lambda y, x, low, high: lambda g: g * ((x >= low) & (x <= high))),
)
_nan_to_num = Primitive(
    lambda x, *, nan, posinf, neginf: np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf),
    own(lambda y, x, nan, posinf, neginf: lambda g: np.where(np.isfinite(x), g, 0)),
)


@operation
def negative(x: Any) -> Any:
    """`-x`."""
    return _negative(tensor(x))


@operation
def square(x: Any) -> Any:
    """`x * x`."""
    return _square(tensor(x))


@operation
def absolute(x: Any) -> Any:
    """`|x|`; the gradient at zero is zero."""
    return _absolute(tensor(x))


abs = fabs = absolute


@operation
def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    """`x`, but at least `x_min` and at most `x_max`; no gradient outside.

    >>> clip([-2.0, 0.5, 3.0], 0, 1).tolist()
    [0.0, 0.5, 1.0]
    """
    x = tensor(x)
    low, high = (_bound(bound, x.dtype, end) for bound, end in ((x_min, -np.inf), (x_max, np.inf)))
    if x.dtype.kind != "f" and (low.dtype.kind == "f" or high.dtype.kind == "f"):
        x = floating(x)
    return _clip(x, low=low, high=high)


def _bound(bound: Any, dtype: Any, missing: float) -> Any:
    if bound is None:
        return np.asarray(missing, dtype if dtype.kind == "f" else None)
    plain = np.asarray(tracing.plain(tensor(bound)))
    return plain.astype(dtype) if dtype.kind == "f" else plain


@operation
def nan_to_num(
    x: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Any:
    """`x` with numbers in place of NaN and infinities."""
    return _nan_to_num(tensor(x), nan=nan, posinf=posinf, neginf=neginf)


def _constant(
    function: Callable[..., Any], name: str, text: str, taken: Function = tensor
) -> Function:
    """An operation without a gradient: it is piecewise constant, or returns booleans."""

    def apply(x: Any) -> Any:
        return function(tracing.plain(taken(x)))

    apply.__name__ = apply.__qualname__ = name
    apply.__doc__ = text
    public = operation(apply)
    if isinstance(function, np.ufunc):
        ufuncs[function] = public
    return public


sign = _constant(np.sign, "sign", "-1, 0 or 1; it has no gradient.")
floor = _constant(np.floor, "floor", "`x` rounded down, a float; it has no gradient.", floating)
ceil = _constant(np.ceil, "ceil", "`x` rounded up, a float; it has no gradient.", floating)
trunc = _constant(np.trunc, "trunc", "`x` rounded towards zero; it has no gradient.")
isfinite = _constant(np.isfinite, "isfinite", "Where `x` is neither NaN nor infinite.")
isinf = _constant(np.isinf, "isinf", "Where `x` is infinite.")
isnan = _constant(np.isnan, "isnan", "Where `x` is NaN.")
signbit = _constant(np.signbit, "signbit", "Where the sign of `x` is minus.")


@operation
def round(x: Any, decimals: int = 0) -> Any:
    """`x` rounded to `decimals` decimals; it has no gradient."""
    return np.round(tracing.plain(tensor(x)), decimals)


@operation
def heaviside(x1: Any, x2: Any) -> Any:
    """0 below zero, 1 above, `x2` at zero; it has no gradient."""
    first, second = tracing.plain(floating(x1)), tracing.plain(floating(x2))
    return np.heaviside(first, second)


def _positive(x: Any) -> Any:
    return tensor(x)


ufuncs.update(
    {
        np.negative: negative,
        np.positive: _positive,
        np.square: square,
        np.absolute: absolute,
        np.fabs: absolute,
        np.rint: round,
        np.heaviside: heaviside,
    }
)
