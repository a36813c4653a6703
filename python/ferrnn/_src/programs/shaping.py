"""Operations that choose, join and reshape: views where they can be, copies where not."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from ferrnn._src.programs.adjoints import Adjoints
from ferrnn._src.programs.recorder import STEP, UnsupportedError, View, dense
from ferrnn._src.programs.rules import note, rule, settled, view_of
from ferrnn._src.programs.sketch import CellTrace, Sketch


def inner_axis(x: Sketch, axis: Any) -> int:
    """An axis of a sketch, among those of one row."""
    index = int(axis)
    if not -x.ndim <= index < x.ndim:
        raise UnsupportedError(f"an axis {axis} of {x.ndim}")
    index %= x.ndim
    if not x.has_rows:
        return index
    if index == 0:
        raise UnsupportedError("an operation over the batch")
    return index - 1


def viewed(
    trace: CellTrace, x: Sketch, shape: Sequence[int], strides: Sequence[int], at: int = 0
) -> Sketch:
    """Other elements of the same register; gradients go through the view."""
    view = replace(x.view, shape=tuple(shape), strides=tuple(strides), offset=x.view.offset + at)
    if not view.size:
        raise UnsupportedError("an array without elements")
    return settled(trace, view)


def packed(trace: CellTrace, x: Sketch) -> Sketch:
    """The value with its elements side by side."""
    if x.view.is_dense:
        return x
    view = x.view
    copy = trace.recorder.copied(view)
    note(trace, copy, lambda adjoints, g: adjoints.add(view, "copy", g))
    return trace.sketch(copy)


@rule("get_item")
def _get_item(trace: CellTrace, x: Any, key: Any) -> Any:
    keys = list(key) if isinstance(key, tuple | list) else [key]
    if any(isinstance(each, Sketch | np.ndarray | list) for each in keys):
        raise UnsupportedError("an index that is an array")
    used = sum(each is not None and each is not Ellipsis for each in keys)
    if used > x.ndim:
        raise UnsupportedError("an index with too many entries")
    rest = [slice(None)] * (x.ndim - used)
    at = next((n for n, each in enumerate(keys) if each is Ellipsis), len(keys))
    keys = [*keys[:at], *rest, *keys[at + 1 :]]
    if x.has_rows:
        if not isinstance(keys[0], slice) or keys[0].indices(trace.batch) != (0, trace.batch, 1):
            raise UnsupportedError("an index of the batch")
        keys = keys[1:]
    view, shape, strides, offset, axis = x.view, [], [], 0, 0
    for each in keys:
        if each is None:
            shape.append(1)
            strides.append(0)
            continue
        length, stride = view.shape[axis], view.strides[axis]
        axis += 1
        if isinstance(each, slice):
            start, stop, step = each.indices(length)
            if step < 0:
                raise UnsupportedError("an index from the last to the first")
            offset += start * stride
            shape.append(len(range(start, stop, step)))
            strides.append(stride * step)
        else:
            index = int(each)
            if not -length <= index < length:
                raise IndexError(f"index {index} is out of bounds for an axis of {length}")
            offset += index % length * stride
    return viewed(trace, x, shape, strides, offset)


@rule("split")
def _split(trace: CellTrace, x: Any, indices_or_sections: Any, axis: int = 0) -> Any:
    at = inner_axis(x, axis)
    length = x.view.shape[at]
    if isinstance(indices_or_sections, int | np.integer):
        count = int(indices_or_sections)
        if count <= 0 or length % count:
            raise UnsupportedError("a split into unequal parts")
        edges = [length // count * n for n in range(count + 1)]
    else:
        edges = [0, *map(int, indices_or_sections), length]
    key = (slice(None),) * (at + x.has_rows)
    return [_get_item(trace, x, (*key, slice(first, last))) for first, last in pairwise(edges)]


@rule("unstack")
def _unstack(trace: CellTrace, x: Any, num: int | None = None, axis: int = 0) -> Any:
    at = inner_axis(x, axis)
    key = (slice(None),) * (at + x.has_rows)
    return [_get_item(trace, x, (*key, n)) for n in range(x.view.shape[at])]


@rule("reshape")
def _reshape(trace: CellTrace, x: Any, newshape: Any) -> Any:
    given = newshape if isinstance(newshape, tuple | list) else [newshape]
    if x.has_rows and given and given[0] is None:
        given = [trace.batch, *given[1:]]
    wanted = [int(n) for n in given]
    size = x.view.size
    if x.has_rows:
        if wanted[0] not in (-1, trace.batch) or (wanted[0] == -1 and -1 in wanted[1:]):
            raise UnsupportedError("a reshape of the batch")
        wanted = wanted[1:]
    known = math.prod(n for n in wanted if n != -1)
    if -1 in wanted:
        wanted[wanted.index(-1)] = size // max(known, 1)
    if math.prod(wanted) != size:
        raise UnsupportedError("a reshape of the batch")
    x = packed(trace, x)
    return viewed(trace, x, wanted, dense(wanted))


@rule("_reshape_method")
def _reshape_method(trace: CellTrace, x: Any, *shape: Any) -> Any:
    return _reshape(trace, x, shape[0] if len(shape) == 1 else shape)


@rule("ravel")
def _ravel(trace: CellTrace, x: Any) -> Any:
    if x.has_rows:
        raise UnsupportedError("a reshape of the batch")
    return _reshape(trace, x, (-1,))


@rule("expand_dims")
def _expand_dims(trace: CellTrace, x: Any, axis: Any) -> Any:
    axes = list(axis) if isinstance(axis, tuple | list) else [axis]
    ndim = x.ndim + len(axes)
    places = sorted(int(each) % ndim for each in axes)
    if x.has_rows and places[0] == 0:
        raise UnsupportedError("a reshape of the batch")
    shape, strides = list(x.view.shape), list(x.view.strides)
    for place in places:
        shape.insert(place - x.has_rows, 1)
        strides.insert(place - x.has_rows, 0)
    return viewed(trace, x, shape, strides)


@rule("squeeze")
def _squeeze(trace: CellTrace, x: Any, axis: Any = None) -> Any:
    shape = x.view.shape
    if axis is None:
        axes = {at for at, length in enumerate(shape) if length == 1}
    else:
        given = axis if isinstance(axis, tuple | list) else [axis]
        axes = {inner_axis(x, each) for each in given}
    if any(shape[at] != 1 for at in axes):
        raise UnsupportedError("a squeeze of an axis that is longer than one")
    kept = [at for at in range(len(shape)) if at not in axes]
    return viewed(trace, x, [shape[at] for at in kept], [x.view.strides[at] for at in kept])


@rule("transpose")
def _transpose(trace: CellTrace, x: Any, axes: Any = None) -> Any:
    order = [int(each) % x.ndim for each in axes] if axes else list(range(x.ndim))[::-1]
    if x.has_rows:
        if order[0] != 0:
            raise UnsupportedError("a transposition of the batch")
        order = [each - 1 for each in order[1:]]
    view = x.view
    return viewed(trace, x, [view.shape[n] for n in order], [view.strides[n] for n in order])


@rule("_transpose_method")
def _transpose_method(trace: CellTrace, x: Any, *axes: Any) -> Any:
    given = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
    return _transpose(trace, x, given or None)


@rule("swapaxes")
def _swapaxes(trace: CellTrace, x: Any, axis1: int, axis2: int) -> Any:
    order = list(range(x.ndim))
    first, second = axis1 % x.ndim, axis2 % x.ndim
    order[first], order[second] = order[second], order[first]
    return _transpose(trace, x, order)


@rule("broadcast_to")
def _broadcast_to(trace: CellTrace, x: Any, shape: Any) -> Any:
    wanted = tuple(int(n) for n in shape)
    if x.has_rows:
        if len(wanted) != x.ndim or wanted[0] != trace.batch:
            raise UnsupportedError("a reshape of the batch")
        wanted = wanted[1:]
    view = x.view.broadcast(wanted)
    if x.has_rows:
        return trace.sketch(view)
    return settled(trace, view)


@rule("repeat")
def _repeat(trace: CellTrace, x: Any, repeats: Any, axis: Any = None) -> Any:
    if axis is None or not isinstance(repeats, int) or repeats < 1:
        raise UnsupportedError("a repetition by an array")
    at = inner_axis(x, axis)
    shape, strides = list(x.view.shape), list(x.view.strides)
    length = shape[at]
    shape.insert(at + 1, repeats)
    strides.insert(at + 1, 0)
    spread = trace.sketch(replace(x.view, shape=tuple(shape), strides=tuple(strides)))
    dense_spread = packed(trace, spread)
    del shape[at + 1]
    shape[at] = length * repeats
    return viewed(trace, dense_spread, shape, dense(shape))


@rule("concatenate")
def _concatenate(trace: CellTrace, xs: Any, axis: int = -1) -> Any:
    rowed = [x for x in xs if isinstance(x, Sketch) and x.has_rows]
    if rowed and len(rowed) < len(xs):
        xs = [x if isinstance(x, Sketch) and x.has_rows else _spread(trace, x) for x in xs]
    sketches = [x if isinstance(x, Sketch) else trace.sketch(view_of(trace, x)) for x in xs]
    at = inner_axis(sketches[0], axis)
    if len({(*x.shape[: at + x.has_rows], *x.view.shape[at + 1 :]) for x in sketches}) > 1:
        raise UnsupportedError("arrays of different shapes to concatenate")
    recorder, views = trace.recorder, [x.view for x in sketches]
    shape = list(views[0].shape)
    shape[at] = sum(view.shape[at] for view in views)
    level = recorder.level(*views)
    out = recorder.value(shape, level, recorder.wants(*views))
    parts, first = [], 0
    for view in views:
        parts.append(replace(out, shape=view.shape, offset=first * out.strides[at]))
        recorder.write(level, "copy", parts[-1], [view])
        first += view.shape[at]

    def back(adjoints: Adjoints, g: View) -> None:
        for view, part in zip(views, parts, strict=True):
            adjoints.add(view, "copy", replace(part, register=g.register))

    note(trace, out, back)
    return trace.sketch(out)


def _spread(trace: CellTrace, x: Any) -> Sketch:
    """A constant with the axis of the batch, the same in all rows, as rows."""
    array = np.asarray(x) if not isinstance(x, Sketch) else x
    if isinstance(array, Sketch) or array.ndim < 1 or array.shape[0] != trace.batch:
        raise UnsupportedError("arrays with and without a batch to concatenate")
    if (array != array[:1]).any():
        raise UnsupportedError("an array that differs from row to row")
    view = trace.recorder.constant(array[0])
    rows = trace.recorder.copied(view, level=STEP)
    return trace.sketch(rows)


@rule("stack")
def _stack(trace: CellTrace, x: Any, axis: int = 0) -> Any:
    return _concatenate(trace, [_expand_dims(trace, each, axis) for each in x], axis)
