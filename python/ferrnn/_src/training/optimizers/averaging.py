"""Functions for optimizers with running means."""

from __future__ import annotations

import numpy as np

from ferrnn._src.tree.types import Array


def move_towards(average: Array, target: Array, share: float, scratch: Array) -> None:
    """`average += (target - average) * share` in place; `scratch` may be `target`.

    >>> average = np.array([1.0])
    >>> move_towards(average, np.array([3.0]), 0.25, np.empty(1))
    >>> average.tolist()
    [1.5]
    """
    np.subtract(target, average, out=scratch)
    scratch *= share
    average += scratch


def check_betas(beta_1: float, beta_2: float) -> None:
    """Raises ValueError for decay rates with which means stay zero or diverge."""
    for argument, value in (("beta_1", beta_1), ("beta_2", beta_2)):
        if not 0 <= value < 1:
            raise ValueError(f"`{argument}` must lie in [0, 1), received {value}")
