"""Losses over another axis than the last one."""

from __future__ import annotations

import numpy as np

from ferrnn._src.training.formulas import ValuesVjp


def moved_back(vjp: ValuesVjp, axis: int) -> ValuesVjp:
    """The vjp of a formula over the last axis, for predictions with that axis at `axis`.

    >>> moved_back(lambda d_values: np.zeros((2, 3, 5)), 1)(np.zeros((2, 3))).shape
    (2, 5, 3)
    """
    return vjp if axis == -1 else lambda d_values: np.moveaxis(vjp(d_values), -1, axis)


def checked_axis(axis: object) -> int:
    """`axis` if it is an integer; refuses True and False, as in Keras.

    >>> checked_axis(-1)
    -1
    """
    if isinstance(axis, bool) or not isinstance(axis, int | np.integer):
        raise ValueError(  # noqa: TRY004 - Keras' error
            f"`axis` must be of type `int`. Received: axis={axis} of type {type(axis)}"
        )
    return int(axis)


def checked_smoothing(value: float) -> float:
    """`label_smoothing`, between 0 and 1.

    >>> checked_smoothing(0.1)
    0.1
    """
    if not 0 <= value <= 1:
        raise ValueError(f"`label_smoothing` must lie in [0, 1], received {value}")
    return float(value)
