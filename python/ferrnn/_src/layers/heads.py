"""Where projections have the axes that attention goes over, and where it wants them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ferrnn._src.tree.types import Array


class Heads:
    """Projections `[batch, ..., heads, dim]` as `[..., heads, queries, dim]`, and the way back.

    `leading` is `[batch, ...]`. The axes of it that attention goes over become one, `queries`, and
    heads come before it.

    >>> import numpy as np
    >>> heads = Heads((2, 3, 4), (1, 2), 5, 6)
    >>> inside = heads.inside(np.ones((2, 3, 4, 5, 6)))
    >>> inside.shape, heads.outside(inside).shape
    ((2, 5, 12, 6), (2, 3, 4, 5, 6))
    """

    def __init__(self, leading: Sequence[int], axes: Sequence[int], heads: int, dim: int) -> None:
        lengths = (*leading, heads, dim)
        others = [axis for axis in range(len(leading) + 1) if axis not in axes]
        self._order = (*others, *axes, len(lengths) - 1)
        self._back = tuple(map(self._order.index, range(len(lengths))))
        self._turned = tuple(lengths[axis] for axis in self._order)
        before = self._turned[: len(others)]
        self._whole = (*before, math.prod(lengths[axis] for axis in axes), dim)
        self._several = len(axes) != 1

    def inside(self, array: Array) -> Array:
        """The projection as attention wants it."""
        moved: Array = array.transpose(self._order)
        return moved.reshape(self._whole) if self._several else moved

    def outside(self, array: Array) -> Array:
        """What is as attention wants it, with the axes of a projection."""
        if self._several:
            array = array.reshape(self._turned)
        moved: Array = array.transpose(self._back)
        return moved


class Layout(NamedTuple):
    """What attention in several heads knows of arrays by their shapes."""

    shapes: tuple[tuple[int, ...], ...]  # of query, value and key
    query: Heads
    value: Heads
    key: Heads
    mixed: Heads
    weights: tuple[int, ...]  # [..., heads, *queries, *values]
