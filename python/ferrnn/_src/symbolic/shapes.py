"""Shapes in nested structures, and shapes found by trying a function on two sets of zeros."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ferrnn._src.symbolic.symbolic import SymbolicTensor
from ferrnn._src.tree.tree import flatten, map_structure, pack_like
from ferrnn._src.tree.types import Shape

# Lengths that stand for an unknown batch and for any other unknown axis, in two attempts.
_ATTEMPTS = ((2, 6), (3, 7))


def is_shape(value: Any) -> bool:
    """Whether `value` is one shape, not a structure of shapes.

    >>> is_shape((None, 3)), is_shape([(None, 3), (None, 4)])
    (True, False)
    """
    return isinstance(value, tuple | list) and all(
        part is None or hasattr(part, "__index__") for part in value
    )


def first_shape(shapes: Any) -> Shape:
    """The shape itself, or the first one of a structure of shapes.

    >>> first_shape((None, 3)), first_shape({"b": (1, 2), "a": [(3, 4), (5,)]})
    ((None, 3), (3, 4))
    """
    while not is_shape(shapes):
        shapes = shapes[min(shapes)] if isinstance(shapes, dict) else shapes[0]
    return tuple(shapes)


def map_shapes(function: Callable[[Shape], Any], shapes: Any) -> Any:
    """The same structure with `function` of each shape; a list of several becomes a list.

    >>> map_shapes(len, [(None, 3), ((None, 4, 5), (2,))])
    [2, (3, 1)]
    """
    if is_shape(shapes):
        return function(tuple(None if part is None else int(part) for part in shapes))
    if isinstance(shapes, dict):
        return {key: map_shapes(function, part) for key, part in shapes.items()}
    parts = [map_shapes(function, part) for part in shapes]
    return tuple(parts) if isinstance(shapes, tuple) else parts


def shapes_of(structure: Any) -> Any:
    """The shapes of the arrays or symbolic tensors in a structure; a tuple of them as a list.

    >>> shapes_of(np.zeros((2, 3))), shapes_of((np.zeros((2, 3)), np.zeros(1)))
    ((2, 3), [(2, 3), (1,)])
    """
    if isinstance(structure, dict):
        return {key: shapes_of(part) for key, part in structure.items()}
    if isinstance(structure, list | tuple):
        return [shapes_of(part) for part in structure]
    return tuple(getattr(structure, "shape", ()))


def probe(function: Callable[[Any], Any], inputs: Any) -> Any:
    """Symbolic outputs of `function` of arrays, for symbolic `inputs`: it runs twice, on zeros.

    A length that differs between the two runs is unknown.

    >>> x = SymbolicTensor((None, 3), "float32", name="x")
    >>> [tensor.shape for tensor in probe(lambda array: [array.sum(-1), array.T], x)]
    [(None,), (3, None)]
    """
    with np.errstate(all="ignore"):
        first, second = (function(_zeros(inputs, *lengths)) for lengths in _ATTEMPTS)
    pairs = zip(flatten(first), flatten(second), strict=True)
    return pack_like(first, [_common(np.asarray(one), np.asarray(two)) for one, two in pairs])


def _zeros(inputs: Any, batch: int, length: int) -> Any:
    def zeros(leaf: Any) -> Any:
        if not isinstance(leaf, SymbolicTensor):
            return leaf
        free = (batch, *(length,) * (leaf.ndim - 1))
        pairs = zip(leaf.shape, free, strict=True)
        return np.zeros([want if have is None else have for have, want in pairs], leaf.dtype)

    return map_structure(zeros, inputs)


def _common(one: Any, two: Any) -> SymbolicTensor:
    pairs = zip(one.shape, two.shape, strict=True)
    return SymbolicTensor(tuple(a if a == b else None for a, b in pairs), one.dtype.name)
