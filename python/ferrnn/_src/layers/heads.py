"""Where attention in several heads has the rows of its projections."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ferrnn._src.tree.types import Array


class Heads:
    """Rows `[positions, heads * dim]` of a projection as `[..., heads, queries, dim]`, and back.

    Positions are those along `leading`, `[batch, ...]`, in order. The axes that attention goes over
    become one, `queries`, and heads come before it.

    >>> import numpy as np
    >>> heads, rows = Heads((2, 3, 4), (1, 2), 5, 6), np.ones((24, 30))
    >>> inside = heads.inside(rows)
    >>> inside.shape, heads.rows(inside).shape
    ((2, 5, 12, 6), (24, 30))
    """

    def __init__(self, leading: Sequence[int], axes: Sequence[int], heads: int, dim: int) -> None:
        rank = len(leading) + 2
        others = [axis for axis in range(rank - 1) if axis not in axes]
        self._apart = (*leading, heads, dim)
        self._order = (*others, *axes, rank - 1)
        self._back = tuple(map(self._order.index, range(rank)))
        self._turned = tuple(self._apart[axis] for axis in self._order)
        attended = self._turned[len(others) : -1]
        self._several = len(axes) != 1
        self._whole = (*self._turned[: len(others)], math.prod(attended), dim)
        self._rows = math.prod(leading), heads * dim

    def inside(self, rows: Array) -> Array:
        """The rows as attention wants them."""
        moved: Array = rows.reshape(self._apart).transpose(self._order)
        return moved.reshape(self._whole) if self._several else moved

    def rows(self, inside: Array) -> Array:
        """What is as attention wants it, as rows."""
        if self._several:
            inside = inside.reshape(self._turned)
        return inside.transpose(self._back).reshape(self._rows)


class Layout(NamedTuple):
    """What attention in several heads knows of arrays by their shapes."""

    shapes: tuple[tuple[int, ...], ...]  # of query, value and key
    query: Heads
    value: Heads
    key: Heads
    mixed: Heads
    weights: tuple[int, ...]  # [..., heads, *queries, *values]
    outputs: tuple[int, ...]
