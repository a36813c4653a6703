"""The axes of projections, and their order in the engine."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from ferrnn._src.tree.types import Array


class Heads:
    """Turns projections `[batch, ..., heads, dim]` into `[samples, steps, heads, dim]`, and back.

    `leading` is `[batch, ...]`. The axes that attention goes over are merged into the steps, the
    others into the samples.

    >>> import numpy as np
    >>> heads = Heads((2, 3, 4), (1, 2), 5, 6)
    >>> inside = heads.inside(np.ones((2, 3, 4, 5, 6)))
    >>> inside.shape, heads.outside(inside).shape
    ((2, 12, 5, 6), (2, 3, 4, 5, 6))
    """

    def __init__(self, leading: Sequence[int], axes: Sequence[int], heads: int, dim: int) -> None:
        lengths = (*leading, heads, dim)
        rank = len(lengths)
        others = [axis for axis in range(len(leading)) if axis not in axes]
        self._order = (*others, *axes, rank - 2, rank - 1)
        self._back = tuple(map(self._order.index, range(rank)))
        self._turned = tuple(lengths[axis] for axis in self._order)
        samples, steps = (math.prod(lengths[axis] for axis in of) for of in (others, axes))
        self._whole = (samples, steps, heads, dim)
        self._stays = self._whole == lengths and self._back == tuple(range(rank))

    def inside(self, array: Array) -> Array:
        """The projection in the engine's order."""
        if self._stays:
            return array
        moved: Array = array.transpose(self._order).reshape(self._whole)
        return moved

    def outside(self, array: Array) -> Array:
        """An array in the engine's order, with the axes of a projection again."""
        if self._stays:
            return array
        moved: Array = array.reshape(self._turned).transpose(self._back)
        return moved


class Layout(NamedTuple):
    """What multi-head attention derives from the shapes of its inputs."""

    shapes: tuple[tuple[int, ...], ...]  # of query, value and key
    query: Heads
    value: Heads
    key: Heads
    mixed: Heads
    weights: tuple[int, ...]  # [..., heads, *queries, *values]
    before: int  # the number of axes before heads
