"""Shapes: reshaping, moving axes, joining, splitting, repeating, padding."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ferrnn._src.ops.rules import Primitive, borrowed, of_each, own, unbroadcast
from ferrnn._src.ops.values import cast_to, common_dtype, one_axis, operation, tensor
from ferrnn._src.symbolic import tracing

_reshape = Primitive(
    lambda x, *, shape: np.reshape(x, shape),
    own(lambda y, x, shape: lambda g: np.reshape(g, np.shape(x))),
)
_transpose = Primitive(
    lambda x, *, axes: np.transpose(x, axes),
    own(lambda y, x, axes: lambda g: np.transpose(g, np.argsort(axes))),
)
_broadcast = Primitive(
    lambda x, *, shape: np.broadcast_to(x, shape),
    own(lambda y, x, shape: lambda g: unbroadcast(g, x)),
)
_flip = Primitive(
    lambda x, *, axis: np.flip(x, axis), own(lambda y, x, axis: lambda g: np.flip(g, axis))
)
_roll = Primitive(
    lambda x, *, shift, axis: np.roll(x, shift, axis),
    own(lambda y, x, shift, axis: lambda g: np.roll(g, _opposite(shift), axis)),
)
_diff = Primitive(lambda x, *, n, axis: np.diff(x, n, axis), borrowed("diff"))


def _opposite(shift: Any) -> Any:
    return tuple(-each for each in shift) if isinstance(shift, tuple | list) else -shift


def _concatenate_maker(place: int, y: Any, args: Any, options: Any) -> Callable[[Any], Any]:
    axis = options["axis"]
    start = sum(part.shape[axis] for part in args[:place])
    index = [slice(None)] * y.ndim
    index[axis] = slice(start, start + args[place].shape[axis])
    return lambda g: g[tuple(index)]


_concatenate = Primitive(
    lambda *parts, axis: np.concatenate(parts, axis), of_each(_concatenate_maker)
)
_stack = Primitive(
    lambda *parts, axis: np.stack(parts, axis),
    of_each(lambda place, y, args, options: lambda g: np.take(g, place, options["axis"])),
)


def _repeat_maker(y: Any, x: Any, repeats: Any, axis: int) -> Callable[[Any], Any]:
    counts = np.broadcast_to(repeats, x.shape[axis])

    def vjp(g: Any) -> Any:
        found = np.zeros_like(x)
        places = np.repeat(np.arange(x.shape[axis]), counts)
        np.add.at(np.moveaxis(found, axis, 0), places, np.moveaxis(g, axis, 0))
        return found

    return vjp


_repeat = Primitive(lambda x, *, repeats, axis: np.repeat(x, repeats, axis), own(_repeat_maker))


def _tile_maker(y: Any, x: Any, reps: tuple[int, ...]) -> Callable[[Any], Any]:
    # With as many entries in `reps` as x has axes, axis i is split into (reps[i], shape[i]).
    split = [part for pair in zip(reps, x.shape, strict=True) for part in pair]
    return lambda g: np.add.reduce(np.reshape(g, split), axis=tuple(range(0, 2 * x.ndim, 2)))


_tile = Primitive(lambda x, *, reps: np.tile(x, reps), own(_tile_maker))
_pad = Primitive(
    lambda x, *, width, value: np.pad(x, width, constant_values=value),
    own(
        lambda y, x, width, value: (
            lambda g: g[
                tuple(
                    slice(before, before + size)
                    for (before, _), size in zip(width, x.shape, strict=True)
                )
            ]
        )
    ),
)


@operation
def reshape(x: Any, newshape: Any) -> Any:
    """`x` in another shape; one length may be -1.

    A first length of None, as symbolic tensors have it, is that of `x`.

    >>> reshape(np.arange(6), (2, -1)).tolist()
    [[0, 1, 2], [3, 4, 5]]
    """
    if isinstance(newshape, tuple | list) and newshape and newshape[0] is None:
        newshape = (tensor(x).shape[0], *newshape[1:])
    shape = (newshape,) if isinstance(newshape, int | np.integer) else tuple(map(int, newshape))
    return _reshape(tensor(x), shape=shape)


@operation
def ravel(x: Any) -> Any:
    """All entries along one axis."""
    return _reshape(tensor(x), shape=(-1,))


@operation
def expand_dims(x: Any, axis: Any) -> Any:
    """`x` with a new axis of length 1, or several."""
    x = tensor(x)
    given = axis if isinstance(axis, list | tuple) else (axis,)
    places = {one_axis(each, x.ndim + len(given)) for each in given}
    old = iter(x.shape)
    shape = [1 if at in places else next(old) for at in range(x.ndim + len(places))]
    return _reshape(x, shape=tuple(shape))


@operation
def squeeze(x: Any, axis: Any = None) -> Any:
    """`x` without axes of length 1: all of them, or those named."""
    x = tensor(x)
    if axis is None:
        return _reshape(x, shape=tuple(size for size in x.shape if size != 1))
    places = {
        one_axis(each, x.ndim) for each in (axis if isinstance(axis, list | tuple) else (axis,))
    }
    wrong = [at for at in sorted(places) if x.shape[at] != 1]
    if wrong:
        raise ValueError(
            f"`axis` of `ops.squeeze` must name axes of length 1, received {axis} for the shape "
            f"{x.shape}"
        )
    return _reshape(x, shape=tuple(s for at, s in enumerate(x.shape) if at not in places))


@operation
def transpose(x: Any, axes: Any = None) -> Any:
    """`x` with its axes in another order, by default reversed.

    >>> transpose(np.ones((2, 3, 4)), (0, 2, 1)).shape
    (2, 4, 3)
    """
    x = tensor(x)
    order = range(x.ndim)[::-1] if axes is None else [one_axis(axis, x.ndim) for axis in axes]
    return _transpose(x, axes=tuple(order))


@operation
def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """`x` with two axes exchanged."""
    x = tensor(x)
    order = list(range(x.ndim))
    first, second = one_axis(axis1, x.ndim), one_axis(axis2, x.ndim)
    order[first], order[second] = second, first
    return _transpose(x, axes=tuple(order))


@operation
def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """`x` with an axis, or several, moved to other places."""
    x = tensor(x)
    sources = [source] if isinstance(source, int) else list(source)
    targets = [destination] if isinstance(destination, int) else list(destination)
    taken = [one_axis(axis, x.ndim) for axis in sources]
    placed = dict(zip((one_axis(axis, x.ndim) for axis in targets), taken, strict=True))
    rest = iter(axis for axis in range(x.ndim) if axis not in taken)
    axes = [placed[at] if at in placed else next(rest) for at in range(x.ndim)]
    return _transpose(x, axes=tuple(axes))


@operation
def broadcast_to(x: Any, shape: Any) -> Any:
    """`x` repeated along axes of length 1, and new first axes, to a shape."""
    return _broadcast(tensor(x), shape=tuple(map(int, shape)))


@operation
def flip(x: Any, axis: Any = None) -> Any:
    """`x` in reversed order along an axis, several, or all."""
    return _flip(tensor(x), axis=tuple(axis) if isinstance(axis, list) else axis)


@operation
def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    """`x` shifted along an axis, with wrap-around."""
    return _roll(tensor(x), shift=shift, axis=axis)


@operation
def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    """Differences of neighbours along an axis, `n` times."""
    a = tensor(a)
    return _diff(a, n=n, axis=one_axis(axis, a.ndim))


def _alike(parts: Any) -> list[Any]:
    arrays = [tensor(part) for part in parts]
    if len({array.dtype for array in arrays}) > 1:
        dtype = common_dtype(arrays)
        arrays = [cast_to(array, dtype) for array in arrays]
    return arrays


@operation
def concatenate(xs: Any, axis: int = 0) -> Any:
    """Several arrays joined along an axis.

    >>> concatenate([np.ones((2, 3)), np.ones((2, 4))], axis=-1).shape
    (2, 7)
    """
    arrays = _alike(xs)
    if not arrays:
        raise ValueError("`xs` of `ops.concatenate` must hold at least one array, received none")
    return _concatenate(*arrays, axis=one_axis(axis, max(1, arrays[0].ndim)))


@operation
def stack(x: Any, axis: int = 0) -> Any:
    """Several arrays of one shape, joined along a new axis."""
    arrays = _alike(x)
    if not arrays:
        raise ValueError("`x` of `ops.stack` must hold at least one array, received none")
    return _stack(*arrays, axis=one_axis(axis, arrays[0].ndim + 1))


@operation
def vstack(xs: Any) -> Any:
    """Several arrays joined along the first axis; vectors become rows."""
    rows = [_reshape(x, shape=(1, -1)) if x.ndim < 2 else x for x in _alike(xs)]
    return concatenate(rows, 0)


@operation
def hstack(xs: Any) -> Any:
    """Several arrays joined along the second axis; vectors along their only one."""
    arrays = _alike(xs)
    return concatenate(arrays, 1 if arrays[0].ndim > 1 else 0)


@operation
def append(x1: Any, x2: Any, axis: int | None = None) -> Any:
    """`x2` after `x1` along an axis (None: both flattened)."""
    if axis is None:
        return concatenate([ravel(x1), ravel(x2)])
    return concatenate([x1, x2], axis)


@operation
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """`x` in a number of equal parts, or split before the given indices.

    >>> [part.shape for part in split(np.ones((2, 6)), 3, axis=1)]
    [(2, 2), (2, 2), (2, 2)]
    """
    x = tensor(x)
    at = one_axis(axis, x.ndim)
    if isinstance(indices_or_sections, int | np.integer):
        if indices_or_sections < 1 or x.shape[at] % indices_or_sections:
            raise ValueError(
                f"`indices_or_sections` of `ops.split` must divide the length {x.shape[at]} of "
                f"axis {axis}, received {indices_or_sections}"
            )
        size = x.shape[at] // int(indices_or_sections)
        cuts = list(range(size, x.shape[at], size)) if size else [0] * (indices_or_sections - 1)
    else:
        cuts = [int(cut) for cut in tracing.plain(indices_or_sections)]
    return _cut(x, cuts, at)


@operation
def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """`x` in a number of parts, of which the first are longer by one if they cannot be equal."""
    x = tensor(x)
    at = one_axis(axis, x.ndim)
    if not isinstance(indices_or_sections, int | np.integer):
        return _cut(x, [int(cut) for cut in indices_or_sections], at)
    each, extra = divmod(x.shape[at], int(indices_or_sections))
    sizes = [each + (part < extra) for part in range(int(indices_or_sections))]
    return _cut(x, np.cumsum(sizes)[:-1].tolist(), at)


def _cut(x: Any, cuts: Sequence[int], axis: int) -> list[Any]:
    edges: list[int | None] = [0, *cuts, None]
    before = (slice(None),) * axis
    keys = [(*before, slice(start, end)) for start, end in pairwise(edges)]
    return [x[key] for key in keys]


@operation
def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Any]:
    """The arrays along an axis, one by one.

    >>> [part.shape for part in unstack(np.ones((2, 3)), axis=1)]
    [(2,), (2,), (2,)]
    """
    x = tensor(x)
    at = one_axis(axis, x.ndim)
    if num is not None and num != x.shape[at]:
        raise ValueError(f"`num` of `ops.unstack` must be {x.shape[at]}, received {num}")
    before = (slice(None),) * at
    keys = [(*before, index) for index in range(x.shape[at])]
    return [x[key] for key in keys]


@operation
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each entry along an axis several times, one after the other."""
    x = tensor(x)
    if axis is None:
        x, axis = _reshape(x, shape=(-1,)), 0
    return _repeat(x, repeats=tracing.plain(tensor(repeats)), axis=one_axis(axis, x.ndim))


