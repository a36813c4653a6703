"""Activations called with options or on symbolic tensors: operations under the same names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ferrnn._src.ops import combined, neural
from ferrnn._src.ops.arithmetic import add, minimum, multiply, subtract
from ferrnn._src.ops.elementwise import exp, tanh
from ferrnn._src.ops.selection import where
from ferrnn._src.ops.values import floating, operation


@operation
def relu(
    x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Any:
    """`x` above `threshold` up to `max_value`, below it `negative_slope * (x - threshold)`."""
    x = floating(x)
    below = multiply(negative_slope, minimum(subtract(x, threshold), 0.0))
    above = where(x > threshold, x, 0.0)
    return add(above if max_value is None else minimum(above, max_value), below)


@operation
def gelu(x: Any, approximate: bool = False) -> Any:
    """`x` times the normal distribution at x; unlike that of `ops`, exact unless asked."""
    return neural.gelu(x, approximate=approximate)


@operation
def linear(x: Any) -> Any:
    """`x` itself."""
    return multiply(1.0, floating(x))


@operation
def mish(x: Any) -> Any:
    """`x * tanh(softplus(x))`."""
    x = floating(x)
    return multiply(x, tanh(neural.softplus(x)))


_OWN: dict[str, Callable[..., Any]] = {
    "relu": relu,
    "gelu": gelu,
    "linear": linear,
    "mish": mish,
    "tanh": tanh,
    "exponential": exp,
}


def operation_of(name: str) -> Callable[..., Any]:
    """The operation that computes the activation of that name.

    >>> operation_of("relu")([-2.0, 3.0], max_value=1.0).tolist()
    [0.0, 1.0]
    """
    if name in _OWN:
        return _OWN[name]
    found: Callable[..., Any] = getattr(neural if hasattr(neural, name) else combined, name)
    return found
