"""ONNX's operators for inputs of known shapes, with what depends on them computed once."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import numpy as np

from ferrnn._src.interop.onnx.files import Node
from ferrnn._src.interop.onnx.operators import OPERATORS
from ferrnn._src.interop.onnx.products import along_time
from ferrnn._src.interop.onnx.shaping import axes_given, padding, slices, split_sizes
from ferrnn._src.native import DenseWeights, activate, dense_forward
from ferrnn._src.tree.types import Array

Run: TypeAlias = Callable[[list[Any]], "list[Array]"]
_Make: TypeAlias = Callable[[Node, int, "list[Any]", "list[bool]"], "Run | None"]
_FLOATS = (np.dtype("f4"), np.dtype("f8"))

# As `np.sum`, without its checks.
_SUM: Callable[..., Array] = np.add.reduce
# Operators that keep the numbers in their order.
RESHAPES = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})


def quick(node: Node, opset: int, x: list[Any], fixed: list[bool]) -> Run | None:
    """A function for the node's outputs with inputs like `x`, or None if it would not be faster.

    Inputs that are `fixed` are always the same; others have the same shapes and dtypes.
    """
    make = _QUICK.get(node.operator)
    return None if make is None or not x or x[0] is None else make(node, opset, x, fixed)


def _reshaped(node: Node, opset: int, x: list[Any], fixed: list[bool]) -> Run | None:
    if not all(fixed[1:]):
        return None
    shape = np.shape(OPERATORS[node.operator](x, node.attributes, opset))
    return lambda x: [x[0].reshape(shape)]


def _transposed(node: Node, opset: int, x: list[Any], fixed: list[bool]) -> Run | None:
    axes = node.attributes.get("perm") or range(x[0].ndim)[::-1]
    return lambda x: [x[0].transpose(axes)]


def _sliced(node: Node, opset: int, x: list[Any], fixed: list[bool]) -> Run | None:
    if not all(fixed[1:]):
        return None
    cut = slices(x, node.attributes)
    return lambda x: [x[0][cut]]


def _split(node: Node, opset: int, x: list[Any], fixed: list[bool]) -> Run | None:
    if not all(fixed[1:]):
        return None
    axis = node.attributes.get("axis", 0) % x[0].ndim
    told = {**node.attributes, "_outputs": len(node.outputs)}
    ends = np.cumsum(split_sizes(x, told)).tolist()
    before = (slice(None),) * axis
    cuts = [(*before, slice(*pair)) for pair in zip([0, *ends], ends, strict=False)]
    return lambda x: [x[0][cut] for cut in cuts]


def _gathered(node: Node, opset: int, x: list[Any], fixed: list[bool]) -> Run | None:
    if not fixed[1] or np.ndim(x[1]) or x[0].ndim < 1:
        return None
    cut = (slice(None),) * (node.attributes.get("axis", 0) % x[0].ndim) + (int(x[1]),)
    return lambda x: [np.asarray(x[0][cut])]


def _padded(node: Node, opset: int, x: list[Any], fixed: list[bool]) -> Run | None:
    if not all(fixed[1:]) or not x[0].size:
        return None
    widths = padding(x, node.attributes)
    if min(width for each in widths for width in each) < 0:
        return None
    mode = node.attributes.get("mode", "constant")
    if mode != "constant":
        axes = [axis for axis, each in enumerate(widths) if any(each)]
        if len(axes) != 1:
            return None
        index = np.pad(np.arange(x[0].shape[axes[0]]), widths[axes[0]], mode=mode)
        return lambda x: [x[0].take(index, axes[0])]
    given = x[2] if len(x) > 2 and x[2] is not None else node.attributes.get("value", 0.0)
    value, dtype = np.ravel(given)[0], x[0].dtype
    shape = tuple(size + sum(each) for size, each in zip(x[0].shape, widths, strict=True))
    inner = tuple(
        slice(before, before + size) for size, (before, _) in zip(x[0].shape, widths, strict=True)
    )
    if shape == x[0].shape:
        return lambda x: [x[0]]

    def run(x: list[Any]) -> list[Array]:
        padded = np.full(shape, value, dtype)
        padded[inner] = x[0]
        return [padded]

    return run


def _power(node: Node, opset: int, x: list[Any], fixed: list[bool]) -> Run | None:
    if not fixed[1] or np.size(x[1]) != 1 or np.ndim(x[1]) > x[0].ndim or float(x[1]) != 2:
        return None
    return lambda x: [np.multiply(x[0], x[0])]


def _activated(name: str) -> _Make:
    def make(node: Node, opset: int, x: list[Any], fixed: list[bool]) -> Run | None:
        if not x[0].ndim or not x[0].size or x[0].dtype not in _FLOATS:
            return None
        return lambda x: [activate(name, np.ascontiguousarray(x[0]))]

    return make


def _softmax(node: Node, opset: int, x: list[Any], fixed: list[bool]) -> Run | None:
    last = node.attributes.get("axis", -1) in {-1, x[0].ndim - 1}
    return _activated("softmax")(node, opset, x, fixed) if last and opset >= 13 else None


def _relu(node: Node, opset: int, x: list[Any], fixed: list[bool]) -> Run | None:
    zero = x[0].dtype.type(0)
    return lambda x: [np.maximum(x[0], zero)]


def _mean(node: Node, opset: int, x: list[Any], fixed: list[bool]) -> Run | None:
    axes = axes_given(x, node.attributes)
    if not all(fixed[1:]) or axes is None or not x[0].size or x[0].dtype not in _FLOATS:
        return None
    keep = bool(node.attributes.get("keepdims", 1))
    count = x[0].dtype.type(math.prod(x[0].shape[axis] for axis in axes))
    return lambda x: [np.asarray(_SUM(x[0], axis=axes, keepdims=keep) / count)]


def _multiplied(node: Node, opset: int, x: list[Any], fixed: list[bool]) -> Run | None:
    a, b = x
    if not fixed[1] or b.ndim != 2 or a.ndim < 1 or a.dtype not in _FLOATS or b.dtype != a.dtype:
        return None
    if 0 in (*a.shape, *b.shape):
        return None
    packed = DenseWeights(np.ascontiguousarray(b))
    rows, shape = (-1, b.shape[0]), (*a.shape[:-1], b.shape[1])
    return lambda x: [
        dense_forward(packed, np.ascontiguousarray(x[0].reshape(rows)))[0].reshape(shape)
    ]


def _convolved(node: Node, opset: int, x: list[Any], fixed: list[bool]) -> Run | None:
    return along_time(node.attributes, x) if all(fixed[1:]) else None


_QUICK: Mapping[str, _Make] = {
    "Conv": _convolved,
    "Flatten": _reshaped,
    "Gather": _gathered,
    "MatMul": _multiplied,
    "Pad": _padded,
    "Pow": _power,
    "ReduceMean": _mean,
    "Relu": _relu,
    "Reshape": _reshaped,
    "Sigmoid": _activated("sigmoid"),
    "Slice": _sliced,
    "Softmax": _softmax,
    "Split": _split,
    "Squeeze": _reshaped,
    "Tanh": _activated("tanh"),
    "Transpose": _transposed,
    "Unsqueeze": _reshaped,
}
