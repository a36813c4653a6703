"""The geometry of windows: size, stride, dilation and padding, for any number of axes."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import numpy as np

from ferrnn._src.tree.types import Array


class Geometry(NamedTuple):
    """How windows lie, one number for each axis of places.

    `padding` is "valid" (windows lie within the places), "same" (zeros at both ends: with one
    stride as many windows as places) or "causal" (zeros before).

    >>> Geometry((3,), (2,), (1,), "same").counts((5,))
    (3,)
    """

    size: tuple[int, ...]
    strides: tuple[int, ...]
    dilation: tuple[int, ...]
    padding: str

    @property
    def reach(self) -> tuple[int, ...]:
        """The number of places from the first of a window to its last, including both."""
        pairs = zip(self.size, self.dilation, strict=True)
        return tuple((size - 1) * dilation + 1 for size, dilation in pairs)

    @property
    def taps(self) -> int:
        """The number of places in a window."""
        return math.prod(self.size)

    def counts(self, lengths: Sequence[int]) -> tuple[int, ...]:
        """The number of windows over so many places; 0 where none fits."""
        if self.padding != "valid":
            pairs = zip(lengths, self.strides, strict=True)
            return tuple(-(-length // stride) for length, stride in pairs)
        triples = zip(lengths, self.reach, self.strides, strict=True)
        return tuple(max(0, (length - reach) // stride + 1) for length, reach, stride in triples)

    def ends(self, lengths: Sequence[int]) -> list[tuple[int, int]]:
        """How many places of padding come before and after, on each axis."""
        if self.padding == "valid":
            return [(0, 0)] * len(self.size)
        if self.padding == "causal":
            return [(reach - 1, 0) for reach in self.reach]
        rows = zip(lengths, self.counts(lengths), self.strides, self.reach, strict=True)
        missing = [
            max((count - 1) * stride + reach - length, 0) for length, count, stride, reach in rows
        ]
        return [(each // 2, each - each // 2) for each in missing]

    def places(self, counts: Sequence[int]) -> Iterator[tuple[slice, ...]]:
        """For each tap of a window, where it stands in all windows over padded places."""
        axes = []
        for size, stride, dilation, count in zip(*self[:3], counts, strict=True):
            starts = range(0, size * dilation, dilation)
            axes.append([slice(at, at + (count - 1) * stride + 1, stride) for at in starts])
        return product(*axes)


@functools.lru_cache(maxsize=256)
def windows_over(
    geometry: Geometry, lengths: tuple[int, ...]
) -> tuple[list[tuple[slice, ...]], list[tuple[int, int]]]:
    """For each place in a window, where it stands in all windows; the padding at both ends.

    The slices index `[batch, *places, ...]`.

    >>> windows_over(Geometry((2,), (2,), (1,), "valid"), (5,))[0][1][1]
    slice(1, 4, 2)
    """
    counts = geometry.counts(lengths)
    places = [(slice(None), *place) for place in geometry.places(counts)]
    return places, geometry.ends(lengths)


def padded(inputs: Array, ends: Sequence[tuple[int, int]], fill: float = 0.0) -> Array:
    """`[batch, *places, features]` with padding of `fill`; the inputs if there is no padding."""
    if not any(map(any, ends)):
        return inputs
    lengths = [
        before + length + after
        for (before, after), length in zip(ends, inputs.shape[1:-1], strict=True)
    ]
    longer = np.full((len(inputs), *lengths, inputs.shape[-1]), fill, inputs.dtype)
    longer[inside(ends, inputs.shape)] = inputs
    return longer


def inside(ends: Sequence[tuple[int, int]], shape: Sequence[int]) -> tuple[Any, ...]:
    """The slices of a padded array that hold the array without its padding."""
    pairs = zip(ends, shape[1:-1], strict=True)
    return (slice(None), *(slice(before, before + length) for (before, _), length in pairs))


def channels_last(array: Array, data_format: str) -> Array:
    """`[batch, *places, features]` of an array in the order of `data_format`."""
    return array if data_format == "channels_last" else np.moveaxis(array, 1, -1)


def given_order(array: Array, data_format: str) -> Array:
    """The inverse of `channels_last`."""
    return array if data_format == "channels_last" else np.moveaxis(array, -1, 1)


def places_of(shape: Sequence[Any], data_format: str) -> tuple[Any, ...]:
    """The lengths of the axes of places.

    >>> places_of((2, 3, 4, 5), "channels_first")
    (4, 5)
    """
    return tuple(shape[1:-1] if data_format == "channels_last" else shape[2:])


def shape_of(batch: Any, places: Sequence[Any], features: Any, data_format: str) -> tuple[Any, ...]:
    """A shape in the order of `data_format`.

    >>> shape_of(2, (4, 5), 3, "channels_first")
    (2, 3, 4, 5)
    """
    if data_format == "channels_last":
        return (batch, *places, features)
    return (batch, features, *places)
