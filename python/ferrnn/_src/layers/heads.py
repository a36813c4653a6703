"""Where projections have the axes that attention goes over, and where it wants them."""

from __future__ import annotations

from collections.abc import Sequence

from ferrnn._src.tree.types import Array


class Heads:
    """Projections `[batch, ..., heads, dim]` as `[..., heads, queries, dim]`, and the way back.

    The axes that attention goes over become one, `queries`, and heads come before it.

    >>> import numpy as np
    >>> heads, projected = Heads((1, 2), 5), np.ones((2, 3, 4, 5, 6))
    >>> inside = heads.inside(projected)
    >>> inside.shape, heads.outside(inside, projected).shape
    ((2, 5, 12, 6), (2, 3, 4, 5, 6))
    """

    def __init__(self, axes: Sequence[int], rank: int) -> None:
        """For attention over `axes`, and projections of `rank` axes."""
        others = [axis for axis in range(rank - 1) if axis not in axes]
        self.axes, self.before = tuple(axes), len(others)
        self._order = (*others, *axes, rank - 1)
        self._back = tuple(map(self._order.index, range(rank)))
        self._several = len(self.axes) != 1

    def inside(self, array: Array) -> Array:
        """The projection as attention wants it."""
        moved: Array = array.transpose(self._order)
        if self._several:
            moved = moved.reshape(*moved.shape[: self.before], -1, moved.shape[-1])
        return moved

    def outside(self, array: Array, like: Array) -> Array:
        """What is as attention wants it, with the axes of a projection."""
        if self._several:
            shape = [like.shape[axis] for axis in self._order[:-1]]
            array = array.reshape(*shape, array.shape[-1])
        moved: Array = array.transpose(self._back)
        return moved

    def lengths(self, query: Array, key: Array) -> list[int]:
        """The lengths of queries, then of values, along the axes that attention goes over."""
        return [array.shape[axis] for array in (query, key) for axis in self.axes]