@operation
def tile(x: Any, repeats: Any) -> Any:
    """`x` repeated as a whole along its axes (the last ones, if fewer are given)."""
    x = tensor(x)
    given = [repeats] if isinstance(repeats, int | np.integer) else list(repeats)
    reps = [1] * (x.ndim - len(given)) + [int(each) for each in given]
    if len(reps) > x.ndim:
        x = _reshape(x, shape=(1,) * (len(reps) - x.ndim) + tuple(x.shape))
    return _tile(x, reps=tuple(reps))


@operation
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    """`x` with a number of entries added before and after along each axis.

    `mode` is "constant", or any of NumPy's for arrays whose gradient is not wanted.

    >>> pad([1, 2], (1, 2)).tolist()
    [0, 1, 2, 0, 0]
    """
    x = tensor(x)
    if mode != "constant":
        if isinstance(x, tracing.Traced):
            raise NotImplementedError(
                "`mode` of `ops.pad` must be 'constant' where a gradient is wanted, received "
                f"{mode!r}"
            )
        return np.pad(x, pad_width, mode=mode)  # type: ignore[call-overload]
    pairs = np.broadcast_to(np.asarray(pad_width), (x.ndim, 2)).tolist()
    value = 0 if constant_values is None else constant_values
    return _pad(x, width=tuple(map(tuple, pairs)), value=value)
