"""ONNX's operators that reshape, slice, join, select and rearrange arrays.

As in `operators`, they take inputs, attributes and the version of the operators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.interop.onnx.files import OnnxError

Inputs: TypeAlias = "list[Any]"
Attributes: TypeAlias = Mapping[str, Any]
Operator: TypeAlias = Callable[[Inputs, Attributes, int], Any]

# The most elements of an array that a graph may request.
_LARGEST = 1 << 31


def _filled(x: Inputs, a: Attributes, v: int) -> Any:
    value = np.asarray(a.get("value", np.zeros(1, "f4")))
    return np.full(shape_given(x[0]), value.reshape(-1)[0], value.dtype)


def shape_given(values: Any) -> tuple[int, ...]:
    """A shape that a graph computed, if it is plausible."""
    shape = tuple(int(value) for value in np.ravel(values))
    if any(size < 0 for size in shape) or float(np.prod(shape, dtype=float)) > _LARGEST:
        raise OnnxError(f"an array of the shape {shape} is invalid or too large")
    return shape


def _reshape(x: Inputs, a: Attributes, v: int) -> Any:
    wanted = [int(size) for size in (x[1] if len(x) > 1 else a["shape"])]
    if not a.get("allowzero", 0):
        wanted = [x[0].shape[at] if size == 0 else size for at, size in enumerate(wanted)]
    return x[0].reshape(wanted)


def axes_given(x: Inputs, a: Attributes, position: int = 1) -> tuple[int, ...] | None:
    """The axes, which are an attribute in older versions and an input in newer ones."""
    axes = x[position] if len(x) > position and x[position] is not None else a.get("axes")
    return None if axes is None else tuple(int(axis) for axis in np.ravel(axes))


def _squeeze(x: Inputs, a: Attributes, v: int) -> Any:
    return np.squeeze(x[0], axes_given(x, a))


def _unsqueeze(x: Inputs, a: Attributes, v: int) -> Any:
    return np.expand_dims(x[0], axes_given(x, a) or ())


def _flatten(x: Inputs, a: Attributes, v: int) -> Any:
    axis = a.get("axis", 1) % (x[0].ndim + 1) if a.get("axis", 1) < 0 else a.get("axis", 1)
    return x[0].reshape(int(np.prod(x[0].shape[:axis])), -1)


def _expand(x: Inputs, a: Attributes, v: int) -> Any:
    return np.broadcast_to(x[0], np.broadcast_shapes(x[0].shape, shape_given(x[1])))


def slices(x: Inputs, a: Attributes) -> tuple[slice, ...]:
    """The slices of a Slice node, one for each axis."""
    if len(x) == 1:
        starts, ends, axes, steps = a["starts"], a["ends"], a.get("axes"), None
    else:
        starts, ends, axes, steps = (*x[1:], None, None)[:4]
    axes = range(len(starts)) if axes is None else axes
    steps = [1] * len(starts) if steps is None else steps
    cut: list[slice] = [slice(None)] * x[0].ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        size = x[0].shape[int(axis)]
        # An end before the beginning cannot be a negative number, which would count from the end.
        last = None if step < 0 and end < -size else int(end)
        cut[int(axis)] = slice(int(start), last, int(step))
    return tuple(cut)


def _slice(x: Inputs, a: Attributes, v: int) -> Any:
    return x[0][slices(x, a)]


def _gather(x: Inputs, a: Attributes, v: int) -> Any:
    return np.take(x[0], x[1], axis=a.get("axis", 0))


def _gather_elements(x: Inputs, a: Attributes, v: int) -> Any:
    axis = a.get("axis", 0)
    return np.take_along_axis(x[0], x[1] % x[0].shape[axis], axis)


def _gather_nd(x: Inputs, a: Attributes, v: int) -> Any:
    if a.get("batch_dims", 0):
        raise OnnxError("GatherND with batch_dims is not supported")
    return x[0][tuple(np.moveaxis(x[1], -1, 0))]


def _scatter_nd(x: Inputs, a: Attributes, v: int) -> Any:
    if a.get("reduction", "none") != "none":
        raise OnnxError(f"ScatterND with the reduction {a['reduction']!r} is not supported")
    result = np.array(x[0])
    result[tuple(np.moveaxis(x[1], -1, 0))] = x[2]
    return result


def split_sizes(x: Inputs, a: Attributes) -> list[int]:
    """The sizes of the parts of a Split node."""
    whole = x[0].shape[a.get("axis", 0)]
    sizes = x[1] if len(x) > 1 and x[1] is not None else a.get("split")
    if sizes is None:
        count = a["_outputs"]
        each = -(-whole // count)
        sizes = [each] * (count - 1)
        sizes.append(max(0, whole - sum(sizes)))
    return [int(size) for size in sizes]


def _split(x: Inputs, a: Attributes, v: int) -> Any:
    return np.split(x[0], np.cumsum(split_sizes(x, a))[:-1], a.get("axis", 0))


def _transpose(x: Inputs, a: Attributes, v: int) -> Any:
    return np.transpose(x[0], a.get("perm"))


def _where(x: Inputs, a: Attributes, v: int) -> Any:
    return np.where(x[0], x[1], x[2])


def padding(x: Inputs, a: Attributes) -> list[tuple[int, int]]:
    """The entries that a Pad node adds before and after each axis, or removes if negative."""
    pads = [int(p) for p in (x[1] if len(x) > 1 else a["pads"])]
    axes = [int(axis) for axis in x[3]] if len(x) > 3 and x[3] is not None else range(x[0].ndim)
    widths = [(0, 0)] * x[0].ndim
    for at, axis in enumerate(axes):
        widths[axis] = (pads[at], pads[at + len(pads) // 2])
    return widths


def _pad(x: Inputs, a: Attributes, v: int) -> Any:
    widths = padding(x, a)
    cut = tuple(slice(-min(b, 0), (min(e, 0)) or None) for b, e in widths)
    grown = [(max(b, 0), max(e, 0)) for b, e in widths]
    shape_given([size + b + e for size, (b, e) in zip(x[0].shape, grown, strict=True)])
    mode = a.get("mode", "constant")
    if mode == "constant":
        value = x[2] if len(x) > 2 and x[2] is not None else a.get("value", 0.0)
        return np.pad(x[0][cut], grown, constant_values=np.ravel(value)[0])
    return np.pad(x[0][cut], grown, mode=mode)


def _range(x: Inputs, a: Attributes, v: int) -> Any:
    start, limit, delta = (np.ravel(each)[0] for each in x)
    shape_given([max(0, int(np.ceil((float(limit) - float(start)) / float(delta))))])
    return np.arange(start, limit, delta, dtype=np.asarray(x[0]).dtype)


def _shape_of(x: Inputs, a: Attributes, v: int) -> Any:
    return np.asarray(np.shape(x[0])[a.get("start", 0) : a.get("end")], np.int64)


def _cumulative(x: Inputs, a: Attributes, v: int) -> Any:
    axis = int(np.ravel(x[1])[0])
    data = np.flip(x[0], axis) if a.get("reverse", 0) else x[0]
    total = np.cumsum(data, axis=axis, dtype=data.dtype)
    if a.get("exclusive", 0):
        total = total - data
    return np.flip(total, axis) if a.get("reverse", 0) else total


def _reverse_sequence(x: Inputs, a: Attributes, v: int) -> Any:
    """Reverses each sequence up to its length."""
    time, batch = a.get("time_axis", 0), a.get("batch_axis", 1)
    moved = np.moveaxis(x[0], (time, batch), (0, 1))
    steps, lengths = np.arange(moved.shape[0])[:, None], np.asarray(x[1])[None, :]
    index = np.where(steps < lengths, lengths - 1 - steps, steps)
    return np.moveaxis(moved[index, np.arange(moved.shape[1])], (0, 1), (time, batch))


def _top_k(x: Inputs, a: Attributes, v: int) -> Any:
    count, axis = int(np.ravel(x[1])[0]) if len(x) > 1 else a["k"], a.get("axis", -1)
    if not 0 <= count <= x[0].shape[axis]:
        raise OnnxError(
            f"k must be between 0 and the length of the axis, {x[0].shape[axis]}, received {count}"
        )
    keys = -x[0] if a.get("largest", 1) else x[0]
    order = np.argsort(keys, axis=axis, kind="stable")
    order = np.take(order, np.arange(count), axis=axis)
    return [np.take_along_axis(x[0], order, axis), order.astype(np.int64)]


def _one_hot(x: Inputs, a: Attributes, v: int) -> Any:
    depth, axis = int(np.ravel(x[1])[0]), a.get("axis", -1)
    shape_given([np.size(x[0]), depth])
    ids = np.asarray(x[0]).astype(np.int64)
    hit = np.where(ids < 0, ids + depth, ids)[..., None] == np.arange(depth)
    return np.moveaxis(np.where(hit, x[2][1], x[2][0]), -1, axis)


def _trilu(x: Inputs, a: Attributes, v: int) -> Any:
    offset = int(np.ravel(x[1])[0]) if len(x) > 1 and x[1] is not None else 0
    return (np.triu if a.get("upper", 1) else np.tril)(x[0], offset)


def _tile(x: Inputs, a: Attributes, v: int) -> Any:
    shape_given([size * int(n) for size, n in zip(x[0].shape, x[1], strict=True)])
    return np.tile(x[0], [int(n) for n in x[1]])


def _concat(x: Inputs, a: Attributes, v: int) -> Any:
    return np.concatenate(x, axis=a.get("axis", 1))


SHAPING: dict[str, Operator] = {
    "Concat": _concat,
    "ConstantOfShape": _filled,
    "CumSum": _cumulative,
    "Expand": _expand,
    "Flatten": _flatten,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "OneHot": _one_hot,
    "Pad": _pad,
    "Range": _range,
    "Reshape": _reshape,
    "ScatterND": _scatter_nd,
    "ReverseSequence": _reverse_sequence,
    "Shape": _shape_of,
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Tile": _tile,
    "TopK": _top_k,
    "Transpose": _transpose,
    "Trilu": _trilu,
    "Unsqueeze": _unsqueeze,
    "Where": _where,
}
