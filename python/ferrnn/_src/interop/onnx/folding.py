"""The memory limit for folded constants of an ONNX graph: a multiple of the file's size."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ferrnn._src.interop.onnx.files import Node
from ferrnn._src.interop.onnx.shaping import padding
from ferrnn._src.tree.types import Array

# As for other model files: a multiple of the file's size, plus a number of bytes.
_TIMES, _BYTES = 16, 16 << 20
_WIDEST = 8  # bytes per number


class Budget:
    """The memory left for constants that are computed when a file is read."""

    def __init__(self, size: int) -> None:
        self.left = _TIMES * size + _BYTES

    def has_room(self, node: Node, x: Sequence[Any]) -> bool:
        """Whether a node's outputs for these inputs certainly fit; overflowing sizes do not."""
        try:
            return _WIDEST * _elements(node, x) <= self.left
        except (ValueError, TypeError, IndexError, KeyError, ZeroDivisionError, OverflowError):
            return True  # computing it will raise the error

    def take(self, found: Sequence[Array], x: Sequence[Any]) -> None:
        """Counts computed arrays, except for views of existing ones."""
        for each in found:
            views = any(given is not None and np.may_share_memory(each, given) for given in x)
            self.left -= 0 if views else each.nbytes


def _elements(node: Node, x: Sequence[Any]) -> float:
    """An upper bound for the elements that a node outputs and uses in between."""
    count = _COUNTS.get(node.operator)
    if count is not None:
        return float(count(list(x), node.attributes))
    shapes = [np.shape(each) for each in x if each is not None]
    total = float(sum(math.prod(shape) for shape in shapes))
    try:
        return max(total, float(math.prod(np.broadcast_shapes(*shapes))))
    except ValueError:
        return total


def _product(values: Any) -> float:
    return float(math.prod(max(0.0, float(value)) for value in np.ravel(values)))


def _gathered(x: list[Any], a: Mapping[str, Any]) -> float:
    shape = list(np.shape(x[0]))
    del shape[a.get("axis", 0)]
    return _product([np.size(x[1]), *shape])


def _gathered_nd(x: list[Any], a: Mapping[str, Any]) -> float:
    width = int(np.shape(x[1])[-1])
    return float(np.size(x[1]) / max(1, width) * _product(np.shape(x[0])[width:]))


def _matrix(x: list[Any], a: Mapping[str, Any]) -> float:
    one, two = np.shape(x[0]), np.shape(x[1])
    lead = np.broadcast_shapes(one[:-2], two[:-2])
    rows = one[-2] if len(one) > 1 else 1
    columns = two[-1] if len(two) > 1 else 1
    return _product(lead) * rows * columns


def _einsum(x: list[Any], a: Mapping[str, Any]) -> float:
    """The product of the sizes of all letters; an ellipsis may stand for any axes."""
    letters: dict[str, int] = {}
    terms = str(a["equation"]).replace(" ", "").partition("->")[0].split(",")
    if any("." in term for term in terms):
        return _product([np.size(each) for each in x])
    for term, each in zip(terms, x, strict=True):
        letters |= dict(zip(term, np.shape(each), strict=True))
    return _product(list(letters.values()))


def _padded(x: list[Any], a: Mapping[str, Any]) -> float:
    pairs = zip(np.shape(x[0]), padding(x, a), strict=True)
    return _product([size + max(0, before) + max(0, after) for size, (before, after) in pairs])


def _range(x: list[Any], a: Mapping[str, Any]) -> float:
    start, limit, delta = (float(np.ravel(each)[0]) for each in x)
    return (limit - start) / delta


def _resized(x: list[Any], a: Mapping[str, Any]) -> float:
    given = [np.asarray(each, float) for each in x[1:] if each is not None and np.size(each)]
    given += [np.asarray(a["scales"])] if "scales" in a else []
    # Sizes are upper bounds for the factors.
    return np.size(x[0]) * max((_product(np.maximum(each, 1)) for each in given), default=1.0)


def _recurrent(x: list[Any], a: Mapping[str, Any]) -> float:
    """The gates of all steps; the columns of `W` are the features."""
    return np.size(x[0]) * np.size(x[1])


def _windows(x: list[Any], a: Mapping[str, Any]) -> float:
    """Unbounded, as models do not compute this from constants alone."""
    return math.inf


_COUNTS: Mapping[str, Callable[[list[Any], Mapping[str, Any]], float]] = {
    "AveragePool": _windows,
    "ConstantOfShape": lambda x, a: _product(x[0]),
    "Conv": _windows,
    "ConvTranspose": _windows,
    "Einsum": _einsum,
    "Expand": lambda x, a: _product(np.maximum(x[1], 1)) * np.size(x[0]),
    "GRU": _recurrent,
    "Gather": _gathered,
    "GatherND": _gathered_nd,
    "Gemm": lambda x, a: _product([np.size(x[0]), np.size(x[1])]),
    "LSTM": _recurrent,
    "MatMul": _matrix,
    "MaxPool": _windows,
    "OneHot": lambda x, a: np.size(x[0]) * _product(np.ravel(x[1])[:1]),
    "Pad": _padded,
    "RNN": _recurrent,
    "Range": _range,
    "Resize": _resized,
    "Tile": lambda x, a: np.size(x[0]) * _product(x[1]),
    "Upsample": _resized,
}
