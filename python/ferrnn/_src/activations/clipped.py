"""Activations of a clipped input."""

from __future__ import annotations

import math

import numpy as np

from ferrnn._src.activations.activations import Activation
from ferrnn._src.tree.types import Array


def clipped(activation: Activation, bound: float) -> Activation:
    """`activation(clip(x, -bound, bound))`; the gradient is zero where x is beyond the bounds.

    >>> from ferrnn._src.activations import activations
    >>> clipped(activations.relu, 2.0).function(np.array([-1.0, 1.0, 5.0])).tolist()
    [0.0, 1.0, 2.0]
    """

    def function(x: Array) -> Array:
        return activation.function(np.clip(x, -bound, bound))

    def backward(x: Array, y: Array, d_y: Array) -> Array:
        d_x = activation.backward(np.clip(x, -bound, bound), y, d_y)
        return np.where(np.abs(x) > bound, np.zeros_like(d_x), d_x)

    return Activation(activation.__name__, function, backward)


def read_clip(bound: object, owner: str) -> float | None:
    """The value of a cell's argument `clip`: a positive number, or None to clip nothing."""
    if bound is None:
        return None
    number = isinstance(bound, int | float | np.number) and not isinstance(bound, bool)
    if not number or not math.isfinite(float(bound)) or float(bound) <= 0:  # type: ignore[arg-type]
        raise ValueError(
            f"`clip` of {owner!r} must be a positive number, or None to clip nothing, "
            f"received {bound!r}"
        )
    return float(bound)  # type: ignore[arg-type]
