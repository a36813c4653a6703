"""Operations element by element: arithmetic, activations, comparisons and choices."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np

from ferrnn._src.configs import config
from ferrnn._src.programs.adjoints import Adjoints
from ferrnn._src.programs.recorder import UnsupportedError, View
from ferrnn._src.programs.rules import Way, apply, ask, note, operands, rule
from ferrnn._src.programs.sketch import CellTrace, Sketch, rules


def _simple(name: str, op: str, back: Way | None) -> None:
    """A rule whose operation is one of the engine's."""

    def rule(trace: CellTrace, *values: Any) -> Any:
        return apply(trace, op, values, back)

    rules[name] = rule


def _add_back(adjoints: Adjoints, g: View, y: View, a: View, b: View) -> None:
    adjoints.add(a.broadcast(y.shape), "copy", g)
    adjoints.add(b.broadcast(y.shape), "copy", g)


def _subtract_back(adjoints: Adjoints, g: View, y: View, a: View, b: View) -> None:
    adjoints.add(a.broadcast(y.shape), "copy", g)
    adjoints.add(b.broadcast(y.shape), "negative", g)


def _multiply_back(adjoints: Adjoints, g: View, y: View, a: View, b: View) -> None:
    adjoints.add(a.broadcast(y.shape), "multiply", g, b)
    adjoints.add(b.broadcast(y.shape), "multiply", g, a)


def _divide_back(adjoints: Adjoints, g: View, y: View, a: View, b: View) -> None:
    wants = adjoints.recorder.wants
    quotient = adjoints.temporary("divide", g, b)
    adjoints.add(a.broadcast(y.shape), "copy", quotient)
    if wants(b):
        product = adjoints.temporary("multiply", quotient, y)
        adjoints.add(b.broadcast(y.shape), "negative", product)


def _maximum_back(adjoints: Adjoints, g: View, y: View, a: View, b: View) -> None:
    adjoints.add(a.broadcast(y.shape), "share", g, a, b)
    adjoints.add(b.broadcast(y.shape), "share", g, b, a)


def _minimum_back(adjoints: Adjoints, g: View, y: View, a: View, b: View) -> None:
    adjoints.add(a.broadcast(y.shape), "share", g, b, a)
    adjoints.add(b.broadcast(y.shape), "share", g, a, b)


def _log_back(adjoints: Adjoints, g: View, y: View, x: View) -> None:
    adjoints.add(x, "divide", g, x)


def _sqrt_back(adjoints: Adjoints, g: View, y: View, x: View) -> None:
    half = adjoints.temporary("multiply", g, adjoints.recorder.number(0.5))
    adjoints.add(x, "divide", half, y)


def _rsqrt_back(adjoints: Adjoints, g: View, y: View, x: View) -> None:
    cube = adjoints.temporary("multiply", adjoints.temporary("multiply", y, y), y)
    half = adjoints.temporary("multiply", g, adjoints.recorder.number(-0.5))
    adjoints.add(x, "multiply", half, cube)


def _square_back(adjoints: Adjoints, g: View, y: View, x: View) -> None:
    twice = adjoints.temporary("multiply", g, adjoints.recorder.number(2.0))
    adjoints.add(x, "multiply", twice, x)


def _absolute_back(adjoints: Adjoints, g: View, y: View, x: View) -> None:
    adjoints.add(x, "multiply", g, adjoints.temporary("sign", x))


def _sin_back(adjoints: Adjoints, g: View, y: View, x: View) -> None:
    adjoints.add(x, "multiply", g, adjoints.temporary("cos", x))


def _cos_back(adjoints: Adjoints, g: View, y: View, x: View) -> None:
    product = adjoints.temporary("multiply", g, adjoints.temporary("sin", x))
    adjoints.add(x, "negative", product)


