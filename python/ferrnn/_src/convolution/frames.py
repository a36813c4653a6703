"""Windows over frames, as the engine takes them to gather them itself."""

from __future__ import annotations

import functools
from typing import TypeAlias

from ferrnn._src.convolution.geometry import Geometry
from ferrnn._src.tree.types import Array

# Size, stride, dilation, places of padding before the first, number of windows.
Axis: TypeAlias = "tuple[int, int, int, int, int]"


@functools.lru_cache(maxsize=256)
def axes_of(places: tuple[int, int], geometry: Geometry) -> tuple[Axis, Axis] | None:
    """The windows' geometry over the lines of frames and along a line; None if not for the engine.

    >>> axes_of((5, 7), Geometry((3, 2), (1, 2), (1, 1), "same"))
    ((3, 1, 1, 1, 5), (2, 2, 1, 0, 4))
    """
    if geometry.dilation[-1] != 1 or not all(geometry.counts(places)):
        return None
    ends = [before for before, _ in geometry.ends(places)]
    lines, columns = zip(*geometry[:3], ends, geometry.counts(places), strict=True)
    return lines, columns


@functools.lru_cache(maxsize=256)
def pooled_axes(places: tuple[int, ...], geometry: Geometry) -> tuple[Axis, Axis] | None:
    """As `axes_of`, for pooling; the steps of a sequence are the places of one line.

    >>> pooled_axes((5,), Geometry((2,), (2,), (1,), "valid"))
    ((1, 1, 1, 0, 1), (2, 2, 1, 0, 2))
    """
    if len(places) == 2:
        return axes_of((places[0], places[1]), geometry)
    size, strides, dilation = ((1, *each) for each in geometry[:3])
    return axes_of((1, *places), Geometry(size, strides, dilation, geometry.padding))


def as_lines(frames: Array) -> Array:
    """`[batch, height, width and features]` of frames, or of steps, which are one line.

    It is a view where a line lies in one piece.
    """
    batch, *above, width, features = frames.shape
    return frames.reshape(batch, *(above or (1,)), width * features)
