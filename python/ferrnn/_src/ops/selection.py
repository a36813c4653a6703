"""Selecting and replacing entries of arrays: indices, conditions, sorting."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from ferrnn._src.ops.rules import Primitive, own, unbroadcast
from ferrnn._src.ops.shaping import broadcast_to, reshape, stack
from ferrnn._src.ops.tape import Part
from ferrnn._src.ops.values import (
    cast_to,
    dtype_name,
    one_axis,
    operation,
    pair,
    tensor,
)
from ferrnn._src.symbolic import tracing


def _plain_index(index: Any) -> Any:
    if isinstance(index, tuple):
        return tuple(_plain_index(part) for part in index)
    plain = tracing.plain(index)
    if isinstance(plain, list):
        return np.asarray(tracing.plain(tensor(plain)))
    return plain


_getitem = Primitive(
    lambda x, *, index: x[index], own(lambda y, x, index: lambda g: Part(index, g))
)
_where = Primitive(
    lambda x1, x2, *, condition: np.where(condition, x1, x2),
    own(
        lambda y, x1, x2, condition: lambda g: unbroadcast(np.where(condition, g, 0), x1),
        lambda y, x1, x2, condition: lambda g: unbroadcast(np.where(condition, 0, g), x2),
    ),
)


def _along_maker(y: Any, x: Any, indices: Any, axis: int) -> Callable[[Any], Any]:
    def vjp(g: Any) -> Any:
        grid: list[Any] = list(np.ogrid[tuple(builtins.slice(size) for size in indices.shape)])
        grid[axis] = indices
        return Part(tuple(grid), g)

    return vjp


_along = Primitive(
    lambda x, *, indices, axis: np.take_along_axis(x, indices, axis), own(_along_maker)
)


def _updated(x: Any, updates: Any, *, index: Any, how: str) -> Any:
    result = np.array(x)
    if how == "set":
        result[index] = updates
    else:
        _AT[how].at(result, index, updates)
    return result


_AT = {"add": np.add, "multiply": np.multiply, "max": np.maximum, "min": np.minimum}


def _kept_maker(y: Any, x: Any, updates: Any, index: Any, how: str) -> Callable[[Any], Any]:
    if how == "add":
        return lambda g: g

    def vjp(g: Any) -> Any:
        kept = np.array(g)
        kept[index] = 0
        return kept

    return vjp


_update = Primitive(
    _updated,
    own(
        _kept_maker,
        lambda y, x, updates, index, how: lambda g: unbroadcast(g[index], updates),
    ),
)


@operation
def get_item(x: Any, key: Any) -> Any:
    """`x[key]`, for integers, slices, None, Ellipsis, and arrays of indices or booleans."""
    return _getitem(tensor(x), index=_plain_index(key))


@operation
def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """The entries of `x` at `indices` along an axis (None: of all entries in a row).

    >>> take([10, 20, 30], [2, 0]).tolist()
    [30, 10]
    """
    x = tensor(x)
    if axis is None:
        x, axis = reshape(x, (-1,)), 0
    places = np.asarray(tracing.plain(tensor(indices))).astype(np.intp)
    return _getitem(x, index=(builtins.slice(None),) * one_axis(axis, x.ndim) + (places,))


@operation
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Any:
    """The entries of `x` at `indices` of as many axes, looked up along one."""
    x, places = tensor(x), np.asarray(tracing.plain(tensor(indices))).astype(np.intp)
    if axis is None:
        return _along(reshape(x, (-1,)), indices=places.reshape(-1), axis=0)
    at = one_axis(axis, x.ndim)
    shape = [
        a if i == at else builtins.max(a, b)
        for i, (a, b) in enumerate(zip(places.shape, x.shape, strict=True))
    ]
    wide = [b if i == at else a for i, (a, b) in enumerate(zip(shape, x.shape, strict=True))]
    return _along(broadcast_to(x, wide), indices=np.broadcast_to(places, shape), axis=at)


@operation
def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """`x1` where the condition holds, else `x2`; without these, the indices where it holds.

    >>> where([True, False], 1.0, 2.0).tolist()
    [1.0, 2.0]
    """
    plain = np.asarray(tracing.plain(tensor(condition))).astype(bool, copy=False)
    if x1 is None or x2 is None:
        if x1 is not None or x2 is not None:
            raise ValueError(
                "`x1` and `x2` of `ops.where` must be given together, received only one of them"
            )
        return nonzero(plain)
    return _where(*pair(x1, x2), condition=plain)


@operation
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """The entries of the first choice whose condition holds, else the default."""
    result = default
    for condition, choice in reversed(list(zip(condlist, choicelist, strict=True))):
        result = where(condition, choice, result)
    return result


@operation
def slice(inputs: Any, start_indices: Any, shape: Any) -> Any:
    """A block of a given shape from given first indices; -1 stands for all remaining entries."""
    x = tensor(inputs)
    index = tuple(
        builtins.slice(int(start), None if size == -1 else int(start) + int(size))
        for start, size in zip(start_indices, shape, strict=True)
    )
    return _getitem(x, index=index)


@operation
def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Any:
    """`inputs` with a block replaced, from given first indices."""
    x, new = tensor(inputs), tensor(updates)
    index = tuple(
        builtins.slice(int(start), int(start) + size)
        for start, size in zip(start_indices, new.shape, strict=True)
    )
    return _update(x, cast_to(new, x.dtype), index=index, how="set")


def _index_of(indices: Any) -> tuple[Any, ...]:
    """Indices `[..., axes]` as a tuple of arrays, one for each axis."""
    return tuple(np.moveaxis(np.asarray(tracing.plain(tensor(indices))).astype(np.intp), -1, 0))


@operation
def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Any:
    """`inputs` with entries at `indices` `[updates, axes]` replaced, or changed by `reduction`.

    `reduction` is None or "add", or "multiply", "max" or "min" if no gradient is wanted.
    """
    x, new = tensor(inputs), tensor(updates)
    how = "set" if reduction is None else str(reduction)
    traced = isinstance(x, tracing.Traced) or isinstance(new, tracing.Traced)
    known = ("set", "add") if traced else ("set", *_AT)
    if how not in known:
        raise ValueError(
            f"`reduction` of `ops.scatter_update` must be one of {(None, *known[1:])}, "
            f"received {reduction!r}"
        )
    return _update(x, cast_to(new, x.dtype), index=_index_of(indices), how=how)


@operation
def scatter(indices: Any, values: Any, shape: Any) -> Any:
    """Zeros of a shape with `values` added at `indices` `[values, axes]`."""
    new = tensor(values)
    zeros = np.zeros(tuple(map(int, shape)), new.dtype)
    return _update(zeros, new, index=_index_of(indices), how="add")


@operation
def segment_sum(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """The sums of the rows with the same number in `segment_ids`."""
    x = tensor(data)
    ids = np.asarray(tracing.plain(tensor(segment_ids)))
    count = int(ids.max(initial=-1)) + 1 if num_segments is None else num_segments
    zeros = np.zeros((count, *x.shape[1:]), x.dtype)
    return _update(zeros, x, index=ids, how="add")


# Sorting: the order has no gradient, but the sorted entries have one.


@operation
def argsort(x: Any, axis: int | None = -1) -> Any:
    """The indices of the entries in rising order along an axis, int32."""
    plain = tracing.plain(tensor(x))
    return np.argsort(plain, axis=axis, kind="stable").astype("int32")


@operation
def sort(x: Any, axis: int = -1) -> Any:
    """The entries in rising order along an axis."""
    x = tensor(x)
    return take_along_axis(x, argsort(x, axis), one_axis(axis, x.ndim))


@operation
def top_k(x: Any, k: int, sorted: bool = True) -> tuple[Any, Any]:
    """The `k` largest entries along the last axis, the largest first, and their indices."""
    x = tensor(x)
    places = np.argsort(-tracing.plain(x), axis=-1, kind="stable")[..., :k].astype("int32")
    return take_along_axis(x, places, -1), places


@operation
def in_top_k(targets: Any, predictions: Any, k: int) -> Any:
    """Whether each target is among the `k` largest of its row of predictions."""
    scores = np.asarray(tracing.plain(tensor(predictions)))
    labels = np.asarray(tracing.plain(tensor(targets))).astype(np.intp)
    chosen = np.take_along_axis(scores, labels[:, None], -1)
    return np.sum(scores > chosen, axis=-1) < k


@operation
def nonzero(x: Any) -> Any:
    """The indices of the entries that are not zero, one array for each axis, int32."""
    return tuple(part.astype("int32") for part in np.nonzero(tracing.plain(tensor(x))))


@operation
def searchsorted(sorted_sequence: Any, values: Any, side: Any = "left") -> Any:
    """The indices at which values would be inserted into a sorted sequence, int32."""
    found = np.searchsorted(
        tracing.plain(tensor(sorted_sequence)), tracing.plain(tensor(values)), side
    )
    return np.asarray(found, "int32")


@operation
def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Any:
    """Whether each entry of `x1` is among those of `x2`."""
    return np.isin(tracing.plain(tensor(x1)), tracing.plain(tensor(x2)), assume_unique, invert)


@operation
def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Any:
    """How often each integer from 0 on occurs in a vector, or the sum of its weights."""
    plain = np.asarray(tracing.plain(tensor(x))).astype(np.intp)
    given = None if weights is None else tracing.plain(tensor(weights))
    counts = np.bincount(plain, given, int(minlength))
    return counts.astype("int32" if given is None else given.dtype)


# Codes of classes.


@operation
def one_hot(
    x: Any, num_classes: int, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Any:
    """1 at the class of each entry on a new axis, 0 elsewhere; all 0 for an invalid class.

    >>> one_hot([0, 2], 3).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    """
    if sparse:
        raise NotImplementedError(
            "`sparse` of `ops.one_hot` must be False, received True: sparse arrays are not "
            "supported"
        )
    labels = np.asarray(tracing.plain(tensor(x))).astype(np.int64)
    hot = (labels[..., None] == np.arange(num_classes)).astype(dtype_name(dtype))
    return np.moveaxis(hot, -1, axis)


@operation
def multi_hot(
    inputs: Any,
    num_classes: int | None = None,
    axis: int = -1,
    dtype: Any = None,
    sparse: bool = False,
) -> Any:
    """1 at each class that occurs along the last axis."""
    if num_classes is None:
        raise ValueError("`num_classes` of `ops.multi_hot` must be given, received None")
    labels = np.asarray(tracing.plain(tensor(inputs)))
    reduced = -1 if labels.ndim == 1 else 1
    hot = one_hot(labels, num_classes, axis, dtype, sparse)
    return np.max(hot, axis=0 if reduced == -1 else 1)


# Triangles and diagonals.


def _lower(x: Any, k: int) -> Any:
    rows, columns = x.shape[-2:]
    return np.tri(rows, columns, k, bool)


@operation
def tril(x: Any, k: int = 0) -> Any:
    """`x` with zeros above the diagonal `k` of its last two axes."""
    x = tensor(x)
    return where(_lower(x, k), x, np.zeros((), x.dtype))


@operation
def triu(x: Any, k: int = 0) -> Any:
    """`x` with zeros below the diagonal `k` of its last two axes."""
    x = tensor(x)
    return where(_lower(x, k - 1), np.zeros((), x.dtype), x)


@operation
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The entries on a diagonal of two axes, on a new last axis."""
    x = tensor(x)
    first, second = one_axis(axis1, x.ndim), one_axis(axis2, x.ndim)
    rows, columns = x.shape[first], x.shape[second]
    count = builtins.max(
        0, builtins.min(rows + builtins.min(offset, 0), columns - builtins.max(offset, 0))
    )
    entries = []
    for at in range(count):
        index: list[Any] = [builtins.slice(None)] * x.ndim
        index[first] = at - builtins.min(offset, 0)
        index[second] = at + builtins.max(offset, 0)
        entries.append(_getitem(x, index=tuple(index)))
    if not entries:
        return np.diagonal(tracing.plain(x), offset, axis1, axis2)
    return stack(entries, -1)


@operation
def diag(x: Any, k: int = 0) -> Any:
    """The diagonal `k` of a matrix, or the matrix with a vector on that diagonal."""
    x = tensor(x)
    if x.ndim == 2:
        return diagonal(x, k)
    size = x.shape[0] + builtins.abs(k)
    places = np.arange(x.shape[0])
    zeros = np.zeros((size, size), x.dtype)
    index = (places - builtins.min(k, 0), places + builtins.max(k, 0))
    return _update(zeros, x, index=index, how="add")


@operation
def meshgrid(*x: Any, indexing: str = "xy") -> list[Any]:
    """Vectors repeated over the grid that they span, one array for each."""
    arrays = [reshape(each, (-1,)) for each in x]
    order = list(range(len(arrays)))
    if indexing == "xy" and len(arrays) > 1:
        order[0], order[1] = 1, 0
    shape = [1] * len(arrays)
    lengths = list(shape)
    for array, at in zip(arrays, order, strict=True):
        lengths[at] = array.shape[0]
    grids = []
    for array, at in zip(arrays, order, strict=True):
        own_shape = list(shape)
        own_shape[at] = -1
        grids.append(broadcast_to(reshape(array, own_shape), lengths))
    return grids