_simple("add", "add", _add_back)
_simple("subtract", "subtract", _subtract_back)
_simple("multiply", "multiply", _multiply_back)
_simple("divide", "divide", _divide_back)
_simple("true_divide", "divide", _divide_back)
_simple("maximum", "maximum", _maximum_back)
_simple("minimum", "minimum", _minimum_back)
_simple("negative", "negative", lambda adjoints, g, y, x: adjoints.add(x, "negative", g))
_simple("log", "log", _log_back)
_simple("sqrt", "sqrt", _sqrt_back)
_simple("rsqrt", "rsqrt", _rsqrt_back)
_simple("sin", "sin", _sin_back)
_simple("cos", "cos", _cos_back)
_simple("absolute", "absolute", _absolute_back)
_simple("abs", "absolute", _absolute_back)
_simple("sign", "sign", None)


def _activation(name: str, native: str, *, by_input: bool = False) -> None:
    def back(adjoints: Adjoints, g: View, y: View, x: View) -> None:
        adjoints.add(x, f"slope:{native}", g, x if by_input else y)

    _simple(name, native, back)


for _name in ("tanh", "sigmoid", "hard_sigmoid", "softsign", "softplus", "selu"):
    _activation(_name, _name)
_activation("exp", "exponential")
for _name in ("silu", "swish"):
    _activation(_name, "silu", by_input=True)


@rule("square")
def _square(trace: CellTrace, x: Any) -> Any:
    (view,) = operands(trace, x)
    y = trace.recorder.map("multiply", view, view)
    note(trace, y, lambda adjoints, g: _square_back(adjoints, g, y, view), takes_spread=True)
    return trace.sketch(y)


@rule("relu")
def _relu(
    trace: CellTrace,
    x: Any,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> Any:
    if threshold:
        raise UnsupportedError("`relu` with a threshold")

    def back(adjoints: Adjoints, g: View, y: View, x: View) -> None:
        adjoints.add(x, "slope:relu", g, y)

    above = apply(trace, "relu", [x], back)
    if max_value is not None:
        above = ask(trace, "minimum", above, max_value)
    if not negative_slope:
        return above
    return ask(
        trace, "add", above, ask(trace, "multiply", negative_slope, ask(trace, "minimum", x, 0.0))
    )


@rule("relu6")
def _relu6(trace: CellTrace, x: Any) -> Any:
    return ask(trace, "minimum", ask(trace, "relu", x), 6.0)


@rule("leaky_relu")
def _leaky_relu(trace: CellTrace, x: Any, negative_slope: float = 0.2) -> Any:
    return ask(trace, "relu", x, negative_slope)


@rule("elu")
def _elu(trace: CellTrace, x: Any, alpha: float = 1.0) -> Any:
    if alpha != 1:
        raise UnsupportedError("`elu` with an alpha")

    def back(adjoints: Adjoints, g: View, y: View, x: View) -> None:
        adjoints.add(x, "slope:elu", g, y)

    return apply(trace, "elu", [x], back)


@rule("gelu")
def _gelu(trace: CellTrace, x: Any, approximate: bool = True) -> Any:
    if approximate:
        cube = ask(trace, "multiply", ask(trace, "square", x), x)
        inner = ask(trace, "add", x, ask(trace, "multiply", 0.044715, cube))
        bent = ask(trace, "tanh", ask(trace, "multiply", math.sqrt(2 / math.pi), inner))
        return ask(trace, "multiply", ask(trace, "multiply", 0.5, x), ask(trace, "add", 1.0, bent))

    def back(adjoints: Adjoints, g: View, y: View, x: View) -> None:
        adjoints.add(x, "slope:gelu", g, x)

    return apply(trace, "gelu", [x], back)


@rule("linear")
def _linear(trace: CellTrace, x: Any) -> Any:
    return x


@rule("power")
def _power(trace: CellTrace, x: Any, exponent: Any) -> Any:
    if exponent == 2:
        return ask(trace, "square", x)
    if exponent == 3:
        return ask(trace, "multiply", ask(trace, "square", x), x)
    if exponent == 1:
        return x
    if exponent == 0.5:
        return ask(trace, "sqrt", x)
    if exponent == -0.5:
        return ask(trace, "rsqrt", x)
    if exponent == -1:
        return ask(trace, "divide", 1.0, x)
    raise UnsupportedError(f"a power of {exponent!r}")


@rule("reciprocal")
def _reciprocal(trace: CellTrace, x: Any) -> Any:
    return ask(trace, "divide", 1.0, x)


# Comparisons and choices.


def _truth(name: str, op: str, *, swapped: bool = False) -> None:
    def compare(trace: CellTrace, a: Any, b: Any) -> Any:
        made = apply(trace, op, (b, a) if swapped else (a, b), None)
        return trace.sketch(replace(made.view, is_bool=True))

    rules[name] = compare


_truth("less", "less")
_truth("less_equal", "less_equal")
_truth("greater", "less", swapped=True)
_truth("greater_equal", "less_equal", swapped=True)
_truth("equal", "equal")


def _bools(trace: CellTrace, *values: Any) -> None:
    if not all(isinstance(value, Sketch) and value.view.is_bool for value in values):
        raise UnsupportedError("a logical operation on numbers")


@rule("logical_not")
def _not(trace: CellTrace, a: Any) -> Any:
    _bools(trace, a)
    made = apply(trace, "subtract", (1.0, a), None)
    return trace.sketch(replace(made.view, is_bool=True))


@rule("logical_and")
def _and(trace: CellTrace, a: Any, b: Any) -> Any:
    _bools(trace, a, b)
    made = apply(trace, "multiply", (a, b), None)
    return trace.sketch(replace(made.view, is_bool=True))


@rule("logical_or")
def _or(trace: CellTrace, a: Any, b: Any) -> Any:
    _bools(trace, a, b)
    made = apply(trace, "maximum", (a, b), None)
    return trace.sketch(replace(made.view, is_bool=True))


@rule("not_equal")
def _not_equal(trace: CellTrace, a: Any, b: Any) -> Any:
    return ask(trace, "logical_not", ask(trace, "equal", a, b))


@rule("where")
def _where(trace: CellTrace, condition: Any, x1: Any = None, x2: Any = None) -> Any:
    def back(adjoints: Adjoints, g: View, y: View, c: View, a: View, b: View) -> None:
        zero = adjoints.recorder.number(0.0)
        adjoints.add(a.broadcast(y.shape), "select", c, g, zero)
        adjoints.add(b.broadcast(y.shape), "select", c, zero, g)

    return apply(trace, "select", (condition, x1, x2), back)


@rule("clip")
def _clip(trace: CellTrace, x: Any, x_min: Any = None, x_max: Any = None) -> Any:
    (view,) = operands(trace, x)
    recorder = trace.recorder
    y = view
    for bound, op in ((x_min, "maximum"), (x_max, "minimum")):
        if bound is not None:
            # A number of Python first takes the default dtype, as in `ops.clip`.
            rounded = np.asarray(bound, config.floatx())
            y = recorder.map(op, y, recorder.number(float(rounded)))
    if y is view:
        return x

    def back(adjoints: Adjoints, g: View) -> None:
        inside = adjoints.temporary("equal", y, view)
        adjoints.add(view, "multiply", g, inside)

    note(trace, y, back)
    return trace.sketch(y)


@rule("cast")
def _cast(trace: CellTrace, x: Any, dtype: Any, copy: bool = True) -> Any:
    name = getattr(dtype, "name", dtype if isinstance(dtype, str) else np.dtype(dtype).name)
    if name == "bool" and x.view.is_bool:
        return x
    if name not in ("float32", "float64", "float"):
        raise UnsupportedError(f"a cast to {name}")
    return trace.sketch(replace(x.view, is_bool=False))


@rule("convert_to_tensor")
def _tensor(trace: CellTrace, x: Any, dtype: Any = None, sparse: Any = None) -> Any:
    return x if dtype is None else ask(trace, "cast", x, dtype)


@rule("stop_gradient")
def _stop_gradient(trace: CellTrace, x: Any) -> Any:
    copy = trace.recorder.copied(x.view)
    trace.recorder.wanted[copy.register] = False
    return trace.sketch(copy)


@rule("zeros_like")
def _zeros_like(trace: CellTrace, x: Any, dtype: Any = None) -> Any:
    return np.zeros(x.shape, trace.recorder.dtype)


@rule("ones_like")
def _ones_like(trace: CellTrace, x: Any, dtype: Any = None) -> Any:
    return np.ones(x.shape, trace.recorder.dtype)


@rule("shape")
def _shape(trace: CellTrace, x: Any) -> Any:
    return x.shape
